import json

import numpy as np
import pandas as pd
import pytest

from data.target import Target
from errors import BundleError, DataError


def series(values, **options):
    return pd.Series(values, name="채무 불이행", **options)


@pytest.mark.parametrize(
    ("values", "problem_type", "classes"),
    [
        ([0, 1] * 10, "binary", (0, 1)),
        ([3, 2] * 10, "binary", (2, 3)),
        ([0.0, 1.0, None] * 10, "binary", (0, 1)),
        ([0.5, 1.5] * 10, "binary", (0.5, 1.5)),
        ([1.0, 2.5] * 10, "binary", (1.0, 2.5)),
        ([True, False] * 10, "binary", (False, True)),
        (["yes", "no"] * 10, "binary", ("no", "yes")),
        (["None", "Apnea"] * 10, "binary", ("Apnea", "None")),
        (["b", "c", "a"] * 10, "multiclass", ("a", "b", "c")),
        (["10", "9", "8"] * 10, "multiclass", ("10", "8", "9")),
        ([10, 9, 8] * 10, "multiclass", (8, 9, 10)),
        ([1.0, 2.0, 3.0, None] * 10, "multiclass", (1, 2, 3)),
        (list(range(10)) * 2, "multiclass", tuple(range(10))),
        (list(range(11)) * 2, "regression", ()),
        (list(range(20)) * 20, "multiclass", tuple(range(20))),
        (list(range(20)) * 19, "regression", ()),
        (list(range(21)) * 100, "regression", ()),
        ([1.0, 2.0, 2.5] * 10, "regression", ()),
        ([0.1 * i for i in range(50)], "regression", ()),
    ],
)
def test_problem_types(values, problem_type, classes):
    target = Target.infer(series(values))
    assert (target.problem_type, target.classes) == (problem_type, classes)
    assert [type(label) for label in target.classes] == [type(label) for label in classes]
    assert target.positive == (classes[-1] if problem_type == "binary" else None)
    assert target.n_outputs == (len(classes) or 1)


@pytest.mark.parametrize("dtype", [object, "Int64", "category"])
def test_dtype_of_the_labels_does_not_matter(dtype):
    target = Target.infer(series([2, 1, None, 2], dtype=dtype))
    assert target.classes == (1, 2)
    assert target.encode(series([2, 1, 2], dtype=dtype)).tolist() == [1, 0, 1]


def test_a_problem_type_that_is_asked_for():
    assert Target.infer(series([0, 1, 2] * 5), "regression").problem_type == "regression"
    assert Target.infer(series(["1.5", "2", "7"] * 5), "regression").problem_type == "regression"
    assert Target.infer(series([0.5, 1.5, 2.5] * 5), "multiclass").classes == (0.5, 1.5, 2.5)
    assert Target.infer(series([0, 1] * 5), "multiclass").positive is None
    assert Target.infer(series([0, 1] * 5), "binary").classes == (0, 1)


@pytest.mark.parametrize(
    ("values", "positive", "classes"),
    [
        ([0, 1], "0", (1, 0)),
        ([0, 1], "1", (0, 1)),
        (["good", "bad"], "bad", ("good", "bad")),
        (["good", "bad"], "good", ("bad", "good")),
        ([True, False], "False", (True, False)),
        ([0.0, 1.0, None], "0", (1, 0)),
    ],
)
def test_the_positive_class_is_last(values, positive, classes):
    target = Target.infer(series(values * 5), positive_class=positive)
    assert target.classes == classes
    assert str(target.positive) == positive
    assert target.encode(series(list(classes))).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["a", "b"] * 5, "'maybe' is not a class .* classes: 'a', 'b'"),
        (["a", "b", "c"] * 5, "'maybe' given, but target '채무 불이행' is multiclass, with 3 classes"),
        ([0.5 * i for i in range(30)], "'maybe' given, but target '채무 불이행' is a regression"),
    ],
)
def test_a_positive_class_that_is_none(values, found):
    with pytest.raises(DataError, match=found):
        Target.infer(series(values), positive_class="maybe")


