"""Small learnable tables with holes, a constant, an empty and two categorical columns."""

from collections import defaultdict

import numpy as np

from models.base import Fold, Task

CARDINALITIES = (0, 0, 0, 0, 5, 3)
OUTPUTS = {"binary": 2, "multiclass": 4, "regression": 1}
# Enough for the tables below, and no more: a suite over all families has to stay quick.
QUICK = defaultdict(dict) | {
    "lightgbm": {"num_boost_round": 60, "min_data_in_leaf": 5},
    "xgboost": {"num_boost_round": 60},
    "dnn": {"n_blocks": 2, "d_block": 32, "epochs": 12, "lr": 0.1},
    "mc_dropout": {"n_blocks": 2, "d_block": 32, "epochs": 12, "lr": 0.1, "n_draws": 8},
    "bnn": {"n_blocks": 1, "d_block": 32, "epochs": 12, "lr": 0.01, "n_draws": 8},
}


def make_task(problem_type):
    return Task(problem_type, OUTPUTS[problem_type], CARDINALITIES)


def make_rows(problem_type, n_rows, seed=0):
    """X float32 with NaN, y: a step and a slope in two numbers, and a jump in one category."""
    noise = np.random.default_rng(seed)
    numbers = noise.normal(size=(n_rows, 4))
    code, other = noise.integers(0, 4, n_rows), noise.integers(0, 3, n_rows)
    signal = 2 * numbers[:, 0] + np.where(code == 2, 3.0, 0.0) + np.sin(3 * numbers[:, 1])
    numbers[:, 1][noise.random(n_rows) < 0.1] = np.nan
    numbers[:, 2] = 7.0
    numbers[:, 3] = np.nan
    X = np.column_stack([numbers, np.where(noise.random(n_rows) < 0.1, np.nan, code), other]).astype(
        np.float32
    )
    if problem_type == "regression":
        return X, 1e4 + 500 * (signal + noise.normal(scale=0.3, size=n_rows))
    edges = {"binary": [0.5], "multiclass": [-1.0, 0.5, 2.0]}[problem_type]
    return X, np.digitize(signal, edges).astype(np.int64)


def make_fold(problem_type, n_train=400, n_val=150):
    return Fold(*make_rows(problem_type, n_train, 1), *make_rows(problem_type, n_val, 2))
