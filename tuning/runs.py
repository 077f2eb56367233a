"""The run directory: the truth about a sweep.

    runs/<run>/
        config.yaml       resolved configuration
        dataset/          encoded table, encoder, folds
        study.db          Optuna studies, one per family
        trials/           see models/trials.py
        events.jsonl      what happened, in order; the tracker reads it
        tracking.jsonl    what of it is recorded, and where
        wandb/            W&B files
        logs/             Ray's and the tracker's own words
        figures/          plots
        bundle/           the ensemble
        result.json       leaderboard and scores
        driver.json       the process that runs the sweep, locked while it lives

Whoever resumes or reads a sweep reads it here.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs.load import read_config, save_config
from configs.schema import JobConfig
from errors import ConfigError


class Run:
    """A run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.name = self.path.name
        self.dataset = self.path / "dataset"
        self.trials = self.path / "trials"
        self.events = self.path / "events.jsonl"
        self.logs = self.path / "logs"
        self.figures = self.path / "figures"
        self.bundle = self.path / "bundle"
        self.result = self.path / "result.json"
        self.driver = self.path / "driver.json"

    @property
    def storage_url(self) -> str:
        """Optuna's storage."""
        return f"sqlite:///{self.path / 'study.db'}"

    def config(self) -> JobConfig:
        """The resolved configuration."""
        return read_config(self.path / "config.yaml")

    def log(self, event: str, **values: Any) -> None:
        """Append one event; a reader never sees half a line."""
        line = json.dumps({"event": event, "time": time.time(), **values}, ensure_ascii=False, default=str)
        with self.events.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def write_result(self, values: dict[str, Any]) -> None:
        """Write result.json in one step."""
        beside = self.result.with_suffix(".new")
        beside.write_text(json.dumps(values, ensure_ascii=False, indent=1, default=str), "utf-8")
        beside.replace(self.result)

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Hold the run for this process; the lock goes with the process, however it ends.

        Raises: ConfigError: another process holds it.
        """
        with self.driver.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise ConfigError(f"{self.path}: already being run by {file.read().strip()}") from None
            file.truncate(0)
            json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}, file)
            file.flush()
            yield

    def is_driven(self) -> bool:
        """Whether a process, on this machine or on one that shares the folder, is running the sweep."""
        try:
            with self.driver.open(encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def create_run(config: JobConfig) -> Run:
    """Make a new run directory, named after the model and the time.

    Raises: ConfigError: the folder of the runs cannot be written.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(100):
        suffix = f"-{attempt + 1}" if attempt else ""
        run = Run(Path(config.runs) / f"{config.name}-{stamp}{suffix}")
        try:
            run.path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(f"runs={config.runs}: cannot be written: {error.strerror}") from None
        for folder in (run.trials, run.logs, run.figures):
            folder.mkdir()
        save_config(config, run.path / "config.yaml")
        return run
    raise ConfigError(f"runs={config.runs}: could not find a free name for a run of '{config.name}'")


def find_run(reference: str, runs: Path) -> Run:
    """Find a run by path, by name, or as `latest`.

    Raises: ConfigError: no such run; names those there are.
    """
    known = sorted((p.parent for p in runs.glob("*/config.yaml")), key=lambda p: p.stat().st_mtime)
    if reference == "latest" and known:
        return Run(known[-1])
    for path in (Path(reference), runs / reference):
        if (path / "config.yaml").is_file():
            return Run(path)
    names = ", ".join(p.name for p in known[-5:]) or "none"
    raise ConfigError(f"'{reference}': no such run in {runs}; newest: {names}")