@pytest.mark.parametrize(
    ("values", "problem_type", "found"),
    [
        ([1, 1, 1], None, "constant, every row is 1"),
        (["a", "a", None], None, "constant, every row is 'a'"),
        ([2.5, 2.5], "regression", "constant, every row is 2.5"),
        ([None, None], None, "all 2 rows are missing"),
        ([np.nan] * 3, "regression", "all 3 rows are missing"),
        (["", "NA"], None, "all 2 rows are missing"),
        (["a", "b", "c"], None, "every one of the 3 classes has a single row"),
        ([f"n{i}" for i in range(50)], None, "every one of the 50 classes has a single row"),
        ([0, 1], None, "every one of the 2 classes has a single row"),
        ([f"n{i // 2}" for i in range(2_002)], None, "1,001 classes in 2,002 rows .* allowed: 1,000"),
        (["a", "b", "c"] * 3, "binary", "binary asked for, but there are 3 classes: 'a', 'b', 'c'"),
        ([0.5 * i for i in range(30)], "binary", "binary asked for, but there are 30 classes"),
        (["a", "b", "1"] * 3, "regression", "data row 1: 'a' is not a number"),
        ([1.5, np.inf, 2.5, np.inf], None, "2 infinite or too large values, the first in data row 2"),
        ([1.0, -np.inf, 1.0], "multiclass", "1 infinite or too large values"),
        ([[1], [2]], None, r"data row 1: \[1\] is a list"),
        (["a", {"b": 1}], None, "data row 2: .* is a dict"),
        ([1, "1", 2, "2"], None, "1 and '1' read the same"),
    ],
)
def test_labels_that_cannot_be_learned(values, problem_type, found):
    with pytest.raises(DataError, match=f"target '채무 불이행'.*{found}"):
        Target.infer(series(values), problem_type)


@pytest.mark.parametrize("labels", [[3, 1, 2, 1], ["3", "1", "2", "1"], [True, False, True], [0.5, 1.5, 2.5]])
def test_labels_come_back_as_they_were(labels):
    target = Target.infer(series(labels * 3), "multiclass")
    codes = target.encode(series(labels))
    assert codes.dtype == np.int64
    decoded = target.decode(codes)
    assert decoded == labels
    assert [type(label) for label in decoded] == [type(label) for label in labels]


def test_values_of_a_regression_come_back_as_they_were():
    target = Target.infer(series([0.1, 1e10, -3.0]))
    y = target.encode(series([0.1, 1e10, -3.0]))
    assert y.dtype == np.float64
    assert target.decode(y) == [0.1, 1e10, -3.0]


@pytest.mark.parametrize(
    ("trained_on", "given"), [([1, 2, 3], ["3", "1"]), (["1", "2", "x"], [2, 1]), ([1, 2, 3], [3.0, 1.0])]
)
def test_a_label_is_matched_by_its_text(trained_on, given):
    target = Target.infer(series(trained_on * 3), "multiclass")
    names = [str(label) for label in target.classes]
    expected = [names.index(str(label).removesuffix(".0")) for label in given]
    assert target.encode(series(given)).tolist() == expected


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["a", "d"], r"data row 2: 'd' is not among the classes .*: 'a', 'b'"),
        (["a", None], "first is data row 2"),
    ],
)
def test_labels_that_cannot_be_encoded(values, found):
    with pytest.raises(DataError, match=f"target '채무 불이행'.*{found}"):
        Target.infer(series(["a", "b"] * 3)).encode(series(values))


@pytest.mark.parametrize(
    "values", [[3, 1, 2], ["a", "b", "가"], [True, False], [0.1, 2.5, 3.7], [0.1 * i for i in range(30)]]
)
def test_json_round_trip_is_exact(values):
    target = Target.infer(series(values * 2))
    again = Target.from_json(json.loads(json.dumps(target.to_json(), allow_nan=False)))
    assert again == target
    assert [type(label) for label in again.classes] == [type(label) for label in target.classes]


@pytest.mark.parametrize(
    "content", [{}, {"format": 3}, {"format": 1, "classes": []}, {"format": 1, "name": "y"}, 3]
)
def test_damaged_json_is_refused(content):
    with pytest.raises(BundleError, match="target: "):
        Target.from_json(content)
