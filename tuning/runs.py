"""The run directory: the truth about a sweep.

    runs/<run>/
        config.yaml       resolved configuration
        dataset/          encoded table, encoder, folds
        study.log         Optuna's journal, one study per family
        trials/           see models/trials.py
        findings.json     what was found in the training rows; see data/examination.py
        events.jsonl      what happened, in order; the tracker reads it
        tracking.jsonl    what of it is recorded, and where
        wandb/            W&B files
        logs/             Ray's and the tracker's own words
        figures/          plots
        bundle/           the ensemble
        result.json       leaderboard and scores
        report.html       all of it to look at; see htmlreport/
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
from typing import IO, Any

from configs.load import read_config, save_config
from configs.locks import is_locked
from configs.schema import JobConfig
from errors import ConfigError
from models.trials import trial_name

SESSION_STARTS = ('{"event": "sweep"', '{"event": "resume"')
LOCK_TRIES = 10


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
        self.findings = self.path / "findings.json"

    @property
    def journal(self) -> Path:
        """Optuna's journal."""
        return self.path / "study.log"

    def trial_path(self, number: int, family: str) -> Path:
        """Folder of a trial."""
        return self.trials / trial_name(number, family)

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

        The file's time stays as it was until the first beat, so that a resumed run can tell its last sign of life.

        Raises: ConfigError: another process holds it.
        """
        with self.driver.open("a+", encoding="utf-8") as file:
            if not _lock(file):
                file.seek(0)
                raise ConfigError(f"{self.path}: already being run by {file.read().strip()}")
            last_beat = self.driver.stat().st_mtime_ns
            file.truncate(0)
            who = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": time.time(),
                "job": cluster_job(),
            }
            json.dump(who, file)
            file.flush()
            os.utime(self.driver, ns=(last_beat, last_beat))
            yield

    def beat(self) -> None:
        """Say that the sweep lives; the time it has used is known from this after a crash."""
        os.utime(self.driver)

    def used_s(self) -> float:
        """Seconds of its time that the sweep's sessions have used, up to the last sign of life."""
        started, last = 0.0, ""
        if not self.has_begun():
            return 0.0
        with self.events.open(encoding="utf-8") as file:
            for line in file:
                if line.startswith(SESSION_STARTS) and line.endswith("\n"):
                    started = json.loads(line)["started"]
                last = line if line.endswith("\n") else last
        end = max(json.loads(last)["time"] if last else 0.0, self.driver.stat().st_mtime)
        return max(0.0, end - started) if started else 0.0

    def has_begun(self) -> bool:
        """Whether a session of the sweep got as far as to say so."""
        if not self.events.exists():
            return False
        with self.events.open(encoding="utf-8", errors="replace") as file:
            return any(line.startswith(SESSION_STARTS) and line.endswith("\n") for line in file)

    def is_finished(self) -> bool:
        """Whether the run ended with a model; a result that is half written is none."""
        try:
            return "model_id" in json.loads(self.result.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return False

    def begin_again(self, config: JobConfig) -> None:
        """Make ready for another session: what it will write anew goes, its trials stay.

        Args:
            config: The configuration it goes on with.
        """
        save_config(config, self.path / "config.yaml")
        for path in (self.journal, self.result):
            path.unlink(missing_ok=True)

    def mend_events(self) -> None:
        """Cut off half a line that a killed process left at the end of the events."""
        if not self.events.exists():
            return
        with self.events.open("r+b") as file:
            text = file.read()
            file.truncate(text.rfind(b"\n") + 1)

    def is_driven(self) -> bool:
        """Whether a process, on this machine or on one that shares the folder, is running the sweep."""
        return is_locked(self.driver)


def _lock(file: IO[str]) -> bool:
    """Lock a file for this process; whoever only looks whether it is locked lets go of it at once."""
    for _attempt in range(LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def cluster_job() -> str | None:
    """Name of the Ray job that this process is, if it is one."""
    config = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
    return config.get("metadata", {}).get("job_submission_id")


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
    configs = sorted(runs.glob("*/config.yaml"), key=lambda p: p.stat().st_mtime)
    known = [p.parent for p in configs]
    if reference == "latest" and known:
        return Run(known[-1])
    for path in (Path(reference), runs / reference):
        if (path / "config.yaml").is_file():
            return Run(path)
    names = ", ".join(p.name for p in known[-5:]) or "none"
    raise ConfigError(f"'{reference}': no such run in {runs}; newest: {names}")
