"""The area under the ROC curve, as exact as in data/metrics.py and several times as fast."""

from __future__ import annotations

import numpy as np

BINARY = 2


def roc_auc(y: np.ndarray, P: np.ndarray) -> float:
    """What data.metrics.roc_auc says of float32 probabilities.

    Shape: y (n_samples,); P (n_samples, n_classes), or (n_samples,): the positive class alone.
    """
    if P.ndim == 1:
        return _auc(y == 1, P)
    if P.shape[1] == BINARY:
        return _auc(y == 1, P[:, 1])
    present = np.unique(y)
    if len(present) == 1:
        return 0.5
    return float(np.mean([_auc(y == k, P[:, k]) for k in present]))


def _auc(positive: np.ndarray, p: np.ndarray) -> float:
    """Area for one class.

    The bits of floats in [0, 2) order like integers and leave the last one free for the label, so that one plain
    sort does what an argsort and a gather would.
    """
    n_positive = int(np.count_nonzero(positive))
    n_pairs = n_positive * (len(positive) - n_positive)
    if n_pairs == 0:
        return 0.5
    bits = np.minimum(p, np.float32(1.5), dtype=np.float32).view(np.int32)
    keys = np.sort((np.maximum(bits, 0) << 1) | positive)
    places = np.flatnonzero(keys & 1)
    # The positive row at place i, the j-th of them, has i - j negative rows below it, or tied with it.
    n_wins = int(places.sum()) - n_positive * (n_positive - 1) // 2
    return (n_wins - 0.5 * _tied_pairs(keys)) / n_pairs


def _tied_pairs(keys: np.ndarray) -> int:
    """Pairs of a positive and a negative row with the same value."""
    if not ((keys[1:] ^ keys[:-1]) == 1).any():  # the same value with another label
        return 0
    values = keys >> 1
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    n_rows = np.diff(starts, append=len(keys))
    n_positive = np.add.reduceat(keys & 1, starts, dtype=np.int64)
    return int(n_positive @ (n_rows - n_positive))
