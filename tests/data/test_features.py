import datetime as dt

import numpy as np
import pandas as pd
import pytest

from data.features import infer_features
from errors import DataError

N = 40


def infer_one(values, name="x", **options):
    frame = pd.DataFrame({name: values, "y": np.arange(len(values))})
    (spec,) = infer_features(frame, "y", **options)
    return spec


def spread(*values):
    return [values[i % len(values)] for i in range(N)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (spread(1, 2, 3), "numeric"),
        (spread(0, 1), "numeric"),
        (spread(1.5, None, 2.5), "numeric"),
        (pd.array(spread(1, None, 3), dtype="Int64"), "numeric"),
        (pd.Series(spread(1, 2.5, None), dtype=object), "numeric"),
        (spread(True, False), "boolean"),
        (pd.Series(spread(True, False, None), dtype=object), "boolean"),
        (pd.array(spread(True, False, None), dtype="boolean"), "boolean"),
        (spread("TRUE", "false"), "boolean"),
        (spread("Yes", "no", ""), "boolean"),
        (spread("yes", "maybe"), "categorical"),
        (spread("a", "b", None), "categorical"),
        (pd.Series(spread("a", "b"), dtype="category"), "categorical"),
        (pd.Series(spread(1, "a"), dtype=object), "categorical"),
        (spread("01", "02"), "categorical"),
        ([f"{i}.5" for i in range(N - 1)] + ["?"], "numeric"),
        (spread(None, None), "ignore"),
        (spread("", "NA"), "ignore"),
        (spread(3, 3), "ignore"),
        (spread("a", None), "ignore"),
        (spread(True, True), "ignore"),
        ([f"free text {i}" for i in range(N)], "ignore"),
        (pd.timedelta_range("1 day", periods=N), "ignore"),
        (pd.date_range("2020-01-01", periods=N), "datetime"),
        (pd.date_range("2020-01-01", periods=N, tz="Asia/Seoul"), "datetime"),
        (pd.date_range("2020-01-01", periods=N).astype(str), "datetime"),
        (pd.Series([dt.date(2020, 1, 1 + i % 20) for i in range(N)], dtype=object), "datetime"),
        (spread("2024-01-31", "2024-02-01T09:30", "2024-02-01 09:30:15.25+09:00", None), "datetime"),
        (spread("2024-01-31", "2024-02-30"), "categorical"),
        (spread("2024/01/31", "2024/02/01"), "datetime"),
        (spread("20240131", "20240201"), "numeric"),
        (spread("1,234", "12", "5,000,000.5", "-"), "numeric"),
        (spread("12%", "7.5 %", "-3%"), "numeric"),
        (spread("$5", "-$1,200.50", "$ 7"), "numeric"),
        (spread("1.234,5", "7", "0,25"), "numeric"),
        (spread(" 1.5 ", "2.5", " "), "numeric"),
        (spread("1,5", "2,5"), "categorical"),
        (spread("1,2,3", "1"), "categorical"),
        (spread("$5", "€7"), "categorical"),
        (spread("12%", "0.5"), "categorical"),
        (spread("1,23", "12"), "categorical"),
        ([str(i) for i in range(N - 1)] + ["unknown"], "numeric"),
        ([str(i) for i in range(N - 1)] + ["5+"], "numeric"),
    ],
)
def test_kinds(values, kind):
    assert infer_one(values).kind == kind


def test_what_is_counted():
    spec = infer_one(spread("a", None, "b", "a" * 50))
    assert (spec.n_missing, spec.n_distinct) == (N // 4, 3)
    assert spec.examples == ("a", "b", "a" * 40)
    numbers = infer_one(spread(1.5, None))
    assert (numbers.n_missing, numbers.n_distinct, numbers.examples) == (N // 2, 1, ("1.5",))


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (spread(7, 7), "constant"),
        (spread(None, None), "all missing"),
        ([f"t{i}" for i in range(N)], "40 different values in 40 rows: an id or free text"),
        ([f"what {i} people say" for i in range(N)], "40 different values in 40 rows: free text"),
        (pd.timedelta_range("1 day", periods=N), "a duration; make numbers of it to use it"),
        ([f"{i}" for i in range(N - 1)] + ["?"], "numbers written as text; '?' read as missing"),
        (
            [f"{i}" for i in range(N - 1)] + ["n.a."],
            "numbers written as text; 'n.a.' read as missing (1 row: 40)",
        ),
        (spread("1,234", "1,234.5"), "numbers written as text with commas between thousands"),
        (
            spread("1,234", "12"),
            "numbers written as text with commas between thousands; the mark in '1,234' is taken for thousands: if it "
            "is not, say how they are written, for example '0,5', in data.formats",
        ),
        (
            spread("12%", "1,234.5%"),
            "numbers written as text with commas between thousands, with '%', which is left out",
        ),
        (spread("1.234,5", "1"), "numbers written as text with decimal commas"),
        (spread("1,5", "2"), "decimal commas, or lists? '1,5'; kind numeric reads decimal commas"),
        (spread("$5", "€7"), "numbers with different units: '$5', '€7'"),
        (spread("31.12.2024", "1.2.2024"), "dates like 31.01.2024, day first"),
        ([f"2024-01-{1 + i % 9:02d}" for i in range(N)] + ["2024-01-32"], "all dates but for '2024-01-32'"),
        (spread("2024-01-31", "2024-02-01", "0000-00-00"), "'0000-00-00' read as missing"),
    ],
)
def test_notes_say_why(values, note):
    assert infer_one(values).note == note


