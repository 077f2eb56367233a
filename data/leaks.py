"""Columns that give the target away."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from configs.schema import ProblemType
from data.encoder import Encoder
from data.findings import MIN_ROWS, Finding, Table
from data.messages import ignore, show
from data.metrics import r2, roc_auc

# A leak: one column whose cross-validated tree reaches this share of the variance (R2), or this AUC and what
# chance adds to it in few rows.
LEAK_SCORE = 0.98
SURE_SCORE = 0.995
LEAK_ROWS = 10_000
LEAK_ROWS_PER_CLASS = 200
LEAK_CLASSES = 30
LEAK_FOLDS = 3


def find_leaks(table: Table, tell: Callable[[str], None]) -> Iterable[Finding]:
    """Columns that predict the target alone, by a small cross-validated tree on a sample of the rows."""
    if table.target is None or len(table.y) < MIN_ROWS:
        return
    problem_type = table.target.problem_type
    rows = _sample(table.y, problem_type)
    sample, y = table.frame.iloc[rows], table.y[rows]
    scores = {}
    for place, spec in enumerate(table.kept, start=1):
        tell(f"Looking for leaks, column {place} of {len(table.kept)}")
        column = sample[[spec.name]]
        X = Encoder.fit(column, [spec]).transform(column)
        scores[spec.name] = _score_alone(X, y, problem_type)
    least = LEAK_SCORE
    if problem_type != "regression":
        least = min(SURE_SCORE, least + 0.2 / np.sqrt(len(y)))
    leaks = sorted((name for name, score in scores.items() if score >= least), key=lambda name: -scores[name])
    if leaks:
        what = "R2" if problem_type == "regression" else "AUC"
        shown = ", ".join(
            f"{show(name)} ({what} {np.floor(scores[name] * 1000) / 1000:.3f})" for name in leaks
        )
        yield Finding(
            "leak",
            f"{shown} {'each predict' if leaks[1:] else 'predicts'} {table.target.name!r} nearly alone: if not known "
            f"before the target is, leave {'them' if leaks[1:] else 'it'} out with {ignore(leaks)}",
            tuple(leaks),
        )


def _sample(y: np.ndarray, problem_type: ProblemType) -> np.ndarray:
    """Random rows, with more than their share of rare classes and without classes too rare to be validated."""
    shuffled = np.random.default_rng(0).permutation(len(y))
    if problem_type == "regression":
        return shuffled[:LEAK_ROWS]
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    counts = np.bincount(y)
    place_in_class = np.arange(len(y)) - (np.cumsum(counts) - counts)[y[by_class]]
    per_class = min(LEAK_ROWS_PER_CLASS, LEAK_ROWS // len(counts))
    rows = np.union1d(shuffled[:LEAK_ROWS], by_class[place_in_class < per_class])
    return rows[counts[y[rows]] >= LEAK_FOLDS]


def _score_alone(X: np.ndarray, y: np.ndarray, problem_type: ProblemType) -> float:
    from sklearn import model_selection, tree  # noqa: PLC0415 - slow to import

    limits = {"max_leaf_nodes": 200, "random_state": 0}
    n_least = len(y) // 1000
    if problem_type == "regression":
        # In standard units: the tree squares values as they are, and splits no node of a variance below 1e-16.
        y = (y - y.mean()) / (y.std() or 1.0)
        model = tree.DecisionTreeRegressor(min_samples_leaf=max(2, n_least), **limits)
        folds = model_selection.KFold(LEAK_FOLDS)
        return r2(y, model_selection.cross_val_predict(model, X, y, cv=folds)[:, np.newaxis])
    model = tree.DecisionTreeClassifier(min_samples_leaf=max(5, n_least), **limits)
    folds = model_selection.StratifiedKFold(LEAK_FOLDS, shuffle=True, random_state=0)
    P = model_selection.cross_val_predict(model, X, y, cv=folds, method="predict_proba")
    # Weighted by class: a rare class that stays hidden must not hide a leak of all others.
    labels, counts = np.unique(y, return_counts=True)
    most = np.argsort(-counts)[:LEAK_CLASSES]
    return float(np.average([roc_auc(y == labels[k], P[:, [k, k]]) for k in most], weights=counts[most]))
