"""Weights of classes, on request."""

from __future__ import annotations

import numpy as np

from errors import ConfigError
from models.base import Fold, Task


def class_weights(class_weight: str | None, y: np.ndarray, task: Task) -> np.ndarray | None:
    """Weights that give every class the same total over the training rows; None where none are asked for.

    Probabilities then answer for a table with equally frequent classes: ranks may improve, log-loss and
    calibration suffer.

    Args:
        class_weight: None, or "balanced".
        y: Class codes of the training rows (n_train,).
        task: What the rows pose.

    Shape: -> (n_classes,); they average 1 over the training rows. A class without a row weighs 1.
    Raises: ConfigError: the target is no class.
    Source: class_weight="balanced" of scikit-learn.
    """
    if class_weight is None:
        return None
    if task.is_regression:
        raise ConfigError(
            f"class_weight: got {class_weight!r} for a regression target, which has no classes; allowed: null"
        )
    counts = np.bincount(y, minlength=task.n_outputs)
    shares = counts * np.count_nonzero(counts) / len(y)
    return 1 / np.where(counts, shares, 1.0)


def row_weights(
    class_weight: str | None, fold: Fold, task: Task
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Class weights of training and validation rows, from the classes of the training rows; None for none.

    Shape: -> (n_train,) and (n_val,).
    Raises: ConfigError: see class_weights.
    """
    weights = class_weights(class_weight, fold.y_train, task)
    return (None, None) if weights is None else (weights[fold.y_train], weights[fold.y_val])
