"""The ensemble as it stands while a sweep runs: what does one more trial bring?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Loss = Callable[[np.ndarray, np.ndarray], float]
MOST_ROWS = 10_000
SHARES = (0.5, 0.3, 0.2, 0.1, 0.05)


class RunningEnsemble:
    """A weighted mean of out-of-fold predictions that only takes in what lowers its loss.

    Unlike greedy selection it never looks back, so that a trial costs the same however many came before it; the
    ensemble that is kept in the end is selected anew.

    Shape: y (n_samples,); predictions float32 (n_samples, n_outputs).

    Args:
        y: Targets, as `loss` takes them.
        loss: loss(y, predictions), lower is better.
    """

    def __init__(self, y: np.ndarray, loss: Loss) -> None:
        self.y = y
        self._loss = loss
        self.mean: np.ndarray | None = None
        self.loss = float("inf")
        self.n_members = 0

    def add(self, predictions: np.ndarray) -> float:
        """Take a trial in at the share that lowers the loss most, if any does.

        Returns: how much the loss fell; 0.0 for the first trial, which has nothing to be compared with.
        """
        if not np.isfinite(predictions).all():
            return 0.0
        if self.mean is None:
            self.mean, self.loss, self.n_members = predictions, self._loss(self.y, predictions), 1
            return 0.0
        mixes = [(1 - share) * self.mean + share * predictions for share in (1.0, *SHARES)]
        losses = [self._loss(self.y, mix) for mix in mixes]
        best = int(np.argmin(losses))
        gain = self.loss - losses[best]
        if not gain > 0:
            return 0.0
        self.mean, self.loss = mixes[best], losses[best]
        self.n_members = 1 if best == 0 else self.n_members + 1
        return gain


def sample_rows(folds: np.ndarray, seed: int, most: int = MOST_ROWS) -> np.ndarray:
    """Rows on which a running ensemble is judged: all validated ones, or as many of them at random.

    Args:
        folds: (n_samples,), the fold in which each row is validated; -1: never.
        seed: Seeds the choice.
        most: Largest number of rows.

    Returns: sorted row indices.
    """
    validated = np.flatnonzero(folds >= 0)
    if len(validated) <= most:
        return validated
    return np.sort(np.random.default_rng(seed).choice(validated, most, replace=False))
