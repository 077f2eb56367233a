"""Rows that are wrong together: those of one group, or of one stretch of time."""

from __future__ import annotations

import numpy as np

from data.splits import Split

N_STRETCHES = 20
NO_BLOCK = -1


def blocks_of(split: Split, rows: np.ndarray) -> np.ndarray | None:
    """The block of some rows: the group, or one of at most 20 stretches of time with as many rows each.

    Shape: rows bool (n_rows,) -> int32 (n_rows,), -1 for the other rows; None where every row stands for itself.
    """
    if split.keys is None or not rows.any():
        return None
    names, codes, counts = np.unique(split.keys[rows], return_inverse=True, return_counts=True)
    if split.kind == "time":
        before = np.cumsum(counts) - counts
        codes = (before * min(N_STRETCHES, len(names)) // counts.sum())[codes]
    blocks = np.full(len(rows), NO_BLOCK, np.int32)
    blocks[rows] = codes
    return blocks
