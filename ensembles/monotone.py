"""Isotonic regression of a 0/1 outcome on a probability, as a few points to interpolate between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MAX_BINS = 200
MIN_ROWS = 50
MIN_GAP = 0.01
MAX_SLOPE = 10.0
Block = tuple[float, float, float]  # mean probability, frequency, rows
Joins = Callable[[Block, Block], bool]


def fit_isotonic(p: np.ndarray, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of a rising curve from probability to frequency.

    Rows are binned first, and points lie at the middles of the blocks that pooling leaves, at least MIN_GAP apart and
    nowhere steeper than MAX_SLOPE: a curve of steps would lose the order within a block, and one that is too steep
    would magnify rounding. The ends are half way to 0 and 1, so that order is kept there and no probability is 0.

    Shape: p, hit (n_samples,) -> x, y (n_points,) each, rising, from x = 0 to x = 1.
    Source: Oron and Flournoy 2017, "Centered Isotonic Regression", arXiv 1701.05964.
    """
    n_bins = int(np.clip(len(p) // MIN_ROWS, 1, MAX_BINS))
    order = np.argsort(p, kind="stable")
    bins = [rows for rows in np.array_split(order, n_bins) if len(rows)]
    blocks = [(float(p[rows].mean()), float(hit[rows].mean()), float(len(rows))) for rows in bins]
    blocks = _pool(blocks, lambda low, high: high[1] <= low[1])
    blocks = _pool(blocks, lambda low, high: high[0] - low[0] < MIN_GAP or _slope(low, high) > MAX_SLOPE)
    x, y, n = np.array(blocks).T
    y = (y * n + 0.5) / (n + 1)  # a frequency of 0 or 1 in so many rows is not certainty
    y = np.maximum.accumulate(y)
    inner = (x > 0) & (x < 1)
    first = max(y[0] / 2, y[0] - MAX_SLOPE * x[0])
    last = min((1 + y[-1]) / 2, y[-1] + MAX_SLOPE * (1 - x[-1]))
    x = np.concatenate([[0.0], x[inner], [1.0]])
    return x, np.concatenate([[first], y[inner], [last]])


def _slope(low: Block, high: Block) -> float:
    return (high[1] - low[1]) / (high[0] - low[0])


def _pool(blocks: list[Block], joins: Joins) -> list[Block]:
    """Join neighbours, from left to right and back, wherever they must be; means are weighted by rows."""
    pooled: list[Block] = []
    for block in blocks:
        pooled.append(block)
        while len(pooled) > 1 and joins(pooled[-2], pooled[-1]):
            high, low = pooled.pop(), pooled.pop()
            n = low[2] + high[2]
            x, y = ((low[i] * low[2] + high[i] * high[2]) / n for i in (0, 1))
            pooled.append((x, y, n))
    return pooled