def test_a_number_column_with_a_stray_text_is_told_of():
    spec = infer_one([*(str(i % 9) for i in range(N - 1)), "5+"])
    assert spec.kind == "categorical"
    assert spec.note == "all numbers but for '5+'"


def test_a_few_rows_are_no_reason_to_call_texts_distinct():
    assert infer_one(["a", "b", "c", "d"]).kind == "categorical"


@pytest.mark.parametrize(
    "name", ["ID", "id", "UID", "customer_id", "userId", "index", "row", "번호", "고객 번호"]
)
def test_row_ids(name):
    spec = infer_one(range(5, 5 + N), name=name)
    assert (spec.kind, spec.note) == ("ignore", "a row number: rises by 1 from row to row")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("age", range(N)),
        ("paid", range(N)),
        ("humidity", range(N)),
        ("number", range(0, 2 * N, 2)),
        ("id", [*range(N - 1), 5]),
        ("id", [i * 1.5 for i in range(N)]),
    ],
)
def test_numbers_that_are_no_row_ids(name, values):
    assert infer_one(values, name=name).kind == "numeric"


@pytest.mark.parametrize(
    "values", [range(0, 2 * N, 2), [*range(1, N), 0], [str(2**60 + 3 * i) for i in range(N)]]
)
def test_ids_that_are_no_row_numbers(values):
    spec = infer_one(values, name="customer_id")
    assert (spec.kind, spec.note) == ("ignore", "an id: 40 different whole numbers in 40 rows")
    assert infer_one(values, name="customer_id", kinds={"customer_id": "numeric"}).kind == "numeric"


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (spread(3, -1.5, None), -1.5, 3),
        (spread("1,234", "-7", "-"), -7, 1234),
        (spread("2024-01-31", "1999-12-01"), "1999-12-01", "2024-01-31"),
        (
            pd.date_range("2024-01-01 09:30", periods=N, tz="Asia/Seoul"),
            "2024-01-01 00:30",
            "2024-02-09 00:30",
        ),
        (spread("a", "b"), None, None),
        (spread(True, False), None, None),
        (spread(3, 3), None, None),
    ],
)
def test_ranges(values, low, high):
    spec = infer_one(values)
    assert (spec.low, spec.high) == (low, high)


def test_a_row_id_is_seen_through_withheld_and_shuffled_rows():
    frame = pd.DataFrame({"ID": range(1, 101), "y": range(100)}).sample(60, random_state=0)
    assert infer_features(frame, "y")[0].kind == "ignore"


def test_configuration_overrides():
    assert infer_one(spread(1, 2), kinds={"x": "categorical"}).kind == "categorical"
    assert infer_one([f"t{i}" for i in range(N)], kinds={"x": "categorical"}).kind == "categorical"
    assert infer_one(spread(0, 1), kinds={"x": "boolean"}).kind == "boolean"
    assert infer_one(spread("Y", "N"), kinds={"x": "boolean"}).kind == "boolean"
    assert infer_one(spread("1", "2.5"), kinds={"x": "numeric"}).kind == "numeric"
    assert infer_one(range(N), name="id", kinds={"id": "numeric"}).kind == "numeric"
    assert infer_one(spread("1,5", "2"), kinds={"x": "numeric"}).high == 2
    assert infer_one(spread("007", "12"), kinds={"x": "numeric"}).low == 7
    assert infer_one(spread("1,234", "12"), kinds={"x": "categorical"}).kind == "categorical"
    assert infer_one(spread(20240131, 20240201), kinds={"x": "datetime"}).low == "2024-01-31"
    assert infer_one(spread("2024/1/31", "2024.02.01"), kinds={"x": "datetime"}).high == "2024-02-01"
    assert infer_one(pd.date_range("2020-01-01", periods=N), kinds={"x": "categorical"}).kind == "categorical"
    assert infer_one(spread(1, 2), kinds={"x": "ignore"}).note == "ignored by configuration"
    assert infer_one(spread(1, 2), ignore=["x"], kinds={"x": "numeric"}).note == "ignored by configuration"


