"""Classes that a model's training rows lack: what is left to them, so that none is held to be impossible.

In folds of whole groups or of time, and of classes with a row or two, a model meets classes that it was never shown.
Left alone, boosted trees answer 1e-15 of them, which costs 36 nats for each such row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.base import Fold, Task


@dataclass(frozen=True)
class Unseen:
    """What a model keeps back for classes it was not shown.

    Of n rows that hold none of a class one knows no more than that its share lies somewhere between a single row and
    most of a new group: between 1 / n and 1, of which 1 / sqrt(n) is the middle in orders of magnitude. A model gives
    1 / (1 + sqrt(n)) to all classes it lacks together, in equal parts, and the rest to its own answer. A model that was
    shown every class keeps nothing back.

    Attributes:
        codes: The classes.
        share: Probability that they have together.
    """

    codes: tuple[int, ...] = ()
    share: float = 0.0

    @classmethod
    def of(cls, y: np.ndarray, task: Task) -> Unseen:
        """What a model fitted to these labels keeps back; nothing for regression.

        Shape: y (n_train,).
        """
        if task.is_regression:
            return cls()
        codes = np.setdiff1d(np.arange(task.n_outputs), y)
        return cls(tuple(codes.tolist()), 1 / (1 + float(np.sqrt(len(y))))) if len(codes) else cls()

    def floor(self, n_classes: int) -> np.ndarray:
        """What is added to each class; zero for those that were there.

        Shape: -> (n_classes,).
        """
        out = np.zeros(n_classes)
        out[list(self.codes)] = self.share / max(1, len(self.codes))
        return out

    def apply(self, P: np.ndarray) -> np.ndarray:
        """Probabilities with the classes' part; as they were where none is missing.

        Shape: (..., n_classes) -> the same, of the same type.
        """
        if not self.codes:
            return P
        return ((1 - self.share) * P + self.floor(P.shape[-1])).astype(P.dtype)


ALL_SEEN = Unseen()


def rows_to_stop_on(fold: Fold, task: Task) -> Fold:
    """The fold without those validation rows whose class no training row has, unless there are no others.

    Whatever a fit does, it does worse on them step by step, and would be stopped at its first.
    """
    if task.is_regression:
        return fold
    known = np.isin(fold.y_val, fold.y_train)
    if known.all() or not known.any():
        return fold
    return replace(fold, X_val=fold.X_val[known], y_val=fold.y_val[known])
