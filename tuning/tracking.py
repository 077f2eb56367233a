"""Weights & Biases: one process of its own writes all runs of a sweep, from the run's event file.

The sweep never talks to W&B: it appends to `events.jsonl`, which this process follows. So W&B can be slow,
dead or unreachable and no trial waits; what was not sent is still in the file, and can be sent later with
`python -m tuning.tracking RUN`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from configs.schema import TrackingConfig
from models.trials import trial_name
from tuning.runs import Run

POLL_S = 0.1


class Tracker(Protocol):
    """Where the trials of a sweep are recorded."""

    def handle(self, event: dict[str, Any]) -> None:
        """Record one event of the run."""

    def close(self) -> None:
        """Send what is left."""


class WandbTracker:
    """One W&B run per trial, in a group per sweep, and one summary run.

    Args:
        run: The sweep's run directory.
        config: Project, entity, mode.
    """

    def __init__(self, run: Run, config: TrackingConfig) -> None:
        import wandb  # noqa: PLC0415 - half a second that only this process should pay

        self.wandb = wandb
        self.run = run
        self.config = config
        self.mode = resolve_mode(config)
        self.open: dict[int, Any] = {}

    def handle(self, event: dict[str, Any]) -> None:
        """Record one event of the run."""
        kind = event["event"]
        if kind == "trial":
            config = {key: event[key] for key in ("number", "family", "params", "origin", "why")}
            name = trial_name(event["number"], event["family"])
            self.open[event["number"]] = self._init(name, [event["family"], event["origin"]], config)
        elif kind == "fold" and event["number"] in self.open:
            values = ("fold_score", "score", "fit_s", "total_s")
            self.open[event["number"]].log({k: event[k] for k in values}, step=event["fold"])
        elif kind == "end" and event["number"] in self.open:
            self._end_trial(event)
        elif kind == "summary":
            self._summary(event)

    def close(self) -> None:
        """Finish what is still open."""
        for run in self.open.values():
            run.finish(exit_code=1)
        self.open.clear()

    def _init(self, name: str, tags: list[str], config: dict[str, Any], job_type: str = "trial") -> Any:
        return self.wandb.init(
            id=f"{self.run.name}-{name}"[-128:],
            resume="allow" if self.mode == "online" else None,
            project=self.config.project,
            entity=self.config.entity,
            dir=str(self.run.path),
            group=self.run.name,
            name=name,
            tags=tags,
            job_type=job_type,
            config=config,
            mode=self.mode,
            reinit="create_new",
            settings=self.wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
                x_disable_stats=True,
                x_disable_meta=True,
            ),
        )

    def _end_trial(self, event: dict[str, Any]) -> None:
        run = self.open.pop(event["number"])
        run.summary.update({k: event[k] for k in ("state", "reason", "score", "n_folds", "fit_s", "wall_s")})
        run.finish(exit_code=int(event["state"] == "failed"))

    def _summary(self, event: dict[str, Any]) -> None:
        run = self._init(f"{self.run.name}-summary", ["summary"], event["config"], job_type="summary")
        rows = event["leaderboard"]
        if rows:
            columns = list(rows[0])
            table = self.wandb.Table(columns=columns, data=[[row[c] for c in columns] for row in rows])
            run.log({"leaderboard": table})
        run.summary.update(event["scores"])
        run.finish()


class TrackingProcess:
    """The process that follows the event file; the sweep holds only this handle."""

    def __init__(self, run: Run, config: TrackingConfig) -> None:
        self.run = run
        self.config = config
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start following."""
        if self.config.mode == "disabled":
            return
        with (self.run.logs / "tracking.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "tuning.tracking", str(self.run.path), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=Path(__file__).parent.parent,
            )

    def finish(self) -> str:
        """Wait a while for the last events; returns what the user should know, or an empty string."""
        if self.process is None:
            return ""
        try:
            code = self.process.wait(self.config.finish_timeout_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            code = None
        if code == 0:
            return ""
        what = "was too slow and was stopped" if code is None else f"ended with code {code}"
        return (
            f"W&B tracking {what}; nothing is lost: send it again with "
            f"`python -m tuning.tracking {self.run.path}` (log: {self.run.logs / 'tracking.log'})"
        )


def resolve_mode(config: TrackingConfig) -> str:
    """The W&B mode: auto means online when there is a key, offline otherwise."""
    if config.mode != "auto":
        return config.mode
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    has_key = netrc.is_file() and "wandb" in netrc.read_text("utf-8", errors="replace")
    return "online" if has_key else "offline"


def read_events(path: Path, writer: int | None) -> Iterator[dict[str, Any]]:
    """Events of a file, up to and without its `close`.

    Args:
        path: The event file.
        writer: Process id of the parent that is writing it; while it lives, its end is waited for.
    """
    with path.open(encoding="utf-8") as file:
        line = ""
        while True:
            line += file.readline()
            if not line.endswith("\n"):
                if os.getppid() != writer:
                    return
                time.sleep(POLL_S)
                continue
            event = json.loads(line)
            line = ""
            if event["event"] == "close":
                return
            yield event


def main(path: str, writer: str = "") -> None:
    """Record a run's events in W&B: those there are, or, given the writing parent, until it closes."""
    run = Run(Path(path))
    tracker: Tracker = WandbTracker(run, run.config().tracking)
    for event in read_events(run.events, int(writer) if writer else None):
        tracker.handle(event)
    tracker.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
