"""Counts, best scores and rates of a sweep, kept up change by change: no step looks at all trials."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

from models.trials import STATES

ENDED = ("completed", "stopped", "failed")
WINDOW_S = 60.0
# Below this many ended trials in the last minute, its rate says little about the next one.
ENOUGH_TRIALS = 3


@dataclass(frozen=True)
class Best:
    """The best score of some trials.

    Attributes:
        score: Mean over the folds the trial has finished.
        number, family: Which trial.
        complete: Whether it finished all its folds; a complete trial beats every other.
    """

    score: float
    number: int
    family: str
    complete: bool


@dataclass
class Going:
    """What is known of a running trial."""

    family: str
    score: float = math.nan
    n_folds: int = 0


class Rate:
    """Events per second over the last minute, or since the first look when that is shorter."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._total = 0
        self._began: float | None = None

    def begin(self, now: float) -> None:
        """Start the clock, unless it runs."""
        self._began = now if self._began is None else self._began

    def add(self, now: float, n: int = 1) -> None:
        """Count n events at time `now`, once the clock runs."""
        if n > 0:
            self._total += n
            self._times.extend([now] * n)
            self._drop(now)

    def recent(self, now: float) -> int:
        """Events in the last minute."""
        self._drop(now)
        return len(self._times)

    def per_s(self, now: float) -> float:
        """Over the last minute."""
        return self.recent(now) / min(WINDOW_S, self._span(now))

    def overall_per_s(self, now: float) -> float:
        """Since the clock was started."""
        return self._total / self._span(now)

    def _span(self, now: float) -> float:
        return max(1.0, now - self._began) if self._began is not None else 1.0

    def _drop(self, now: float) -> None:
        while self._times and self._times[0] <= now - WINDOW_S:
            self._times.popleft()


@dataclass
class Tally:
    """Trials by family and state; of ended trials only counts and best scores are kept.

    Attributes:
        mode: Whether lower ("min") or higher ("max") scores are better.
        running: The trials now running, by number.
        interrupted: Those that a resumed sweep goes on with, by number.
        counts: Family -> state -> trials.
        n_folds: Finished folds, all trials.
        trials, folds: How fast trials end, and folds.
        ensemble: Out-of-fold score of the running ensemble and its number of members, once there is one.
    """

    mode: Literal["min", "max"]
    running: dict[int, Going] = field(default_factory=dict)
    interrupted: dict[int, Going] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    n_folds: int = 0
    trials: Rate = field(default_factory=Rate)
    folds: Rate = field(default_factory=Rate)
    ensemble: tuple[float, int] | None = None
    _best: dict[str, Best] = field(default_factory=dict)

    def change(self, number: int, family: str, state: str, score: float, n_folds: int, now: float) -> None:
        """Take a trial's new state.

        Args:
            number: Which trial.
            family: Its family.
            state: running, interrupted, completed, stopped or failed.
            score: Mean over its finished folds; NaN without one.
            n_folds: Its finished folds.
            now: When it changed, in time.time().
        """
        before = self._leave(number)
        counts = self.counts.get(family)
        if counts is None:
            counts = self.counts[family] = Counter()
        counts[state] += 1
        done = before.n_folds if before is not None else 0
        n_folds = max(n_folds, done)  # a resumed trial begins with the folds it has
        self.n_folds += n_folds - done
        if before is None:  # folds that it has at the first meeting are an earlier session's
            self.trials.begin(now)
            self.folds.begin(now)
        else:
            self.folds.add(now, n_folds - done)
            self.trials.add(now, int(state in ENDED))
        if state == "running":
            self.running[number] = Going(family, score, n_folds)
        elif state == "interrupted":
            self.interrupted[number] = Going(family, score, n_folds)
        else:
            self._keep(Best(score, number, family, complete=state == "completed"))

    def _leave(self, number: int) -> Going | None:
        """Take a trial out of where it was."""
        for state, trials in (("running", self.running), ("interrupted", self.interrupted)):
            if (going := trials.pop(number, None)) is not None:
                self.counts[going.family][state] -= 1
                return going
        return None

    def best(self, family: str | None = None) -> Best | None:
        """The best trial of a family, or of all; running ones count with their folds so far."""
        # Lists first: the display reads from a thread of its own.
        kept = [b for f, b in list(self._best.items()) if family in (None, f)]
        going = [
            Best(g.score, number, g.family, complete=False)
            for number, g in [*self.running.items(), *self.interrupted.items()]
            if family in (None, g.family) and not math.isnan(g.score)
        ]
        return max([*kept, *going], key=self._rank, default=None)

    def count(self, state: str, family: str | None = None) -> int:
        """Trials in a state, of a family or of all."""
        return sum(counts[state] for f, counts in list(self.counts.items()) if family in (None, f))

    def n_trials(self, family: str | None = None) -> int:
        """Trials started."""
        return sum(self.count(state, family) for state in STATES)

    def n_ended(self) -> int:
        """Trials that are over, and not to be resumed."""
        return sum(self.count(state) for state in ENDED)

    def seconds_for(self, n_trials: int, now: float) -> float | None:
        """How long so many more trials will take at the latest rate; None before the first has ended."""
        recent = self.trials.recent(now) >= ENOUGH_TRIALS
        rate = self.trials.per_s(now) if recent else self.trials.overall_per_s(now)
        return max(0, n_trials) / rate if rate else None

    def _keep(self, new: Best) -> None:
        old = self._best.get(new.family)
        if not math.isnan(new.score) and (old is None or self._rank(new) > self._rank(old)):
            self._best[new.family] = new

    def _rank(self, best: Best) -> tuple[bool, float]:
        return best.complete, best.score if self.mode == "max" else -best.score
