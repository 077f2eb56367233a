"""Starting points of the boosting families beside what their libraries ship, on the same test rows.

python -m benchmarks.boosting                                     the committed sample, some minutes
python -m benchmarks.boosting --seeds 3 homes.csv:price letters.csv:letter

Per seed, a random fifth of the rows is the test. The library's own classifier or regressor, told which columns are
categories, learns from all other rows. Ours is one model with the family's first starting point; a tenth of the
other rows only tells it when to stop, so it learns from fewer rows (a job averages models that together see all).

For two classes or a value, a table with categories also gets five-fold validation scores of two ways to use them:
as the families do, by native splits, and replaced by smoothed out-of-fold means of the target.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import xgboost

from benchmarks.quality import SAMPLE
from configs.schema import DataConfig
from data.dataset import TabularDataset, load_dataset
from data.metrics import METRICS, score
from data.sources import load_table
from models.base import FitContext, Fold, Model, Task
from models.families import get_family
from search_spaces import get_space

FAMILIES = ("lightgbm", "xgboost")
SCORES = {"binary": ("roc_auc", "log_loss"), "multiclass": ("log_loss",), "regression": ("rmse",)}
CATEGORIES = ["SEX", "EDUCATION", "MARRIAGE"]
SMOOTHING = 10
INNER_FOLDS = 5


def main() -> None:
    """Print a line per table, family and metric, and how often ours is better."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", default=[SAMPLE], metavar="FILE:TARGET")
    parser.add_argument("--data", type=Path, default=Path(), metavar="FOLDER", help="where the files lie")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="random splits, default 5")
    parser.add_argument(
        "--categorical",
        nargs="*",
        default=CATEGORIES,
        metavar="COLUMN",
        help=f"numbers that are categories, in whichever table has them (default: {' '.join(CATEGORIES)})",
    )
    options = parser.parse_args()
    configs = [_config(options.data, table, options.categorical) for table in options.tables]
    _print_head("library", "ours", "seeds won")
    better = [won for config in configs for won in compare_defaults(config, options.seeds)]
    print(f"better on {sum(better)} of {len(better)} (tables x families, by the first metric)\n")
    _print_head("native", "statistic", "folds won")
    for config in configs:
        compare_categories(config)


def _config(folder: Path, table: str, categorical: list[str]) -> DataConfig:
    source, target = table.rsplit(":", 1)
    columns = load_table(str(folder / source)).columns
    kinds = {name: "categorical" for name in categorical if name in columns}
    return DataConfig(source=str(folder / source), target=target, kinds=kinds)


def compare_defaults(config: DataConfig, n_seeds: int) -> list[bool]:
    """Print the test scores of one table; whether ours is better, by family."""
    scores: dict[str, list[tuple[dict, dict]]] = {family: [] for family in FAMILIES}
    for seed in range(n_seeds):
        table = load_dataset(config.model_copy(update={"test_size": 0.2, "n_folds": 10}), seed=seed)
        for family in FAMILIES:
            P = predict_library(family, table, seed), predict_ours(family, table, seed)
            scores[family].append(tuple(_scores(table, table.y_test, p) for p in P))
    return [_print(table.name, family, "library", "ours", scores[family]) for family in FAMILIES]


def compare_categories(config: DataConfig) -> None:
    """Print the validation scores of one table with categories, by native splits and by statistics."""
    table = load_dataset(config)
    task = Task.of(table)
    if not any(task.cardinalities) or task.problem_type == "multiclass":
        return
    for family in FAMILIES:
        scores = []
        for k in range(table.n_folds):
            fold = _fold(table, k)
            ways = (fold, task), with_statistics(fold, task)
            P = [_fit(family, task, fold, 0).predict(fold.X_val).mean for fold, task in ways]
            scores.append(tuple(_scores(table, fold.y_val, p) for p in P))
        _print(table.name, family, "native", "statistic", scores)


