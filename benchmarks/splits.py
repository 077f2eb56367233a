"""Random splits of a table for the benchmarks of single families."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from configs.schema import DataConfig
from data.dataset import TabularDataset, load_dataset
from models.base import FitContext, Fold, Model, Task
from models.families import get_family


@dataclass(frozen=True)
class Split:
    """Rows to fit on, to stop on, and to score once.

    Shape: fold as models.base.Fold; X_test (n_test, n_features), y_test (n_test,).
    """

    task: Task
    fold: Fold
    X_test: np.ndarray
    y_test: np.ndarray


def read(table: str, categorical: Iterable[str] = (), ignore: Iterable[str] = ()) -> TabularDataset:
    """Read FILE:TARGET, all of its rows."""
    source, target = table.rsplit(":", 1)
    kinds = dict.fromkeys(categorical, "categorical")
    return load_dataset(DataConfig(source=source, target=target, kinds=kinds, ignore=tuple(ignore)))


def split(dataset: TabularDataset, test_share: float, val_share: float, seed: int) -> Split:
    """A random test share, and of the other rows a random share to stop on."""
    rows = np.random.RandomState(seed).permutation(dataset.n_rows)
    n_test = round(test_share * len(rows))
    n_val = round(val_share * (len(rows) - n_test))
    test, val, train = np.split(rows, [n_test, n_test + n_val])
    X, y = np.asarray(dataset.X), np.asarray(dataset.y)
    n_outputs = 1 if dataset.problem_type == "regression" else len(dataset.target.classes)
    task = Task(dataset.problem_type, n_outputs, dataset.encoder.cardinalities)
    return Split(task, Fold(X[train], y[train], X[val], y[val]), X[test], y[test])


def fit(family: str, params: dict, part: Split, seed: int, n_threads: int) -> tuple[Model, float]:
    """Fit a family; the model and the seconds it took."""
    start = time.monotonic()
    model = get_family(family).fit(params, part.task, part.fold, FitContext(n_threads, seed=seed))
    return model, time.monotonic() - start


def say(*values: object) -> None:
    """Print a line at once."""
    print(*values, flush=True)
