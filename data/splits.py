"""Divides rows: which are withheld, which fold each of the others is validated in, and which train for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from sklearn.model_selection import KFold, train_test_split

from configs.schema import SplitKind
from errors import DataError

NEVER = -1


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to divide, and how.

    Attributes:
        kind: random; stratified: every class in the same shares; group: rows of one group stay together, classes
            in shares as equal as that allows; time: later rows are validated by models of earlier ones.
        codes: (n_rows,) class codes int64; all 0 for regression.
        keys: (n_rows,) group codes or moments; None for random and stratified.
        seed: Same seed, same division. A split in time needs none.
    """

    kind: SplitKind
    codes: np.ndarray
    keys: np.ndarray | None = None
    seed: int = 0

    def of(self, rows: np.ndarray) -> Split:
        """The same for some of the rows."""
        keys = None if self.keys is None else self.keys[rows]
        return replace(self, codes=self.codes[rows], keys=keys)


def assign_folds(split: Split, n_folds: int) -> np.ndarray:
    """Fold of every row; no fold is empty.

    Random and stratified folds differ in size by one row at most; a class with fewer rows than folds is in some
    only. In time, fold k follows fold k-1, and as many rows as a fold has come before the first, never validated.

    Shape: -> int8 (n_rows,), values 0..n_folds-1, or -1: never validated.
    Raises: DataError: fewer rows, groups or moments than that takes.
    Source: random and stratified: the folds of scikit-learn's KFold and StratifiedKFold (shuffle=True,
        random_state=seed), which warns of or refuses classes with fewer rows than folds; time: TimeSeriesSplit,
        but rows of one moment stay together.
    """
    n_rows = len(split.codes)
    if n_rows < n_folds:
        raise DataError(f"data.n_folds: {n_folds} folds asked for, but there are {n_rows} training rows")
    if split.kind == "group":
        n_groups = len(np.unique(split.keys))
        if n_groups < n_folds:
            raise DataError(f"data.n_folds: {n_folds} folds asked for, but there are {n_groups} groups")
        return _deal_groups(split, np.full(n_folds, 1 / n_folds)).astype(np.int8)
    if split.kind == "time":
        starts = [n_rows * block // (n_folds + 1) for block in range(1, n_folds + 1)]
        return (_blocks(split.keys, starts, "data.n_folds") - 1).astype(np.int8)
    if split.kind == "stratified":
        return _stratified_folds(split.codes, n_folds, split.seed)
    folds = np.empty(n_rows, dtype=np.int8)
    for k, (_, rows) in enumerate(KFold(n_folds, shuffle=True, random_state=split.seed).split(folds)):
        folds[rows] = k
    return folds


def most_folds(split: Split) -> int:
    """How many folds the rows allow: one for every row or group, in time one for every moment but the first."""
    if split.keys is None:
        return len(split.codes)
    return len(np.unique(split.keys)) - (split.kind == "time")


def assign_holdout(split: Split, share: float, key: str) -> np.ndarray:
    """One fold of a share of the rows; the others are never validated.

    Shape: -> int8 (n_rows,), 0 where validated and -1 elsewhere.
    Raises: DataError: see hold_out.
    """
    folds = np.full(len(split.codes), NEVER, dtype=np.int8)
    folds[hold_out(split, share, key)[1]] = 0
    return folds


def hold_out(split: Split, share: float, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows in two; in time, the later ones are held out.

    Args:
        split: The rows.
        share: Share of rows in (0, 1) to hold out; groups and moments stay whole, so that it may differ a little.
        key: Configuration key named in messages.

    Returns: the other rows and the rows held out.
    Raises: DataError: too few rows, groups or moments to have both.
    """
    if split.kind == "group":
        held = _held_groups(split, share, key)
    elif split.kind == "time":
        n_rows = len(split.codes)
        held = _blocks(split.keys, [n_rows - ceil(share * n_rows)], key) == 1
    else:
        return _hold_out_rows(split, share, key)
    return np.flatnonzero(~held), np.flatnonzero(held)


def _stratified_folds(codes: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    codes = _codes_by_appearance(codes)
    in_order = np.sort(codes)
    allocation = np.array(
        [np.bincount(in_order[k::n_folds], minlength=codes.max() + 1) for k in range(n_folds)]
    )
    rng = np.random.RandomState(seed)
    folds = np.empty(len(codes), dtype=np.int8)
    for code, n_rows in enumerate(allocation.T):
        of_class = np.arange(n_folds).repeat(n_rows)
        rng.shuffle(of_class)
        folds[codes == code] = of_class
    return folds


def _codes_by_appearance(codes: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _hold_out_rows(split: Split, share: float, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows in shuffled order; stratified, classes with a single row are not held out.

    Source: scikit-learn's train_test_split, equal to it wherever it can stratify. With fewer rows held out than
        classes it cannot: then one row of each class stays, and the rows are drawn from the others.
    """
    rows = np.arange(len(split.codes))
    kept, free = rows[:0], rows
    if split.kind == "stratified":
        alone = np.bincount(split.codes)[split.codes] == 1
        kept, free = rows[alone], rows[~alone]
    n_held = ceil(share * len(free))
    if n_held < 1 or len(free) - n_held < 1:
        raise DataError(
            f"{key}: {share:g} of {len(free)} rows is {n_held} of them and leaves {len(free) - n_held}; "
            "both need one or more"
        )
    stratify = None
    if split.kind == "stratified":
        n_classes = len(np.unique(split.codes[free]))
        if min(n_held, len(free) - n_held) >= n_classes:
            stratify = split.codes[free]
        else:
            kept, free = _keep_one_of_each(split.codes, split.seed)
            n_held = min(n_held, len(free) - 1)
    others, held = train_test_split(free, test_size=n_held, random_state=split.seed, stratify=stratify)
    return np.concatenate([others, kept]), held


def _keep_one_of_each(codes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    shuffled = np.random.RandomState(seed).permutation(len(codes))
    _, first = np.unique(codes[shuffled], return_index=True)
    return shuffled[first], np.sort(np.delete(shuffled, first))


def _held_groups(split: Split, share: float, key: str) -> np.ndarray:
    groups, sizes = np.unique(split.keys, return_counts=True)
    if len(groups) == 1:
        raise DataError(f"{key}: {share:g} of the rows cannot be held out, all are of one group")
    held = _deal_groups(split, np.array([1 - share, share])) == 1
    if held.all() or not held.any():  # the share is far from what any group has
        smallest = split.keys == groups[np.argmin(sizes)]
        held = ~smallest if held.all() else smallest
    return held


def _deal_groups(split: Split, shares: np.ndarray) -> np.ndarray:
    """Part of every row: the largest group first, each goes where its rows and its classes fill up least.

    Shape: shares (n_parts,), which sum to 1 -> int64 (n_rows,).
    Source: the idea of scikit-learn's StratifiedGroupKFold, which takes half a minute for 40,000 groups, this
        under a second; nor does it hold out a share that is not one in n.
    """
    _, group = np.unique(split.keys, return_inverse=True)
    n_classes = int(split.codes.max()) + 1
    of_classes = np.bincount(group * n_classes + split.codes, minlength=n_classes * (group.max() + 1))
    of_classes = of_classes.reshape(-1, n_classes)[:, np.bincount(split.codes, minlength=n_classes) > 0]
    counts = np.column_stack([of_classes.sum(1), of_classes])  # rows count beside the classes
    counts = counts / counts.sum(0)
    order = np.random.RandomState(split.seed).permutation(len(counts))
    order = order[np.argsort(-counts[order, 0], kind="stable")]
    filled = np.zeros((len(shares), counts.shape[1]))
    part = np.empty(len(counts), dtype=np.int64)
    for g in order:
        part[g] = np.argmin(((filled + counts[g]) @ counts[g]) / shares)
        filled[part[g]] += counts[g]
    return part[group]


def _blocks(moments: np.ndarray, starts: Sequence[int], key: str) -> np.ndarray:
    """Blocks in order of time; block b begins at the moment nearest to the row starts[b-1] in that order.

    Shape: moments (n_rows,) -> int64 (n_rows,), values 0..len(starts), each there.
    """
    distinct, moment, counts = np.unique(moments, return_inverse=True, return_counts=True)
    if len(distinct) <= len(starts):
        raise DataError(
            f"{key}: {len(starts) + 1} blocks in order of time need as many different times, "
            f"but there are {len(distinct)}"
        )
    rows_before = np.cumsum(counts) - counts
    block, first = np.zeros(len(moments), dtype=np.int64), 0
    for b, start in enumerate(starts):
        allowed = np.arange(first + 1, len(distinct) - len(starts) + b + 1)
        first = int(allowed[np.argmin(np.abs(rows_before[allowed] - start))])
        block += moment >= first
    return block
