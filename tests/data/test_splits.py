from itertools import pairwise

import numpy as np
import pytest
from sklearn.model_selection import (
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)

from data.folds import training_rows
from data.splits import Split, assign_folds, assign_holdout, hold_out
from errors import DataError

pytestmark = pytest.mark.filterwarnings("error")


def classes(n_rows, n_classes, seed=0):
    return np.random.default_rng(seed).integers(0, n_classes, n_rows)


def stratified(codes, seed=0):
    return Split("stratified", codes, seed=seed)


def random(n_rows, seed=0):
    return Split("random", np.zeros(n_rows, dtype=np.int64), seed=seed)


def grouped(seed, n_rows=600, n_classes=3, n_groups=80):
    """Groups of very different sizes, each with a class of its own that most of its rows have."""
    rng = np.random.default_rng(seed)
    keys = rng.choice(n_groups, n_rows, p=rng.dirichlet(np.full(n_groups, 2.0)))
    codes = np.where(rng.random(n_rows) < 0.8, keys % n_classes, rng.integers(0, n_classes, n_rows))
    return Split("group", codes, keys, seed)


def timed(seed, n_rows=500, n_moments=60):
    """Rows in no order, several of them at one time."""
    rng = np.random.default_rng(seed)
    return Split("time", rng.integers(0, 3, n_rows), rng.choice(rng.normal(size=n_moments), n_rows), seed)


def equal_groups(seed):
    keys = np.repeat(np.arange(25), 4)
    return Split("group", keys % 2, keys, seed)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("n_folds", [2, 5, 10])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_folds_of_classes_are_scikit_learns(n_classes, n_folds, seed):
    y = classes(103, n_classes)
    folds = assign_folds(stratified(y, seed), n_folds)
    assert folds.dtype == np.int8
    expected = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y)
    for k, (train, rows) in enumerate(expected):
        np.testing.assert_array_equal(np.flatnonzero(folds == k), rows)
        np.testing.assert_array_equal(np.flatnonzero(training_rows(folds, k, "stratified")), train)


def test_random_folds_are_scikit_learns():
    folds = assign_folds(random(103, seed=3), 5)
    for k, (_, rows) in enumerate(KFold(5, shuffle=True, random_state=3).split(folds)):
        np.testing.assert_array_equal(np.flatnonzero(folds == k), np.sort(rows))


@pytest.mark.parametrize(
    "make", [lambda s: stratified(classes(100, 2), s), lambda s: random(100, s), equal_groups]
)
def test_the_seed_decides(make):
    assert assign_folds(make(1), 5).tolist() == assign_folds(make(1), 5).tolist()
    assert assign_folds(make(0), 5).tolist() != assign_folds(make(1), 5).tolist()
    assert hold_out(make(1), 0.3, "k")[1].tolist() == hold_out(make(1), 0.3, "k")[1].tolist()
    assert hold_out(make(0), 0.3, "k")[1].tolist() != hold_out(make(1), 0.3, "k")[1].tolist()


