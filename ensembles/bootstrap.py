"""How far a score may be off because the rows are few: the bootstrap over rows, or over whole groups of them.

A resample is kept as how often it drew each row. So every metric is worked out for many resamples at once, and two
models can be scored on the same resamples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtri, stdtrit

from data.metrics import BINARY, EPS, METRICS, score

Interval = tuple[float, float]
Resampled = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

CELLS_AT_ONCE = 4_000_000
MOST_ROWS = 50_000
MOST_DRAWS = np.iinfo(np.uint8).max


def score_interval(
    metric: str,
    y: np.ndarray,
    P: np.ndarray,
    level: float = 0.95,
    n_resamples: int = 200,
    seed: int = 0,
    blocks: np.ndarray | None = None,
) -> Interval:
    """Percentile interval of a score.

    Rows of one group, or of one stretch of time, are wrong together. So where rows lie in blocks, whole blocks are
    resampled, and as these are few, the interval is as much wider as Student's t is than the normal distribution.

    Shape: y (n_samples,), P (n_samples, n_outputs).

    Args:
        metric: Name of a metric.
        y: Class codes or values.
        P: Predictions.
        level: Its coverage, in (0, 1).
        n_resamples: How many resamples.
        seed: Seeds them.
        blocks: (n_samples,), the block of each row; None: each row is one.

    Returns: lower and upper end, in the metric's direction. Of more than MOST_ROWS rows that many are resampled, and
        the interval is narrowed as the square root of the rows tells.
    Raises: DataError: as data.metrics.score.
    Source: Efron and Tibshirani 1993, chapter 13; whole groups: Davison and Hinkley 1997, section 3.8.
    """
    value = score(metric, y, P)
    few = min(len(y), MOST_ROWS)
    rows = np.arange(len(y))
    if few < len(y):
        rows = np.sort(np.random.default_rng(seed).choice(len(y), few, replace=False))
    if blocks is None:
        counts, factor = draw_rows(few, n_resamples, seed), np.sqrt(few / len(y))
    else:
        names, codes = np.unique(blocks, return_inverse=True)
        if len(names) == 1:
            return value, value
        counts, factor = draw_blocks(codes[rows], len(names), n_resamples, seed), _wider(len(names), level)
    low, high = _interval(resampled_scores(metric, y[rows], P[rows], counts), level)
    centre = value if few == len(y) else score(metric, y[rows], P[rows])
    least, most = _range(metric)
    return max(value + factor * (low - centre), least), min(value + factor * (high - centre), most)


def _wider(n_blocks: int, level: float) -> float:
    """How much wider the interval of a mean of few blocks is than its bootstrap."""
    t, z = stdtrit(n_blocks - 1, (1 + level) / 2), ndtri((1 + level) / 2)
    return float(t / z * np.sqrt(n_blocks / (n_blocks - 1)))


def _range(metric: str) -> Interval:
    """What a metric can be."""
    if METRICS[metric].mode == "min":
        return 0.0, float("inf")
    return (float("-inf") if metric == "r2" else 0.0), 1.0


def difference_interval(
    metric: str, y: np.ndarray, pair: tuple[np.ndarray, np.ndarray], level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile interval of how much the second model scores above the first, on the same resamples of rows.

    Shape: y (n_samples,), pair (n_samples, n_outputs) each.
    """
    for P in pair:
        score(metric, y, P)
    counts = draw_rows(len(y), 200, seed)
    first, second = (resampled_scores(metric, y, P, counts) for P in pair)
    return _interval(second - first, level)


def draw_rows(n_samples: int, n_resamples: int, seed: int) -> np.ndarray:
    """How often each resample draws each row.

    Shape: -> uint8 (n_samples, n_resamples), columns sum to n_samples.
    """
    rng = np.random.default_rng(seed)
    counts = np.empty((n_samples, n_resamples), np.uint8)
    for i in range(n_resamples):
        drawn = np.bincount(rng.integers(n_samples, size=n_samples), minlength=n_samples)
        counts[:, i] = np.minimum(drawn, MOST_DRAWS)
    return counts


def draw_blocks(codes: np.ndarray, n_blocks: int, n_resamples: int, seed: int) -> np.ndarray:
    """How often each resample of whole blocks draws each row; one that draws none of the rows is left out.

    Shape: codes (n_samples,), the block of each row, 0..n_blocks-1 -> uint8 (n_samples, n_resamples).
    """
    shares = np.full(n_blocks, 1 / n_blocks)
    times = np.random.default_rng(seed).multinomial(n_blocks, shares, size=n_resamples)
    counts = np.minimum(times, MOST_DRAWS).astype(np.uint8).T[codes]
    return counts[:, counts.any(axis=0)]


