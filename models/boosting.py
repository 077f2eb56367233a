"""What the two boosting families share: when to stop, and targets in standard units."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from models.base import Fold, History, Task

MAX_POINTS = 200
# From so many features on, memory is looked after.
WIDE = 500
# Histograms may take so many times the table's memory, and this much anyway.
HISTOGRAM_SHARE, LEAST_HISTOGRAM_BYTES = 4, 64 * 2**20


def histograms_in_memory(X: np.ndarray, max_bin: int, most: int) -> int | None:
    """How many nodes' histograms may be kept at once; None: all, as they are small or the table is not wide.

    A histogram has a sum of gradients and one of hessians for every bin of every feature. With thousands of features
    those of all leaves are a hundred times the table; what is not kept is counted again.

    Args:
        X: (n_samples, n_features).
        max_bin: Bins of a feature.
        most: Nodes whose histograms a tree has use for.
    """
    if X.shape[1] < WIDE:
        return None
    each = histogram_bytes(X, max_bin)
    kept = max(LEAST_HISTOGRAM_BYTES, HISTOGRAM_SHARE * X.nbytes) // each
    return None if kept >= most else max(2, kept)


def histogram_bytes(X: np.ndarray, max_bin: int) -> int:
    """Bytes of one node's histogram."""
    return 16 * X.shape[1] * max(2, min(max_bin, X.shape[0]))


def patience(learning_rate: float) -> int:
    """Rounds without a better validation loss after which a fit ends: 4 / learning_rate, between 100 and 300.

    Smaller steps need more rounds for the same progress; below 100, noise ends fits too early.
    Source: Holzmüller et al. 2024, arXiv 2407.04491, which uses 300 rounds at rates of .04 to .09.
    """
    return int(np.clip(round(4 / learning_rate), 100, 300))


@dataclass
class StopRule:
    """Watches a fit round by round; ends it at the deadline, or when the validation loss stops falling.

    Attributes:
        patience: Rounds without improvement that end the fit.
        deadline: time.monotonic() that ends it, or None.
    """

    patience: int
    deadline: float | None
    train: list[float] = field(default_factory=list)
    val: list[float] = field(default_factory=list)
    best: int = 0
    stop_reason: str = "complete"

    def update(self, train_loss: float, val_loss: float) -> bool:
        """Record a round; whether the fit must end now."""
        self.train.append(train_loss)
        self.val.append(val_loss)
        latest = len(self.val) - 1
        if val_loss < self.val[self.best]:
            self.best = latest
        if latest - self.best >= self.patience:
            self.stop_reason = "patience"
        elif self.deadline is not None and time.monotonic() >= self.deadline:
            self.stop_reason = "deadline"
        return self.stop_reason != "complete"

    def history(self) -> History:
        """The losses, thinned to at most 200 points."""
        every = -(-max(len(self.val), 1) // MAX_POINTS)
        return History(self.train[::every], self.val[::every], self.best, every, self.stop_reason)


@dataclass(frozen=True)
class TargetScale:
    """Mean and spread of a regression target; 0 and 1 for classes.

    Fitting in standard units makes penalties mean the same on every table, and keeps the digits of targets
    far from zero, which both libraries store in 32 bits.
    """

    center: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, y: np.ndarray, task: Task) -> TargetScale:
        """Measure a target; a constant one keeps a spread of 1.

        Shape: y (n_samples,).
        """
        if not task.is_regression:
            return cls()
        spread = float(np.std(y))
        return cls(float(np.mean(y)), spread if spread > 0 else 1.0)

    def apply(self, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
        """Training and validation targets in standard units."""
        return (fold.y_train - self.center) / self.spread, (fold.y_val - self.center) / self.spread

    def of_units(self, other: TargetScale) -> tuple[float, float]:
        """Factor and shift that turn values in the other's units into values in these."""
        return other.spread / self.spread, (other.center - self.center) / self.spread

    def undo(self, values: np.ndarray) -> np.ndarray:
        """Values in the target's own units."""
        return values * self.spread + self.center


def as_mean(raw: np.ndarray, task: Task, scale: TargetScale) -> np.ndarray:
    """Summed leaf values (log-odds, logits, or the scaled value) as `Prediction.mean`.

    Shape: raw (n_samples,) or (n_samples, n_outputs) -> (n_samples, n_outputs).
    """
    raw = raw.astype(np.float64)
    if task.is_regression:
        return scale.undo(raw).reshape(-1, 1)
    logits = np.stack([np.zeros_like(raw), raw], axis=1) if task.problem_type == "binary" else raw
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