@pytest.mark.parametrize("counts", [[50, 2, 1], [3, 3, 3], [1, 1, 1, 1, 1, 1], [2, 3], [96, 1, 1, 1, 1]])
def test_rare_classes_leave_no_fold_empty_and_do_not_gather(counts):
    y = np.repeat(np.arange(len(counts)), counts)
    folds = assign_folds(stratified(y), 5)
    sizes = np.bincount(folds, minlength=5)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1
    for code, count in enumerate(counts):
        assert np.bincount(folds[y == code]).max() <= -(-count // 5)


@pytest.mark.parametrize("make", [lambda n: stratified(np.arange(n) % 2), random])
def test_fewer_rows_than_folds(make):
    assert sorted(assign_folds(make(5), 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="5 folds asked for, but there are 4 training rows"):
        assign_folds(make(4), 5)


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("n_classes", [None, 2, 7])
def test_held_out_rows_are_scikit_learns(n_classes, share, seed):
    y = classes(997, n_classes or 1)
    split = stratified(y, seed) if n_classes else random(997, seed)
    expected = train_test_split(
        range(997), test_size=share, random_state=seed, stratify=y if n_classes else None
    )
    assert [rows.tolist() for rows in hold_out(split, share, "data.test_size")] == expected


def test_classes_with_one_row_are_not_held_out():
    y = np.concatenate([classes(100, 2), [2, 3]])
    rest, held = hold_out(stratified(y), 0.2, "data.test_size")
    assert sorted([*rest, *held]) == list(range(102))
    assert {100, 101} <= set(rest)
    assert len(held) == 20


@pytest.mark.parametrize("seed", range(5))
def test_with_fewer_rows_held_out_than_classes_every_class_still_trains(seed):
    y = np.repeat(np.arange(30), 2)
    with pytest.raises(ValueError, match="should be greater or equal to the number of classes"):
        train_test_split(range(60), test_size=0.1, random_state=seed, stratify=y)
    rest, held = hold_out(stratified(y, seed), 0.1, "data.test_size")
    assert sorted([*rest, *held]) == list(range(60))
    assert len(held) == 6
    assert set(y[rest]) == set(range(30))
    assert hold_out(stratified(y, seed), 0.1, "data.test_size")[1].tolist() == held.tolist()


@pytest.mark.parametrize("split", [random(1), random(2), stratified(np.array([0, 1]))])
def test_too_few_rows_to_hold_some_out(split):
    with pytest.raises(DataError, match=r"data\.val_size: 0\.9 of"):
        hold_out(split, 0.9, "data.val_size")


@pytest.mark.parametrize("make", [lambda s: stratified(classes(300, 4), s), grouped, timed])
@pytest.mark.parametrize("share", [0.1, 0.35])
def test_one_fold_is_held_out_for_validation(make, share):
    split = make(0)
    folds = assign_holdout(split, share, "data.val_size")
    rest, held = hold_out(split, share, "data.val_size")
    assert folds.dtype == np.int8
    assert set(np.flatnonzero(folds == 0)) == set(held)
    assert set(np.flatnonzero(folds == -1)) == set(rest)
    assert set(np.flatnonzero(training_rows(folds, 0, split.kind))) == set(rest)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n_folds", [2, 5, 20])
def test_no_group_is_on_two_sides_and_folds_are_alike(seed, n_folds):
    split = grouped(seed)
    folds = assign_folds(split, n_folds)
    assert all(len(set(folds[split.keys == key])) == 1 for key in np.unique(split.keys))
    sizes = np.bincount(folds, minlength=n_folds)
    assert sizes.min() > 0
    if n_folds == 5:
        assert sizes.max() - sizes.min() <= 0.1 * sizes.mean()
    theirs = np.empty_like(folds)
    peer = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for k, (_, rows) in enumerate(peer.split(split.codes, split.codes, split.keys)):
        theirs[rows] = k
    assert spread(split.codes, folds, n_folds) <= 1.1 * spread(split.codes, theirs, n_folds) + 0.005


def spread(codes, folds, n_folds):
    """How unlike the folds are in rows of each class."""
    counts = np.array([np.bincount(codes[folds == k], minlength=3) for k in range(n_folds)])
    return (counts / counts.sum(0)).std(0).mean()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_groups_are_held_out_whole_and_make_about_the_share(seed, share):
    split = grouped(seed)
    rest, held = hold_out(split, share, "data.test_size")
    assert sorted([*rest, *held]) == list(range(600))
    assert not set(split.keys[rest]) & set(split.keys[held])
    assert len(held) / 600 == pytest.approx(share, abs=0.03)
    shares = np.bincount(split.codes[held], minlength=3) / np.bincount(split.codes)
    assert shares == pytest.approx(share, abs=0.12)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("sizes", [[1, 1], [99, 1], [1, 50, 49], [40, 40, 40]])
def test_both_sides_have_a_group_however_few(sizes, share):
    keys = np.repeat(np.arange(len(sizes)), sizes)
    rest, held = hold_out(Split("group", np.zeros_like(keys), keys), share, "data.test_size")
    assert len(rest) > 0
    assert len(held) > 0


def test_too_few_groups():
    keys = np.repeat([3, 8], 10)
    split = Split("group", np.zeros_like(keys), keys)
    with pytest.raises(DataError, match=r"data\.n_folds: 3 folds asked for, but there are 2 groups"):
        assign_folds(split, 3)
    with pytest.raises(DataError, match=r"data\.test_size: 0\.2 of the rows .* one group"):
        hold_out(split.of(np.arange(10)), 0.2, "data.test_size")


@pytest.mark.parametrize("n_folds", [2, 5, 20])
@pytest.mark.parametrize("seed", range(5))
def test_folds_in_time_train_on_earlier_rows_only(seed, n_folds):
    split = timed(seed)
    folds = assign_folds(split, n_folds)
    assert set(folds) == set(range(-1, n_folds))
    for k in range(n_folds):
        train = training_rows(folds, k, "time")
        assert train.any()
        assert split.keys[train].max() < split.keys[folds == k].min()
    ends = [split.keys[folds == k].max() for k in range(-1, n_folds)]
    assert all(one < two for one, two in pairwise(ends))
    sizes = np.bincount(folds + 1)
    assert sizes.max() - sizes.min() <= 2 * np.unique(split.keys, return_counts=True)[1].max()


def test_folds_in_time_are_scikit_learns_where_no_two_rows_are_of_one_time():
    rng = np.random.default_rng(0)
    moments = rng.permutation(120).astype(float)
    folds = assign_folds(Split("time", np.zeros(120, dtype=np.int64), moments), 5)
    order = np.argsort(moments)
    for k, (train, val) in enumerate(TimeSeriesSplit(5).split(order)):
        assert set(np.flatnonzero(folds == k)) == set(order[val])
        assert set(np.flatnonzero(training_rows(folds, k, "time"))) == set(order[train])


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
def test_the_latest_rows_are_held_out(share):
    split = timed(1)
    rest, held = hold_out(split, share, "data.test_size")
    assert sorted([*rest, *held]) == list(range(500))
    assert split.keys[rest].max() < split.keys[held].min()
    assert len(held) / 500 == pytest.approx(share, abs=0.03)


def test_rows_of_one_time_stay_together_even_where_they_are_most():
    moments = np.array([0.0] * 5 + [1.0] * 90 + [2.0] * 5)
    split = Split("time", np.zeros(100, dtype=np.int64), moments)
    assert assign_folds(split, 2).tolist() == (moments - 1).tolist()
    assert set(moments[hold_out(split, 0.2, "data.test_size")[1]]) == {2.0}
    with pytest.raises(DataError, match=r"data\.n_folds: 4 blocks .* different times, but there are 3"):
        assign_folds(split, 3)
