"""What fits of boosted trees cost, reckoned from the shape of the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Seconds times threads to bin a cell of the table, for a cell and tree, and for a feature and leaf of a tree.
BIN_S, TREE_S, LEAF_S = 2e-7, 1e-8, 2e-6
N_LEAVES = 31
ROUNDS = (10, 300)
ENOUGH_ROUNDS = 60
LEAST_ROWS = 20_000
# Fits beside others take so many times as long as alone.
BESIDE = 1.5


@dataclass(frozen=True)
class Size:
    """How much of a table is learned from, and with how many rounds of boosting.

    Attributes:
        n_rows: Training rows of a fold.
        rounds: Trees for each output.
    """

    n_rows: int
    rounds: int


def quick_size(n_rows: int, n_features: int, n_outputs: int, seconds: float, n_threads: int) -> Size:
    """What boosted trees can learn from in some seconds.

    Args:
        n_rows: Training rows.
        n_features: Encoded features.
        n_outputs: Trees of a round.
        seconds: For one fit.
        n_threads: Threads of the fit.
    """
    bins, trees = (cost * n_features / n_threads for cost in (BIN_S, TREE_S * n_outputs))
    leaves = LEAF_S * N_LEAVES * n_features * n_outputs
    left = max(seconds - ENOUGH_ROUNDS * leaves, 0.0)
    rows = int(min(n_rows, max(LEAST_ROWS, left / (bins + ENOUGH_ROUNDS * trees))))
    rounds = (seconds - bins * rows) / (trees * rows + leaves)
    return Size(rows, int(np.clip(rounds, *ROUNDS)))


def fit_s(size: Size, n_features: int, n_outputs: int, n_threads: int) -> float:
    """Seconds of a fit of some size; arguments as for quick_size."""
    bins, trees = (cost * n_features / n_threads for cost in (BIN_S, TREE_S * n_outputs))
    leaves = LEAF_S * N_LEAVES * n_features * n_outputs
    return bins * size.n_rows + size.rounds * (trees * size.n_rows + leaves)


def least_trial_s(n_rows: int, n_features: int, n_fits: int, n_threads: int) -> float:
    """Seconds before a trial of boosted trees has its first trees: its rows are binned in each fit.

    Nothing can end a fit while it bins, so a trial for which that is too long should not begin.

    Args:
        n_rows: Training rows of a fold.
        n_features: Encoded features.
        n_fits: Fits of the trial.
        n_threads: Threads of a fit.
    """
    return BESIDE * n_fits * BIN_S * n_rows * n_features / n_threads
