"""What happened when, as the run's events tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FoldSpan:
    """One fold on a worker; times are seconds of the sweep.

    Attributes:
        number: Its trial.
        fold: Index of the fold.
        worker: Node and process.
        began_s, total_s: When it began and how long it took.
        score: Score of the fold.
    """

    number: int
    fold: int
    worker: str
    began_s: float
    total_s: float
    score: float


@dataclass(frozen=True)
class EnsembleScore:
    """The running ensemble's out-of-fold score at a time of the sweep."""

    at_s: float
    score: float
    n_members: int


@dataclass
class History:
    """The events of a run. Times are seconds that the sweep has used, across its sessions.

    Attributes:
        facts: The newest `sweep` or `resume` event; empty when there is none.
        session_began: time.time() of that event.
        spans: Finished folds.
        scored_s: Trial number -> when its last score came.
        ensembles: Scores of the running ensemble.
        n_sessions: How often the sweep was started or resumed.
        n_damaged: Lines that could not be read, as a killed process leaves them.
        used_s: Seconds used up to the last event.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    session_began: float = 0.0
    spans: list[FoldSpan] = field(default_factory=list)
    scored_s: dict[int, float] = field(default_factory=dict)
    ensembles: list[EnsembleScore] = field(default_factory=list)
    n_sessions: int = 0
    n_damaged: int = 0
    used_s: float = 0.0

    def take(self, event: dict[str, Any]) -> None:
        """Add the next event of the file."""
        kind = event["event"]
        if kind in ("sweep", "resume"):
            self.facts = self.facts | event
            self.session_began = event["time"]
            self.n_sessions += 1
        at_s = event["time"] - self.facts.get("started", event["time"])
        if kind != "summary":  # `tabularay ensemble` writes one, long after the sweep
            self.used_s = max(self.used_s, at_s)
        if kind == "fold":
            self._take_fold(event, at_s)
        elif kind == "end" and event["number"] in self.scored_s:
            self.scored_s[event["number"]] = at_s
        elif kind == "ensemble":
            self.ensembles.append(EnsembleScore(at_s, event["score"], event["n_members"]))

    def _take_fold(self, event: dict[str, Any], at_s: float) -> None:
        self.scored_s[event["number"]] = at_s
        if "began" in event:
            worker = f"{event['node']}, process {event['worker']}"
            began_s = event["began"] - self.facts.get("started", event["began"])
            span = FoldSpan(
                event["number"], event["fold"], worker, began_s, event["total_s"], event["fold_score"]
            )
            self.spans.append(span)


def read_history(path: Path) -> History:
    """Read an event file, whole or still growing; a line that is no event is counted and left out."""
    history = History()
    for event in _events(path):
        try:
            history.take(event)
        except (KeyError, TypeError):
            history.n_damaged += 1
    return history


def _events(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                event = {}
            yield event if isinstance(event, dict) else {}
