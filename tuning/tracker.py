"""What a tracker is, and which events of a run it is handed."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from configs.schema import TrackingConfig
from data.findings import LEAK
from tuning.runs import Run
from tuning.tracked import Happened, Ledger, read_lines

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


class Tracker(Protocol):
    """Where the trials of a sweep are recorded.

    Attributes:
        where: online, offline or mlflow.
    """

    where: str

    def begin(self, event: dict[str, Any]) -> None:
        """A sweep begins, or goes on."""

    def start(self, event: dict[str, Any]) -> None:
        """A trial starts; what an earlier tracker left of it is continued or replaced."""

    def fold(self, event: dict[str, Any]) -> None:
        """A fold of a started trial is finished."""

    def end(self, event: dict[str, Any]) -> None:
        """A started trial has ended; on return it is recorded."""

    def summary(self, event: dict[str, Any]) -> None:
        """Record leaderboard, scores and figures; on return they are recorded."""

    def close(self) -> None:
        """Leave the trials that are still open as they are."""


class Recording:
    """Hands the events of a run to a tracker, but for what is recorded already.

    Args:
        run: The run.
        tracker: Where to.
        config: Its configuration.
    """

    def __init__(self, run: Run, tracker: Tracker, config: TrackingConfig) -> None:
        self.tracker = tracker
        self.ledger = Ledger(run)
        self.limit_s = 2 * config.timeout_s + 10
        self.tracked, self.happened = self.ledger.read(), Happened.of(run)
        self.done = {n for n, end in self.happened.ends.items() if self.tracked.has(n, end, tracker.where)}
        self.open: dict[int, set[int]] = {}
        self.lost: set[int] = set()

    def handle(self, place: int, event: dict[str, Any]) -> None:
        """Record one event.

        Args:
            place: Its place in the event file.
            event: The event.

        Raises: whatever the tracker raises, but for a full disk, which loses one trial only.
        """
        kind, number = event["event"], event.get("number")
        try:
            with limited(self.limit_s):
                if kind in ("sweep", "resume"):
                    self.tracker.begin(event)
                elif kind == "summary" and not self.tracked.has_summary(place, self.tracker.where):
                    self.tracker.summary(event)
                    self.ledger.note(summary=place, where=self.tracker.where)
                elif kind in ("trial", "fold", "end") and number not in self.done | self.lost:
                    self._trial(place, event)
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            print(f"{kind} {number}: not recorded: {error}", flush=True)  # noqa: T201 - into tracking.log
            self.lost.add(number)
            self.open.pop(number, None)

    def close(self) -> None:
        """Leave the trials that are still open as they are."""
        with limited(self.limit_s):
            self.tracker.close()

    def _trial(self, place: int, event: dict[str, Any]) -> None:
        kind, number = event["event"], event["number"]
        if kind == "trial":
            if number not in self.open:
                self.tracker.start(event)
                self.open[number] = set()
        elif number not in self.open:
            return  # the line that started it was cut off by a crash
        elif kind == "fold" and event["fold"] not in self.open[number]:
            self.tracker.fold(event)
            self.open[number].add(event["fold"])
        elif kind == "end" and not self.happened.goes_on(number, place):
            self.tracker.end(event)
            del self.open[number]
            self.ledger.note(trial=number, end=place, where=self.tracker.where)


def told(event: dict[str, Any]) -> dict[str, str]:
    """What a summary event says in words: suspected leaks, and why the model should not be in production."""
    leaks = [
        name for found in event.get("findings", ()) if found["code"] == LEAK for name in found["columns"]
    ]
    texts = {"suspected_leaks": ", ".join(leaks), "doubts": "; ".join(event.get("doubts", ()))}
    return {key: text for key, text in texts.items() if text}


def finding_rows(event: dict[str, Any]) -> list[dict[str, str]]:
    """What a summary event says was found in the training rows, a row each."""
    return [
        {"code": found["code"], "columns": ", ".join(found["columns"]), "message": found["message"]}
        for found in event.get("findings", ())
    ]


def resolve_mode(config: TrackingConfig) -> str:
    """Where trials go: online, offline, mlflow or disabled; auto means online when there is a W&B key."""
    if config.mode == "disabled" or config.backend == "mlflow":
        return "disabled" if config.mode == "disabled" else "mlflow"
    if config.mode != "auto":
        return config.mode
    if asked := os.environ.get("WANDB_MODE"):
        return {"dryrun": "offline", "offline": "offline", "disabled": "disabled"}.get(asked, "online")
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    has_key = netrc.is_file() and "wandb" in netrc.read_text("utf-8", errors="replace")
    return "online" if has_key else "offline"


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer, even where it waits for something else."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"no answer within {seconds:g} s")

    began, before = time.monotonic(), signal.signal(signal.SIGALRM, stop)
    outer_s, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        left_s = max(outer_s - (time.monotonic() - began), 0.001) if outer_s else 0.0
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left_s)


def read_session(run: Run, writer: int | None, since: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Events of a run: those there are, or, given the writing parent, until its session ends.

    Args:
        run: The run.
        writer: Process id of the parent; while it lives, its `close` is waited for.
        since: Where in the file its session began; a `close` before is an earlier session's.
    """
    waits = None if writer is None else lambda: os.getppid() == writer
    for place, event in read_lines(run.events, waits):
        of_session = writer is not None and place >= since
        if of_session and event["event"] in ("close", "resume"):
            return
        yield place, event
