"""The model to beat: LightGBM as its library ships it, on all training rows."""

from __future__ import annotations

import lightgbm
import numpy as np

from models.base import Task

# Below this many rows x outputs a tree is too small to share: threads that wait for each other at every split
# cost more than they bring, and ten times more when another process holds one of the cores.
ONE_THREAD_BELOW = 1_000_000


def predict_untuned_lightgbm(
    task: Task, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, n_threads: int = 1
) -> np.ndarray:
    """Fit LightGBM with the library's own parameters and predict other rows.

    Shape: X (n_samples, n_features), y (n_samples,), X_test (n_test, n_features) -> (n_test, n_outputs).
    """
    if len(X) * task.n_outputs < ONE_THREAD_BELOW:
        n_threads = 1
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
    rows = lightgbm.Dataset(np.asarray(X), y, categorical_feature=categorical or "auto")
    out = np.asarray(lightgbm.train(params, rows).predict(np.asarray(X_test), num_threads=n_threads))
    if task.problem_type == "binary":
        return np.column_stack([1 - out, out])
    return out.reshape(len(X_test), -1)
