"""Which rows train the model of a fold; apart from data/splits.py, so that workers need not import scikit-learn."""

from __future__ import annotations

import numpy as np

from configs.schema import SplitKind


def training_rows(folds: np.ndarray, fold: int, kind: SplitKind) -> np.ndarray:
    """Which rows train the model that is validated on a fold.

    All that are not validated in it; of a split in time, only those of earlier folds.

    Shape: folds (n_rows,), -1 where a row is never validated -> bool (n_rows,).
    """
    return folds < fold if kind == "time" else folds != fold
