"""Which rows are withheld for the test, and which fold each training row belongs to."""

from __future__ import annotations

from math import ceil

import numpy as np
from sklearn.model_selection import KFold, train_test_split

from configs.schema import ProblemType
from errors import DataError


def assign_folds(y: np.ndarray, n_folds: int, problem_type: ProblemType, seed: int) -> np.ndarray:
    """Fold of every row: shuffled, for classes stratified, no fold empty, sizes differing by one at most.

    A class with fewer rows than folds is in some folds only.

    Shape: y (n_samples,) -> int8 (n_samples,), values 0..n_folds-1.
    Raises: DataError: fewer rows than folds.
    Source: the folds of scikit-learn's KFold and StratifiedKFold (shuffle=True, random_state=seed), which
        warns of or refuses classes with fewer rows than folds.
    """
    if len(y) < n_folds:
        raise DataError(f"data.n_folds: {n_folds} folds asked for, but there are {len(y)} training rows")
    folds = np.empty(len(y), dtype=np.int8)
    if problem_type == "regression":
        for k, (_, rows) in enumerate(KFold(n_folds, shuffle=True, random_state=seed).split(y)):
            folds[rows] = k
        return folds
    codes = _codes_by_appearance(y)
    in_order = np.sort(codes)
    allocation = np.array(
        [np.bincount(in_order[k::n_folds], minlength=codes.max() + 1) for k in range(n_folds)]
    )
    rng = np.random.RandomState(seed)
    for code, n_rows in enumerate(allocation.T):
        of_class = np.arange(n_folds).repeat(n_rows)
        rng.shuffle(of_class)
        folds[codes == code] = of_class
    return folds


def _codes_by_appearance(y: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(y, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def split_test(
    y: np.ndarray, test_size: float, problem_type: ProblemType, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Withhold a share of the rows, for classes stratified; classes with a single row train.

    Args:
        y: Class codes or values.
        test_size: Share of rows in (0, 1).
        problem_type: binary, multiclass or regression.
        seed: Same seed, same rows.

    Returns: training rows and test rows, in shuffled order.
    Raises: DataError: too few rows to have both.
    Source: scikit-learn's train_test_split, equal to it wherever it can stratify. With fewer test rows than
        classes it cannot: then one row of each class trains, and the test rows are drawn from the others.
    """
    rows = np.arange(len(y))
    if problem_type == "regression":
        kept, free = rows[:0], rows
    else:
        counts = np.bincount(y)
        kept, free = rows[counts[y] == 1], rows[counts[y] > 1]
    n_test = ceil(test_size * len(free))
    if n_test < 1 or len(free) - n_test < 1:
        raise DataError(
            f"data.test_size: {test_size} of {len(free)} rows leaves {len(free) - n_test} to train on "
            f"and {n_test} to test on; both need one or more"
        )
    stratify = None
    if problem_type != "regression":
        n_classes = len(np.unique(y[free]))
        if min(n_test, len(free) - n_test) >= n_classes:
            stratify = y[free]
        else:
            kept, free = _keep_one_of_each(y, seed)
            n_test = min(n_test, len(free) - 1)
    train, test = train_test_split(free, test_size=n_test, random_state=seed, stratify=stratify)
    return np.concatenate([train, kept]), test


def _keep_one_of_each(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    shuffled = np.random.RandomState(seed).permutation(len(y))
    _, first = np.unique(y[shuffled], return_index=True)
    return shuffled[first], np.sort(np.delete(shuffled, first))
