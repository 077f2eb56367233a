"""How well a column alone tells the target at most: found in a moment, so that of thousands only few need a model."""

from __future__ import annotations

import numpy as np

from configs.schema import ProblemType

ROWS_PER_BIN = 10
MOST_BINS = 300
MOST_CLASSES = 30


def screen(x: np.ndarray, y: np.ndarray, problem_type: ProblemType, is_code: bool) -> float:
    """R2 or AUC of the mean target per bin of a column, on the rows it was learned from: hardly below a tree's.

    Args:
        x: The column; NaN is a value of its own.
        y: Class codes or values.
        problem_type: What the target poses.
        is_code: Whether numbers are codes of categories, each its own bin.

    Shape: x (n_samples,), y (n_samples,).
    """
    bins, n_bins = _bins(x, is_code, _most_bins(y, problem_type))
    if problem_type == "regression":
        return _explained(bins, n_bins, y)
    return _auc(bins, n_bins, y)


def _most_bins(y: np.ndarray, problem_type: ProblemType) -> int:
    """So few that chance alone does not tell the rarer class of two apart."""
    most = min(MOST_BINS, len(y) // ROWS_PER_BIN)
    if problem_type == "binary":
        most = min(most, int(np.bincount(y.astype(np.int64), minlength=2).min()) // 2)
    return max(2, most)


def _bins(x: np.ndarray, is_code: bool, most: int) -> tuple[np.ndarray, int]:
    known = ~np.isnan(x)
    if is_code:
        codes = np.where(known, x, -1).astype(np.int64) + 1
        return codes, int(codes.max()) + 1
    bins = np.zeros(len(x), np.int64)  # of what is missing
    values = x[known]
    order = np.argsort(values)
    ranked = values[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))  # equal values stay together
    first = np.repeat(starts, np.diff(np.append(starts, len(ranked))))
    place = np.empty(len(values), np.int64)
    place[order] = (
        first * min(most, max(1, len(starts))) // max(1, len(ranked))
        if len(starts) > most
        else (np.searchsorted(starts, first))
    )
    bins[known] = place + 1
    return bins, int(bins.max()) + 1


def _explained(bins: np.ndarray, n_bins: int, y: np.ndarray) -> float:
    y = (y - y.mean()) / (y.std() or 1.0)
    rows = np.maximum(np.bincount(bins, minlength=n_bins), 1)
    return float((np.bincount(bins, y, n_bins) ** 2 / rows).sum() / len(y))


def _auc(bins: np.ndarray, n_bins: int, y: np.ndarray) -> float:
    """Mean over the classes, weighted by their rows."""
    n_classes = int(y.max()) + 1
    counts = np.bincount(bins * n_classes + y, minlength=n_bins * n_classes).reshape(n_bins, n_classes)
    most = np.argsort(-counts.sum(0))[:MOST_CLASSES]
    positive = counts[:, most].astype(np.float64)
    rows = counts.sum(1)[:, np.newaxis].astype(np.float64)
    order = np.argsort(positive / np.maximum(rows, 1), axis=0)
    positive = np.take_along_axis(positive, order, 0)
    negative = np.take_along_axis(np.broadcast_to(rows, positive.shape), order, 0) - positive
    below = np.cumsum(negative, axis=0) - negative
    pairs = positive.sum(0) * negative.sum(0)
    areas = (positive * (below + negative / 2)).sum(0) / np.maximum(pairs, 1)
    return float(np.average(areas, weights=positive.sum(0)))
