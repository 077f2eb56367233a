"""What of a run is recorded: a line per trial in `tracking.jsonl`, so that a new tracker repeats nothing.

A trial is recorded when the line names the place (in bytes) of its newest `end` in the event file. A trial that a
resumed sweep went on with has a newer end, or none yet, and so is recorded again, under the same id.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import ConfigError
from tuning.runs import Run

POLL_S = 0.1
HELD_S = 30.0
# Which records will do for a tracker that writes to the key: files do while there is no server to send them to.
ACCEPTED = {"offline": ("offline", "online"), "online": ("online",), "mlflow": ("mlflow",)}


@dataclass
class Tracked:
    """What the lines of tracking.jsonl add up to.

    Attributes:
        trials: Where -> trial number -> place of the `end` that was recorded.
        summary: Where -> place of the newest summary that was recorded.
        sweep: Id of the W&B sweep, if there is one.
        fallback: Why W&B was given up, if it was.
    """

    trials: dict[str, dict[int, int]] = field(default_factory=dict)
    summary: dict[str, int] = field(default_factory=dict)
    sweep: str | None = None
    fallback: str | None = None

    def has(self, number: int, end: int | None, where: str) -> bool:
        """Whether a trial that ended there is recorded well enough for a tracker that writes to `where`."""
        return end is not None and any(self.trials.get(w, {}).get(number) == end for w in ACCEPTED[where])

    def has_summary(self, place: int, where: str) -> bool:
        """Whether this summary, or a newer one, is recorded."""
        return any(self.summary.get(w, -1) >= place for w in ACCEPTED[where])


class Ledger:
    """The file tracking.jsonl of a run.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.path = run.path / "tracking.jsonl"

    def note(self, **values: Any) -> None:
        """Append a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def read(self) -> Tracked:
        """All lines, added up."""
        tracked = Tracked()
        for _, line in read_lines(self.path) if self.path.exists() else ():
            if "trial" in line:
                tracked.trials.setdefault(line["where"], {})[line["trial"]] = line["end"]
            elif "summary" in line:
                tracked.summary[line["where"]] = line["summary"]
            tracked.sweep = line.get("sweep", tracked.sweep)
            tracked.fallback = line.get("fallback", tracked.fallback)
        return tracked

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the run's only tracker; one that is just ending is waited for.

        Raises: ConfigError: another one goes on.
        """
        deadline = time.monotonic() + HELD_S
        with (self.run.logs / "tracking.lock").open("a", encoding="utf-8") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ConfigError(f"{self.run.path}: is being tracked by another process") from None
                    time.sleep(POLL_S)
            yield


@dataclass(frozen=True)
class Happened:
    """What the event file holds so far.

    Attributes:
        ends: Trial number -> place of its newest `end`; None while it runs.
        summary: Place of the newest summary, or None.
        size: How far it was read.
    """

    ends: dict[int, int | None]
    summary: int | None
    size: int

    @classmethod
    def of(cls, run: Run) -> Happened:
        """Read a run's event file."""
        ends: dict[int, int | None] = {}
        summary, place = None, -1
        for place, event in read_lines(run.events) if run.events.exists() else ():
            if event["event"] == "trial":
                ends[event["number"]] = None
            elif event["event"] == "end":
                ends[event["number"]] = place
            elif event["event"] == "summary":
                summary = place
        return cls(ends, summary, place + 1)

    def goes_on(self, number: int, place: int) -> bool:
        """Whether a trial's end there is an earlier session's, after which a resumed sweep went on with it."""
        return place < self.size and self.ends.get(number) != place


def read_lines(path: Path, wait: Callable[[], bool] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON lines of a file that may still grow, each with its place in bytes.

    A line that is no JSON was cut off by a crash, and what was written next may be part of it; it is left out.

    Args:
        path: The file.
        wait: Asked at the file's end whether more is to come; default: no.
    """
    with path.open("rb") as file:
        place, line = 0, b""
        while True:
            more = wait is not None and wait()
            line += file.readline()
            if line.endswith(b"\n"):
                value = _parse(line)
                if value is not None:
                    yield place, value
                place, line = place + len(line), b""
            elif more:
                time.sleep(POLL_S)
            else:
                return


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        print(f"left out, as it is no whole line: {line[:100]!r}", flush=True)  # noqa: T201 - into tracking.log
        return None