def predict_library(family: str, table: TabularDataset, seed: int) -> np.ndarray:
    """Test predictions of the library's own estimator."""
    sizes = table.encoder.cardinalities
    kind = "Regressor" if table.problem_type == "regression" else "Classifier"
    if family == "lightgbm":
        codes = [index for index, size in enumerate(sizes) if size]
        model = getattr(lightgbm, f"LGBM{kind}")(n_jobs=1, random_state=seed, verbose=-1)
        model.fit(table.X, table.y, categorical_feature=codes or "auto")
    else:
        types = ["c" if size else "q" for size in sizes]
        settings: dict[str, Any] = {"feature_types": types, "enable_categorical": True}
        model = getattr(xgboost, f"XGB{kind}")(n_jobs=1, random_state=seed, **settings)
        model.fit(table.X, table.y)
    return model.predict(table.X_test) if kind == "Regressor" else model.predict_proba(table.X_test)


def predict_ours(family: str, table: TabularDataset, seed: int) -> np.ndarray:
    """Test predictions of the family's first starting point, stopped on the first fold."""
    return _fit(family, Task.of(table), _fold(table, 0), seed).predict(table.X_test).mean


def with_statistics(fold: Fold, task: Task) -> tuple[Fold, Task]:
    """Replace codes by the target's smoothed mean in their category: of other training rows, or of all of them.

    Source: Micci-Barreca 2001; out of fold within the training rows, as their own target must not leak.
    """
    X_train, X_val = fold.X_train.copy(), fold.X_val.copy()
    inner = np.random.default_rng(0).integers(INNER_FOLDS, size=len(X_train))
    for column, size in enumerate(task.cardinalities):
        if size:
            codes, new = (np.nan_to_num(X[:, column], nan=size).astype(int) for X in (X_train, X_val))
            for k in range(INNER_FOLDS):
                X_train[inner == k, column] = _means(codes[inner != k], fold.y_train[inner != k], size)[
                    codes[inner == k]
                ]
            X_val[:, column] = _means(codes, fold.y_train, size)[new]
    numbers = Task(task.problem_type, task.n_outputs, (0,) * len(task.cardinalities))
    return Fold(X_train, fold.y_train, X_val, fold.y_val), numbers


def _means(codes: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    counts, sums = np.bincount(codes, minlength=size + 1), np.bincount(codes, y, minlength=size + 1)
    return (sums + SMOOTHING * y.mean()) / (counts + SMOOTHING)


def _fit(family: str, task: Task, fold: Fold, seed: int) -> Model:
    _, defaults = get_space(family, task.problem_type)
    return get_family(family).fit(defaults[0], task, fold, FitContext(seed=seed))


def _fold(table: TabularDataset, k: int) -> Fold:
    val = table.folds == k
    return Fold(table.X[~val], table.y[~val], table.X[val], table.y[val])


def _scores(table: TabularDataset, y: np.ndarray, P: np.ndarray) -> dict[str, float]:
    return {metric: score(metric, y, P) for metric in SCORES[table.problem_type]}


def _print_head(first: str, second: str, won: str) -> None:
    print(f"{'table':<28} {'family':<9} {'metric':<9} {first:>10} {second:>10} {won:>9} winner")


def _print(name: str, family: str, first: str, second: str, scores: list[tuple[dict, dict]]) -> bool:
    """Print the mean of each metric; whether the second is better by the first metric."""
    verdicts = []
    for metric in scores[0][0]:
        one, two = (np.array([pair[i][metric] for pair in scores]) for i in (0, 1))
        sign = 1 if METRICS[metric].mode == "min" else -1
        won, better = (sign * two < sign * one).sum(), bool(sign * two.mean() < sign * one.mean())
        verdicts.append(better)
        means = f"{one.mean():>10.5g} {two.mean():>10.5g}"
        count = f"{won} of {len(scores)}"
        print(
            f"{name:<28} {family:<9} {metric:<9} {means} {count:>9} {second if better else first}", flush=True
        )
    return verdicts[0]


if __name__ == "__main__":
    main()
