"""The model to beat: LightGBM as its library ships it, on all training rows."""

from __future__ import annotations

import time

import lightgbm
import numpy as np

from models.base import FitContext, Task
from models.boosting import TargetScale
from models.unseen import Unseen

# Below this many rows x outputs a tree is too small to share: threads that wait for each other at every split
# cost more than they bring, and ten times more when another process holds one of the cores.
ONE_THREAD_BELOW = 1_000_000


class _TooLateError(Exception):
    """The deadline came before the last round."""


def predict_untuned_lightgbm(
    task: Task, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, context: FitContext
) -> np.ndarray | None:
    """Fit LightGBM with the library's own parameters and predict other rows.

    Returns: predictions, or None where the deadline came first: a baseline cut short is none.
    Shape: X (n_samples, n_features), y (n_samples,), X_test (n_test, n_features) -> (n_test, n_outputs).
    """
    n_threads = context.n_threads if len(X) * task.n_outputs >= ONE_THREAD_BELOW else 1
    objective = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}[
        task.problem_type
    ]
    params = {
        "objective": objective,
        "num_threads": n_threads,
        "verbose": -1,
        "seed": 0,
        "deterministic": True,
    }
    if task.problem_type == "multiclass":
        params["num_class"] = task.n_outputs
    categorical = [i for i, n in enumerate(task.cardinalities) if n]
    scale = TargetScale.of(y, task)  # LightGBM keeps targets in 32 bits
    labels = (y - scale.center) / scale.spread if task.is_regression else y
    rows = lightgbm.Dataset(np.asarray(X), labels, categorical_feature=categorical or "auto")

    def stop_late(_env: lightgbm.callback.CallbackEnv) -> None:
        if context.deadline is not None and time.monotonic() > context.deadline:
            raise _TooLateError

    try:
        model = lightgbm.train(params, rows, callbacks=[stop_late])
    except _TooLateError:
        return None
    out = np.asarray(model.predict(np.asarray(X_test), num_threads=n_threads))
    if task.problem_type == "binary":
        out = np.column_stack([1 - out, out])
    if not task.is_regression:
        return Unseen.of(y, task).apply(out)
    return scale.undo(out.reshape(len(X_test), -1))
