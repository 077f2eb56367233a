"""Labels keep their text; targets read every format that a feature reads."""

import numpy as np
import pandas as pd
import pytest

from data.target_reading import read_labels
from errors import DataError

N = 200


def labels(values, untyped=True, **options):
    return read_labels(
        pd.Series(values, name="y", dtype="str" if untyped else None), untyped=untyped, **options
    )


def spread(*values):
    return [values[k % len(values)] for k in range(N)]


@pytest.mark.parametrize(
    "classes",
    [
        ("01", "02", "03"),
        ("07", "7", "8"),
        ("1E5", "2E5", "3E5"),
        ("1.10", "1.20", "2.00"),
        ("12345678901234567890", "12345678901234567891"),
        ("true", "false"),
        ("TRUE", "False"),
        ("None", "some"),
        ("+1", "-1"),
        (" a", "a"),
        ("01", "02", "A3"),
    ],
)
def test_labels_keep_their_text(classes):
    found = labels(spread(*classes), asked="classification")
    assert set(found.target.classes) == set(classes)
    later = pd.Series(list(classes), dtype="str")
    assert found.target.decode(found.target.encode(later)) == list(classes)


@pytest.mark.parametrize(
    ("texts", "classes"),
    [(("0", "1"), (0, 1)), (("9007199254740993", "7"), (7, 9007199254740993)), (("3", "1", "2"), (1, 2, 3))],
)
def test_plain_whole_numbers_are_numbers(texts, classes):
    assert labels(spread(*texts)).target.classes == classes


def test_words_without_leading_zeros_agree_with_those_that_have_them():
    target = labels(spread("01", "02", "A3")).target
    assert target.encode(pd.Series(["02", "01"], dtype="str")).tolist() == [1, 0]
    with pytest.raises(DataError, match="'1' is not among the classes"):
        target.encode(pd.Series(["1"], dtype="str"))


@pytest.mark.parametrize(
    ("write", "unit"),
    [
        (lambda v: f"{v:.1f}".replace(".", ","), ""),
        (lambda v: f"${v:,.2f}", "$"),
        (lambda v: f"{v:.1f}%", "%"),
        (lambda v: f"{v:,.0f}", ""),
        (lambda v: f"{v:.1f} kg", "kg"),
    ],
)
def test_the_target_reads_what_a_feature_reads(write, unit):
    values = np.linspace(1_000, 9_000, N)
    found = labels([write(v) for v in values])
    assert (found.target.problem_type, found.target.numbers.unit) == ("regression", unit)
    y = found.target.encode(pd.Series([write(v) for v in values], name="y", dtype="str"))
    np.testing.assert_allclose(y, values, atol=0.6)


@pytest.mark.parametrize("odd", ["?", "<20", "n/k", "unknown"])
def test_what_is_no_number_is_named_and_no_class(odd):
    values = [f"{k / 7:.2f}" for k in range(N)]
    values[16] = values[89] = odd
    found = labels(values)
    assert found.target.problem_type == "regression"
    assert found.missing.nonzero()[0].tolist() == [16, 89]
    assert any(f"{odd!r} is no number: 2 rows (data row 17, 90)" in note for note in found.notes)


@pytest.mark.parametrize(
    "values", [[f"2024-01-{1 + k % 28:02d}" for k in range(N)], pd.date_range("2024-01-01", periods=N)]
)
def test_dates_are_no_target(values):
    with pytest.raises(DataError, match="target 'y': dates; a date is no target"):
        read_labels(pd.Series(values, name="y"))


def test_na_is_a_class_where_other_words_are():
    found = labels(spread("NA", "EU", "AS"))
    assert set(found.target.classes) == {"NA", "EU", "AS"}
    assert not found.missing.any()
    later = pd.Series(["EU", "NA", ""], dtype="str")
    assert found.target.missing(later).tolist() == [False, False, True]
    rare = labels([*spread("yes", "no"), "NA"])
    assert (rare.target.classes, rare.missing.sum()) == (("no", "yes"), 1)
    assert any("1 rows hold 'NA'" in note for note in rare.notes)
    numbers = labels([*spread("1", "2", "3"), *["NA"] * 50])
    assert (numbers.target.classes, numbers.missing.sum()) == ((1, 2, 3), 50)
    kept = labels([*spread("yes", "no"), "NA", "NA"], example="text")
    assert kept.missing.sum() == 2


@pytest.mark.parametrize("untyped", [True, False])
def test_few_whole_numbers_are_told_what_they_were_taken_for(untyped):
    values = [k % 16 for k in range(N)]
    found = labels([str(v) for v in values] if untyped else values, untyped)
    assert any("16 different whole numbers and is taken for" in note for note in found.notes)
    assert not labels(spread("0", "1")).notes
    assert not labels([str(v) for v in values], asked="regression").notes


def test_typed_labels_are_matched_by_what_they_mean():
    target = labels(spread("true", "false")).target
    assert target.encode(pd.Series([True, False])).tolist() == [1, 0]
    target = labels(spread("1", "2", "3")).target
    assert target.encode(pd.Series(["1.0", "3"], dtype="str")).tolist() == [0, 2]
    assert target.encode(pd.Series([1.0, 3.0])).tolist() == [0, 2]


def test_versions_are_no_numbers():
    assert labels(spread("1.1", "1.10", "1.2")).target.classes == ("1.1", "1.10", "1.2")
    assert any(
        "3 different numbers and is taken for a number" in n
        for n in labels(spread("1.5", "2.5", "3.5")).notes
    )


def test_another_name_of_a_number_is_another_class():
    target = labels(spread("7", "8", "9")).target
    with pytest.raises(DataError, match="'07' is not among the classes"):
        target.encode(pd.Series(["07"], dtype="str"))