def resampled_scores(metric: str, y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The score on each resample.

    Shape: y (n_samples,), P (n_samples, n_outputs), counts (n_samples, n_resamples) -> (n_resamples,).
    """
    P = P[:, np.newaxis] if P.ndim == 1 else P
    by_counts = RESAMPLED.get(metric)
    if by_counts is not None:
        step = max(1, CELLS_AT_ONCE // len(y))
        parts = [by_counts(y, P, counts[:, i : i + step]) for i in range(0, counts.shape[1], step)]
        return np.concatenate(parts)
    fn = METRICS[metric].fn
    rows = [np.repeat(np.arange(len(y)), column) for column in counts.T]
    return np.array([fn(y[r], P[r]) for r in rows])


def _interval(scores: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean of row values over each resample."""
    return values @ counts.astype(np.float64) / counts.sum(0)


def _roc_auc(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    if P.shape[1] == BINARY:
        return _auc(y == 1, P[:, 1], counts)[0]
    found = [_auc(y == k, P[:, k], counts) for k in np.unique(y)]
    areas, present = (np.array(part) for part in zip(*found, strict=True))
    return np.where(present.sum(0) > 1, (areas * present).sum(0) / present.sum(0), 0.5)


def _auc(positive: np.ndarray, p: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area under the ROC curve on each resample, and whether it has positive rows at all."""
    order = np.argsort(p)
    p, positive = p[order], np.flatnonzero(positive[order])
    below = np.searchsorted(p, p[positive])  # rows that score less
    upto = np.searchsorted(p, p[positive], "right")  # and those that tie
    rows = np.zeros((len(p) + 1, counts.shape[1]), np.int32)
    np.cumsum(counts[order], axis=0, dtype=np.int32, out=rows[1:])
    drawn = counts[order[positive]].astype(np.float64)
    wins = (drawn * (rows[below].astype(np.float64) + rows[upto])).sum(0) / 2
    n_positive, n_rows = drawn.sum(0), rows[-1].astype(np.float64)
    # Among themselves positive rows win half of all pairs, whatever their order.
    wins -= n_positive**2 / 2
    n_pairs = n_positive * (n_rows - n_positive)
    return np.where(n_pairs > 0, wins / np.maximum(n_pairs, 1), 0.5), n_positive > 0


def _log_loss(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    total = P.sum(axis=1, dtype=np.float64)
    p = P[np.arange(len(y)), y] / np.where(total > 0, total, 1.0)
    return _mean(-np.log(np.clip(p, EPS, 1 - EPS)), counts)


def _accuracy(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return _mean((P.argmax(axis=1) == y).astype(np.float64), counts)


def _precision(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    hit, predicted, true = _count(y, P, counts)
    return _average(hit / np.maximum(predicted, 1), predicted + true)


def _recall(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    hit, predicted, true = _count(y, P, counts)
    return _average(hit / np.maximum(true, 1), predicted + true)


def _f1(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    hit, predicted, true = _count(y, P, counts)
    return _average(2 * hit / np.maximum(predicted + true, 1), predicted + true)


def _count(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows per class that are hit, predicted and true; (n_resamples, n_classes) each."""
    chosen, n_classes = P.argmax(axis=1), P.shape[1]

    def by_class(codes: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(codes, column, n_classes) for column in drawn.T])

    hit = chosen == y
    return by_class(y[hit], counts[hit]), by_class(chosen, counts), by_class(y, counts)


def _average(rates: np.ndarray, seen: np.ndarray) -> np.ndarray:
    if rates.shape[1] == BINARY:
        return rates[:, 1]
    return (rates * (seen > 0)).sum(1) / (seen > 0).sum(1)


def _rmse(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.sqrt(_mean(np.square(y - P[:, 0]), counts))


def _mae(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return _mean(np.abs(y - P[:, 0]), counts)


def _r2(y: np.ndarray, P: np.ndarray, counts: np.ndarray) -> np.ndarray:
    residual = _mean(np.square(y - P[:, 0]), counts)
    centred = y - y.mean()  # else the difference of two large numbers is left
    spread = _mean(np.square(centred), counts) - _mean(centred, counts) ** 2
    constant = spread <= EPS * np.square(centred).max(initial=0.0)
    return np.where(constant, residual == 0.0, 1.0 - residual / np.where(constant, 1.0, spread))


RESAMPLED: dict[str, Resampled] = {
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
}
