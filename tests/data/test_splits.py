import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from data.splits import assign_folds, split_test
from errors import DataError

pytestmark = pytest.mark.filterwarnings("error")


def classes(n_rows, n_classes, seed=0):
    return np.random.default_rng(seed).integers(0, n_classes, n_rows)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("n_folds", [2, 5, 10])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_folds_of_classes_are_scikit_learns(n_classes, n_folds, seed):
    y = classes(103, n_classes)
    folds = assign_folds(y, n_folds, "multiclass", seed)
    assert folds.dtype == np.int8
    expected = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y)
    for k, (_, rows) in enumerate(expected):
        np.testing.assert_array_equal(np.flatnonzero(folds == k), rows)


def test_folds_of_values_are_scikit_learns():
    y = np.random.default_rng(0).normal(size=103)
    folds = assign_folds(y, 5, "regression", 3)
    for k, (_, rows) in enumerate(KFold(5, shuffle=True, random_state=3).split(y)):
        np.testing.assert_array_equal(np.flatnonzero(folds == k), np.sort(rows))


def test_seeds_differ():
    y = classes(100, 2)
    assert (assign_folds(y, 5, "binary", 0) != assign_folds(y, 5, "binary", 1)).any()


@pytest.mark.parametrize("counts", [[50, 2, 1], [3, 3, 3], [1, 1, 1, 1, 1, 1], [2, 3], [96, 1, 1, 1, 1]])
def test_rare_classes_leave_no_fold_empty_and_do_not_gather(counts):
    y = np.repeat(np.arange(len(counts)), counts)
    folds = assign_folds(y, 5, "multiclass", 0)
    sizes = np.bincount(folds, minlength=5)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1
    for code, count in enumerate(counts):
        assert np.bincount(folds[y == code]).max() <= -(-count // 5)


@pytest.mark.parametrize("problem_type", ["binary", "regression"])
def test_fewer_rows_than_folds(problem_type):
    assert sorted(assign_folds(np.array([0, 1, 0, 1, 0]), 5, problem_type, 0)) == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="5 folds asked for, but there are 4 training rows"):
        assign_folds(np.array([0, 1, 0, 1]), 5, problem_type, 0)


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize("test_size", [0.1, 0.2, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("problem_type", ["binary", "multiclass", "regression"])
def test_the_test_rows_are_scikit_learns(problem_type, test_size, seed):
    y = classes(997, 2 if problem_type == "binary" else 7)
    stratify = None if problem_type == "regression" else y
    expected = train_test_split(range(997), test_size=test_size, random_state=seed, stratify=stratify)
    train, test = split_test(y, test_size, problem_type, seed)
    assert [train.tolist(), test.tolist()] == expected


def test_classes_with_one_row_train():
    y = np.concatenate([classes(100, 2), [2, 3]])
    train, test = split_test(y, 0.2, "multiclass", 0)
    assert sorted([*train, *test]) == list(range(102))
    assert {100, 101} <= set(train)
    assert len(test) == 20


@pytest.mark.parametrize("seed", range(5))
def test_with_fewer_test_rows_than_classes_every_class_still_trains(seed):
    y = np.repeat(np.arange(30), 2)
    with pytest.raises(ValueError, match="should be greater or equal to the number of classes"):
        train_test_split(range(60), test_size=0.1, random_state=seed, stratify=y)
    train, test = split_test(y, 0.1, "multiclass", seed)
    assert sorted([*train, *test]) == list(range(60))
    assert len(test) == 6
    assert set(y[train]) == set(range(30))
    assert split_test(y, 0.1, "multiclass", seed)[1].tolist() == test.tolist()


@pytest.mark.parametrize(
    ("y", "problem_type"), [([0.5], "regression"), ([0, 1], "binary"), ([1.0, 2.0], "regression")]
)
def test_too_few_rows_to_withhold_some(y, problem_type):
    with pytest.raises(DataError, match=r"data\.test_size: 0\.9 of"):
        split_test(np.array(y), 0.9, problem_type, 0)
