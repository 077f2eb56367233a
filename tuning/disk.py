"""Keeps the models of a sweep within a budget of disk: those go first that the ensemble would miss least."""

from __future__ import annotations

import heapq
import math
import shutil
from collections.abc import Callable
from pathlib import Path


class DiskBudget:
    """Drops models of trials that cannot enter the ensemble; scores and predictions stay.

    A trial that was stopped or failed has no use for its models. Of the others the worst go once all together take
    more than the budget.

    Args:
        budget_bytes: Most that the models of all trials may take.
        mode: "max" or "min".
        gain_of: How much a trial lowered the loss of the running ensemble; one that did goes after those that did not.
    """

    def __init__(self, budget_bytes: float, mode: str, gain_of: Callable[[int], float]) -> None:
        self.gain_of = gain_of
        self.budget_bytes = budget_bytes
        self.sign = 1.0 if mode == "max" else -1.0
        self.used_bytes = 0
        self._kept: list[tuple[bool, float, int, int, Path]] = []

    def end(self, number: int, folder: Path, score: float, *, keep: bool) -> None:
        """Take an ended trial in, and make room where it is needed.

        Args:
            number: The trial.
            folder: Its folder.
            score: Its score.
            keep: Whether it may enter the ensemble.
        """
        if not keep:
            drop_models(folder)
            return
        size = sum(f.stat().st_size for f in folder.glob("fold_*/model/**/*"))
        self.used_bytes += size
        worth = -math.inf if math.isnan(score) else self.sign * score
        heapq.heappush(self._kept, (self.gain_of(number) > 0, worth, -number, size, folder))
        while self.used_bytes > self.budget_bytes and len(self._kept) > 1:
            *_worth, size, worst = heapq.heappop(self._kept)
            drop_models(worst)
            self.used_bytes -= size


def drop_models(folder: Path) -> None:
    """Delete a trial's models."""
    for model in folder.glob("fold_*/model"):
        shutil.rmtree(model)