def test_numeric_asked_of_true_and_false_keeps_them_numbers():
    spec = infer_one(spread(True, False), kinds={"x": "numeric"})
    assert (spec.kind, spec.note) == ("boolean", "true and false are the numbers 1 and 0")


@pytest.mark.parametrize("values", [spread(3, 3), spread("a", None), spread(None, None)])
def test_nothing_to_learn_is_said_even_of_a_kind_asked_for(values):
    spec = infer_one(values, kinds={"x": "categorical"})
    assert spec.kind == "ignore"
    assert "the kind categorical that was asked for has nothing to learn from" in spec.note


@pytest.mark.parametrize("kind", ["numeric", "datetime"])
def test_nothing_but_marks_for_missing_values(kind):
    spec = infer_one(spread("-", "?"), kinds={"x": kind})
    assert (spec.kind, spec.n_missing) == ("ignore", N)
    assert "all missing" in spec.note


def test_marks_for_missing_values_are_counted():
    assert infer_one(spread("1", "2", "-", None)).n_missing == N // 2
    assert infer_one(spread("2024-01-31", "2024-01-30", "-", None)).n_missing == N // 2


def test_more_categories_than_are_kept():
    spec = infer_one([f"t{i // 2}" for i in range(4_000)])
    assert (spec.kind, spec.n_distinct) == ("categorical", 2_000)
    assert spec.note == "2,000 different values; the 1,000 most frequent are kept"


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        (spread("1", "abc"), "numeric", "data row 2: 'abc' is not a number"),
        (spread("1,5", "1.5"), "numeric", "data row 1: '1,5' is not a number"),
        (spread("2024-01-31", "31.31.2024"), "datetime", "data row 2: '31.31.2024' is not a date"),
        (spread(20240131, 7), "datetime", r"data row 2: 7(\.0)? is not a date"),
        (spread(True, False), "datetime", "data row 1: True is not a date"),
        (pd.date_range("2020-01-01", periods=N), "numeric", "data row 1: .* is not a number"),
        (spread("yes", "maybe"), "boolean", "data row 2: 'maybe' is neither true nor false"),
        (spread(1, 2), "boolean", r"data row 2: 2(\.0)? is neither true nor false"),
    ],
)
def test_values_that_do_not_fit_the_kind_asked_for(values, kind, found):
    with pytest.raises(DataError, match=f"column 'x'[:,] {found}"):
        infer_one(values, kinds={"x": kind})


@pytest.mark.parametrize("key", ["ignore", "kinds"])
def test_unknown_and_target_names(key):
    frame = pd.DataFrame({"주거 형태": [1, 2], "연간 소득": [3, 4], "y": [0, 1]})
    options = {"ignore": ["연간소득"]} if key == "ignore" else {"kinds": {"연간소득": "numeric"}}
    with pytest.raises(DataError, match=rf"data.{key}: no column '연간소득' \(did you mean '연간 소득'\?\)"):
        infer_features(frame, "y", **options)
    options = {"ignore": ["y"]} if key == "ignore" else {"kinds": {"y": "numeric"}}
    with pytest.raises(DataError, match=f"data.{key}: 'y' is the target"):
        infer_features(frame, "y", **options)


@pytest.mark.parametrize(("cell", "type_name"), [([1, 2], "list"), ({"a": 1}, "dict")])
def test_a_column_of_containers(cell, type_name):
    values = ["a", "b", cell, cell]
    with pytest.raises(DataError, match=rf"column 'x', data row 3: .* is a {type_name}"):
        infer_one(values)
    assert infer_one(values, ignore=["x"]).note == "ignored by configuration"


def test_infinite_values():
    with pytest.raises(DataError, match=r"column 'x': 2 infinite .* first in data row 3: inf"):
        infer_one([1.0, 2.0, np.inf, -np.inf])
    assert infer_one([1.0, 2.0, np.inf], ignore=["x"]).kind == "ignore"


def test_order_is_the_tables_and_the_target_is_left_out():
    frame = pd.DataFrame({"b": [1, 2], "y": [1, 2], "a": [1, 2]})
    assert [spec.name for spec in infer_features(frame, "y")] == ["b", "a"]
