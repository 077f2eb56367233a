"""Columns that give the target away."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from configs.schema import ProblemType
from data.encoder import Encoder
from data.features import FeatureSpec
from data.findings import LEAK, MIN_ROWS, Allowance, Finding, Table, as_numbers
from data.messages import ignore, show
from data.metrics import r2, roc_auc
from data.screening import screen
from data.target import Target
from data.values import factorise

# A leak: one column whose cross-validated tree reaches this share of the variance (R2), or this AUC and what
# chance adds to it in few rows.
LEAK_SCORE = 0.98
SURE_SCORE = 0.995
LEAK_ROWS = 10_000
LEAK_ROWS_PER_CLASS = 200
LEAK_CLASSES = 30
LEAK_FOLDS = 3
# A column that reaches less on the rows it is judged on is no leak; and so many columns are judged by trees at most.
WORTH_AUC, WORTH_R2 = 0.85, 0.7
MOST_TREES = 200
MOST_SHOWN = 12


def find_leaks(
    table: Table, tell: Callable[[str], None], allowance: Allowance | None = None
) -> Iterable[Finding]:
    """Columns that predict the target alone, by a small cross-validated tree on a sample of the rows.

    Only columns that could are given a tree: those that tell the target well on the very rows they are judged on.

    Args:
        table: The table.
        tell: Called with what is being done.
        allowance: When to end, and what then was left out.
    """
    if table.target is None or len(table.y) < MIN_ROWS:
        return
    allowance = allowance or Allowance()
    problem_type = table.target.problem_type
    rows = _sample(table.y, problem_type)
    if len(rows) < MIN_ROWS:
        return
    sample, y = table.frame.iloc[rows], table.y[rows]
    tell(f"Looking for leaks in {len(table.kept):,} columns")
    bounds = {}
    for spec in table.kept:
        if allowance.is_over:
            allowance.leave_out(f"leaks in {len(table.kept) - len(bounds):,} of {len(table.kept):,} columns")
            break
        bounds[spec] = _bound(sample[spec.name], spec, y, problem_type)
    least_bound = WORTH_R2 if problem_type == "regression" else WORTH_AUC
    likely = sorted((s for s, bound in bounds.items() if bound >= least_bound), key=lambda s: -bounds[s])
    scores: dict[str, float] = {}
    for place, spec in enumerate(likely, start=1):
        if allowance.is_over or len(scores) == MOST_TREES:
            allowance.leave_out(f"leaks in {len(likely) - len(scores):,} of {len(likely):,} likely columns")
            break
        tell(f"Looking for leaks, column {place} of {len(likely)}")
        column = sample[[spec.name]]
        X = Encoder.fit(column, [spec]).transform(column)
        scores[spec.name] = _score_alone(X, y, problem_type)
    least = LEAK_SCORE
    if problem_type != "regression":
        least = min(SURE_SCORE, least + 0.2 / np.sqrt(len(y)))
    leaks = sorted((name for name, score in scores.items() if score >= least), key=lambda name: -scores[name])
    if leaks:
        yield _finding(leaks, scores, table.target)


def _finding(leaks: list[str], scores: dict[str, float], target: Target) -> Finding:
    what = "R2" if target.problem_type == "regression" else "AUC"
    shown = [f"{show(name)} ({what} {np.floor(scores[name] * 1000) / 1000:.3f})" for name in leaks]
    rest = f" and {len(shown) - MOST_SHOWN} more" if shown[MOST_SHOWN:] else ""
    return Finding(
        LEAK,
        f"{', '.join(shown[:MOST_SHOWN])}{rest} {'each predict' if leaks[1:] else 'predicts'} {target.name!r} nearly "
        f"alone: if not known before the target is, leave {'them' if leaks[1:] else 'it'} out with {ignore(leaks)}",
        tuple(leaks),
    )


def _bound(series: pd.Series, spec: FeatureSpec, y: np.ndarray, problem_type: ProblemType) -> float:
    """What a tree reaches at most, roughly; dates have parts that only together may tell."""
    if spec.kind == "datetime":
        return 1.0
    if spec.kind == "numeric":
        return screen(as_numbers(series), y, problem_type, is_code=False)
    codes, _ = factorise(series, f"column {show(spec.name)}")
    return screen(np.where(codes < 0, np.nan, codes), y, problem_type, is_code=True)


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
