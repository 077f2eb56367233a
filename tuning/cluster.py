"""Connecting to Ray: a local one made for the job, or a cluster that is up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from configs.schema import ClusterConfig
from data.reach import check_reachable, is_unreachable
from errors import ConfigError, UnreachableError
from tuning.runs import cluster_job

CHECKOUT = Path(__file__).parent.parent
NOT_SHIPPED = [".git", ".venv", "runs", "registry", "wandb", "tests", "benchmarks", "docs"]
VITAL = ("gcs_server", "raylet")


@contextmanager
def connected(config: ClusterConfig) -> Iterator[None]:
    """Connect to Ray, and leave it as it was found.

    An already connected process stays connected; a local Ray is stopped at the end; a running cluster gets
    the checkout as its working directory and goes on.

    Raises: ConfigError: the cluster cannot be reached.
    """
    if ray.is_initialized():
        yield
        return
    if config.address is not None:
        _check_reachable(config.address)
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
    try:
        if config.address is None:
            n_cpus = config.num_cpus or len(os.sched_getaffinity(0))
            ray.init(address="local", num_cpus=n_cpus, num_gpus=config.num_gpus, **quiet)
        else:
            # To a job that was sent the checkout came with it, and Ray refuses a second one.
            checkout = {"working_dir": str(CHECKOUT), "excludes": NOT_SHIPPED}
            ray.init(address=config.address, runtime_env=None if cluster_job() else checkout, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        absent = config.address is not None and is_unreachable(error)
        kind = UnreachableError if absent else ConfigError
        raise kind(f"cluster.address={config.address}: cannot connect to Ray: {error}") from None
    try:
        yield
    finally:
        ray.shutdown()


def started_here() -> bool:
    """Whether the Ray this process uses is one that it has started."""
    return ray._private.worker._global_node is not None and ray._private.worker._global_node.is_head()


def dead_parts() -> str:
    """What has died of the Ray that was started for the job; Ray itself waits a minute, and then aborts."""
    node = ray._private.worker._global_node
    dead = [kind for kind, _process in node.dead_processes() if kind in VITAL] if node is not None else []
    return ", ".join(dead)


def _check_reachable(address: str) -> None:
    """Ask the port first: Ray itself waits for minutes before it gives up."""
    match = re.fullmatch(r"(?:ray://)?\[?(?P<host>[^\[\]]+)\]?:(?P<port>\d+)", address)
    if match is None:
        return
    check_reachable(
        match["host"], int(match["port"]), f"cluster.address={address}: cannot be reached: REASON"
    )
