"""Sees to it that a trainer is at work whenever a training task waits for one."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.load import load_config
from configs.schema import ServingConfig
from configs.sources import source_scheme
from configs.tasks import TaskFolder
from errors import ConfigError
from serving.environment import CHECKOUT, passed_on
from serving.retention import clean_up
from serving.roots import Roots
from serving.training_command import here

logger = logging.getLogger("tabularay.serving")

LOOK_EVERY_S = 1.0
CLEAN_EVERY_S = 3600.0
# A trainer that ends at once is not started again at once.
AGAIN_AFTER_S = 10.0
START_WITHIN_S = 60.0


def settle_training(config: ServingConfig) -> ServingConfig:
    """The settings with paths that mean the same in every process, and without what would fail later.

    Raises: ConfigError: a root or a setting for every task is wrong.
    """
    training = config.training
    if not training.enabled:
        return config
    Roots(training.roots, TaskFolder(training.runs).uploads)
    try:
        load_config([*training.overrides, "data.source=table.csv", "data.target=target", *here("table")])
    except ConfigError as error:
        raise ConfigError(f"serving.training.overrides: {error}") from None
    roots = [root if source_scheme(root) else str(Path(root).resolve()) for root in training.roots]
    runs = str(Path(training.runs).resolve())
    return config.model_copy(
        update={"training": training.model_copy(update={"roots": tuple(roots), "runs": runs})}
    )


@contextmanager
def trainers(config: ServingConfig) -> Iterator[None]:
    """While this lasts, tasks that wait find a trainer; the trainer itself goes on afterwards, until it has done them.

    Args:
        config: How the model is served.
    """
    if not config.training.enabled:
        yield
        return
    stop = threading.Event()
    watch = threading.Thread(target=_watch, args=(config, stop), name="trainers", daemon=True)
    watch.start()
    try:
        yield
    finally:
        stop.set()
        watch.join()


def _watch(config: ServingConfig, stop: threading.Event) -> None:
    folder, keep_days = TaskFolder(config.training.runs), config.training.keep_days
    pause, cleaned = 0.0, -math.inf
    while not stop.wait(pause or LOOK_EVERY_S):
        pause = 0.0
        try:
            if folder.unfinished() and not folder.has_trainer():
                pause = AGAIN_AFTER_S
                _start(config)
            if keep_days is not None and time.monotonic() > cleaned + CLEAN_EVERY_S:
                cleaned = time.monotonic()
                clean_up(folder, keep_days)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            # Such as storage that is away for a moment: without this thread no task would ever begin again.
            pause = AGAIN_AFTER_S
            logger.error("looking after tasks: %s", error)


def _start(config: ServingConfig) -> None:
    """Start a trainer, which leaves this process and sees itself whether it is the only one."""
    training = config.training
    options = [
        f"--cpus={training_cpus(config)}",
        f"--max-running={training.max_running}",
        f"--idle-s={training.idle_s}",
    ]
    options += [] if training.address is None else [f"--address={training.address}"]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "tuning.trainer", str(Path(training.runs).resolve()), "--detach", *options],
        cwd=CHECKOUT,
        env=passed_on(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=START_WITHIN_S,
    )
    if done.returncode:
        logger.error("the trainer did not start: %s", done.stderr.strip()[-500:])


def training_cpus(config: ServingConfig) -> int:
    """CPUs for training: those that the replicas leave, at least one."""
    if config.training.cpus is not None:
        return config.training.cpus
    reserved = math.ceil((config.max_replicas or config.replicas) * config.cpus_per_replica)
    return max(1, len(os.sched_getaffinity(0)) - reserved)
