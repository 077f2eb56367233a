import datetime as dt
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from data.dates import date_parts
from data.values import convert, factorise, is_missing, to_boolean, to_number, to_plain, to_text
from errors import DataError


@pytest.mark.parametrize(
    "value", [None, math.nan, np.nan, np.float32("nan"), pd.NA, pd.NaT, "", "  ", "NA", "nan", Decimal("NaN")]
)
def test_missing_values_are_missing_everywhere(value):
    assert is_missing(value)
    assert math.isnan(to_number(value))
    assert math.isnan(to_boolean(value))
    assert to_plain(value) is None


@pytest.mark.parametrize("value", [0, 0.0, False, "0", "None", "no", np.int64(0), 10**400])
def test_values_are_not_missing(value):
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3.0), (-2.5, -2.5), (" 1e3 ", 1000.0), (np.int8(4), 4.0), (Decimal("1.5"), 1.5), ("-7", -7.0)],
)
def test_numbers_read_as_numbers(value, number):
    assert to_number(value) == number


@pytest.mark.parametrize("mark", ["None", "?", "-"])
def test_marks_for_no_number_are_missing_where_a_number_is_expected(mark):
    assert math.isnan(to_number(mark))


@pytest.mark.parametrize(
    "value",
    [
        "abc",
        "1_000",
        "1,000",
        True,
        np.True_,
        [1],
        {"a": 1},
        b"1",
        math.inf,
        -math.inf,
        "inf",
        "1e999",
        10**400,
    ],
)
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(ValueError, match=r"not a number|infinite|holds a number"):
        to_number(value)


@pytest.mark.parametrize("value", [True, "TRUE", " yes ", 1, 1.0, "1", np.True_])
def test_true_values(value):
    assert to_boolean(value) == 1.0


@pytest.mark.parametrize("value", [False, "False", "No", 0, 0.0, "0", np.False_])
def test_false_values(value):
    assert to_boolean(value) == 0.0


@pytest.mark.parametrize("value", [2, "maybe", 0.5, [True], math.inf])
def test_what_is_neither_true_nor_false_is_refused(value):
    with pytest.raises(ValueError, match=r"neither|holds a number"):
        to_boolean(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2, "2"),
        (2.0, "2"),
        (np.float32(2), "2"),
        (2.5, "2.5"),
        ("02", "02"),
        (" a ", " a "),
        (True, "True"),
        (pd.Timestamp("2020-01-02"), "2020-01-02"),
        (dt.date(2020, 1, 2), "2020-01-02"),
        (pd.Timestamp("2020-01-02 03:04"), "2020-01-02T03:04:00"),
    ],
)
def test_canonical_text(value, text):
    assert to_text(value) == text


@pytest.mark.parametrize("value", [math.inf, [1], {}, (1,), b"a"])
def test_what_is_no_category_is_refused(value):
    with pytest.raises(ValueError, match=r"infinite|holds a number"):
        to_text(value)


def test_plain_values_keep_their_json_type():
    values = [np.int64(1), np.float64(1.5), np.bool_(True), "a", 3, Decimal("0.5"), dt.date(2020, 1, 2)]
    plain = [to_plain(value) for value in values]
    assert plain == [1, 1.5, True, "a", 3, 0.5, "2020-01-02"]
    assert [type(value) for value in plain] == [int, float, bool, str, int, float, str]


def test_factorise_keeps_true_and_one_apart_and_missing_out():
    series = pd.Series([1, True, None, "1", 1.0, np.nan, 1], dtype=object)
    codes, values = factorise(series, "column 'a'")
    assert codes.tolist() == [0, 1, -1, 2, 3, -1, 0]
    assert [type(value) for value in values] == [int, bool, str, float]


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["b", None, "a", "b", "NA"]),
        pd.Series(["b", None, "a", "b", "NA"], dtype=object),
        pd.Series(["b", None, "a", "b", "NA"], dtype="category"),
    ],
    ids=["str", "object", "category"],
)
def test_factorise_is_the_same_for_every_dtype_of_text(series):
    codes, values = factorise(series, "column 'a'")
    assert [values[code] if code >= 0 else None for code in codes] == ["b", None, "a", "b", None]


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1.5, None, 3.0]),
        pd.Series([1.5, None, 3.0], dtype="Float64"),
        pd.Series(["1.5", "", "3"]),
        pd.Series([1.5, None, "3"], dtype=object),
        pd.Series(["1.5", None, "3.0"], dtype="category"),
    ],
    ids=["float", "nullable", "str", "object", "category"],
)
def test_convert_is_the_same_for_every_dtype_of_number(series):
    np.testing.assert_array_equal(convert(series, to_number, "column 'a'"), [1.5, np.nan, 3.0])


def test_convert_names_the_row_in_the_file():
    series = pd.Series(["1", "2", "x", "x"], index=[10, 3, 7, 8])
    with pytest.raises(DataError, match=r"^column 'a', data row 8: 'x' is not a number$"):
        convert(series, to_number, "column 'a'")


def test_convert_counts_infinite_values():
    with pytest.raises(
        DataError, match=r"column 'a': 2 infinite or too large values, the first in data row 2"
    ):
        convert(pd.Series([1.0, np.inf, -np.inf]), to_number, "column 'a'")


def test_equal_cells_that_are_encoded_differently_stay_apart():
    seoul = dt.datetime(2024, 1, 1, 9, tzinfo=dt.timezone(dt.timedelta(hours=9)))
    cells = [0.0, -0.0, seoul, seoul.astimezone(dt.UTC)]
    _, values = factorise(pd.Series(cells, dtype=object), "column 'a'")
    assert [repr(value) for value in values] == [repr(cell) for cell in cells]


@pytest.mark.parametrize("reader", [to_number, to_boolean, to_text, date_parts])
@pytest.mark.parametrize("value", [10**5_000, Fraction(10**400)], ids=["int", "fraction"])
def test_a_number_of_thousands_of_digits_is_refused(reader, value):
    with pytest.raises(ValueError, match=r"too large|infinite|neither true nor false|not a date"):
        reader(value)
