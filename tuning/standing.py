"""How the ensemble stands while a sweep runs: what a complete trial brought to it, and what an unfinished one would.

Which trials have ended when another asks depends on timing. A sweep without a time budget must not: there a second
ensemble takes the trials in by their numbers, as late as proposals see them, and a trial asks that one as it was when
the trial was proposed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ensembles.running import Entry, Loss, RunningEnsemble, try_entry
from models.trials import read_oof_rows


class Standing:
    """An ensemble that nobody keeps; a sweep without one asks this.

    Also what the searcher tells, in this order: proposed, complete, seen, ended.
    """

    def proposed(self, number: int) -> None:
        """A trial is proposed, and has seen the trials it may see."""

    def complete(self, number: int, family: str) -> float:
        """A trial has finished all folds; returns how much it lowered the ensemble's loss."""
        return 0.0

    def seen(self, number: int, family: str) -> None:
        """Proposals now see a complete trial."""

    def ended(self, number: int) -> None:
        """A trial has ended, however."""

    def entry(self, number: int, family: str, n_folds: int) -> Entry | None:
        """What a running trial would bring, by its finished folds; None while there is no ensemble."""
        return None


class SweepStanding(Standing):
    """The ensemble of a sweep's complete trials.

    Args:
        y: Targets of the table, (n_samples,).
        folds: The fold in which each row is validated; -1: never.
        rows: Sorted indices of the rows it is judged on.
        loss: loss(y, predictions), lower is better.
        path_of: Folder of the trial of a number and family.
        lagged: Whether unfinished trials are judged by an ensemble that does not depend on timing.
        on_gain: Called with the number of a trial that changed the ensemble.
    """

    def __init__(
        self,
        y: np.ndarray,
        folds: np.ndarray,
        rows: np.ndarray,
        loss: Loss,
        path_of: Callable[[int, str], Path],
        *,
        lagged: bool,
        on_gain: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self.folds, self.rows, self.loss, self.path_of, self.on_gain = folds, rows, loss, path_of, on_gain
        self.ensemble = RunningEnsemble(y[rows], loss)
        self.late = RunningEnsemble(y[rows], loss) if lagged else None
        # A mean is never changed, only replaced by another; so one that is held stays as it was.
        self._asked: dict[int, np.ndarray | None] = {}

    def proposed(self, number: int) -> None:
        """See Standing."""
        if self.late is not None:
            self._asked[number] = self.late.mean

    def complete(self, number: int, family: str) -> float:
        """See Standing."""
        before = self.ensemble.n_members
        gain = self.ensemble.add(self._read(number, family, self.rows))
        if gain > 0 or not before:
            self.on_gain(number)
        return gain

    def seen(self, number: int, family: str) -> None:
        """See Standing."""
        if self.late is not None:
            self.late.add(self._read(number, family, self.rows))

    def ended(self, number: int) -> None:
        """See Standing."""
        self._asked.pop(number, None)

    def entry(self, number: int, family: str, n_folds: int) -> Entry | None:
        """See Standing."""
        mean = self.ensemble.mean if self.late is None else self._asked[number]
        if mean is None:
            return None
        done = self.folds[self.rows] < n_folds
        if not done.any():
            return None
        predictions = self._read(number, family, self.rows[done])
        return try_entry(self.ensemble.y[done], mean[done], predictions, self.loss)

    def _read(self, number: int, family: str, rows: np.ndarray) -> np.ndarray:
        return read_oof_rows(self.path_of(number, family), self.folds, rows)
