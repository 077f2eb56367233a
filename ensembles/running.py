"""The ensemble as it stands while a sweep runs: what does one more trial bring?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Loss = Callable[[np.ndarray, np.ndarray], float]
MOST_ROWS = 10_000
SHARES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05)
# Parts of the rows that are left out, one at a time, to see how much a gain is luck; and how many standard errors are
# more than that.
N_PARTS = 10
SURE = 2.0
# A gain of less than this share of the loss is rounding, as between two equal trials.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Entry:
    """What a trial would bring to an ensemble, judged on the rows that it has predicted so far.

    Attributes:
        gain: How much the best mix lowers the loss there; below 0 where every mix raises it.
        noise: Standard error of the gain: how much it hangs on which rows these are.
    """

    gain: float
    noise: float

    @property
    def can(self) -> bool:
        """Whether the ensemble would take the trial in."""
        return self.gain > 0

    @property
    def cannot(self) -> bool:
        """Whether it would not, and not for these rows alone."""
        return self.gain < -SURE * self.noise


class RunningEnsemble:
    """A weighted mean of out-of-fold predictions that only takes in what lowers its loss.

    Unlike greedy selection it never looks back, so that a trial costs the same however many came before it; the
    ensemble that is kept in the end is selected anew.

    Shape: y (n_samples,); predictions (n_samples, n_outputs).

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
        share, mean, least = _best_mix(self.y, self.mean, predictions, self._loss)
        gain = self.loss - least
        if not gain > 0:
            return 0.0
        self.mean, self.loss = mean, least
        self.n_members = 1 if share == 1.0 else self.n_members + 1
        return gain


def try_entry(y: np.ndarray, mean: np.ndarray, predictions: np.ndarray, loss: Loss) -> Entry:
    """What mixing predictions into an ensemble's mean would bring, at the share that lowers the loss most.

    The noise is a jackknife's over tenths of the rows, with the share that was best on all of them; it asks nothing of
    the metric but its value.

    Shape: y (n_samples,); mean, predictions (n_samples, n_outputs).

    Args:
        y: Targets, as `loss` takes them.
        mean: The ensemble's predictions.
        predictions: The trial's.
        loss: loss(y, predictions), lower is better.
    """
    if not np.isfinite(predictions).all():
        return Entry(float("-inf"), 0.0)
    _share, best, least = _best_mix(y, mean, predictions, loss)
    before, n_parts = loss(y, mean), min(N_PARTS, len(y))
    gain = before - least if abs(before - least) > ROUNDING * abs(before) else 0.0
    if n_parts == 1:
        return Entry(gain, float("inf"))
    part, without = np.arange(len(y)) % N_PARTS, []
    for k in range(n_parts):
        rows = part != k
        without.append(loss(y[rows], mean[rows]) - loss(y[rows], best[rows]))
    return Entry(gain, float(np.sqrt((n_parts - 1) * np.var(without))))


def _best_mix(
    y: np.ndarray, mean: np.ndarray, predictions: np.ndarray, loss: Loss
) -> tuple[float, np.ndarray, float]:
    """The share of the predictions that makes the mean's loss least, the mean with it, and that loss."""
    mixes = [(1 - share) * mean + share * predictions for share in SHARES]
    losses = [loss(y, mix) for mix in mixes]
    best = int(np.argmin(losses))
    return SHARES[best], mixes[best], losses[best]


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
