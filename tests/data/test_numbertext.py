import math

import numpy as np
import pyarrow as pa
import pytest

from data.number_recognition import recognise
from data.numbertext import NumberText


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2.5", "-3e2", ".5"], NumberText()),
        (["1,234", "12", "1,234,567.5", "-1,000"], NumberText()),
        (["12%", "7.5 %", "1,200%"], NumberText(unit="%")),
        (["$5", "-$1,200.50", "$-3", "$ 7"], NumberText(unit="$")),
        (["5€", "1,200 €"], NumberText(unit="€")),
        (["5,000원", "₩"], None),
        (["₩5,000", "₩900"], NumberText(unit="₩")),
        (["1.234,5", "1.000.000", "7"], NumberText(decimal=",")),
        (["0,5", "1,5"], NumberText(decimal=",")),
        (["3,05", "1,5"], NumberText(decimal=",")),
        (["1", "?", "-"], NumberText()),
        ([1, 2.5, "3", "-"], NumberText()),
        (["1,5", "2,5"], None),
        (["1,5", "1.5", "0,5"], None),
        (["1,23,456", "1"], NumberText()),
        (["1,2,3", "4"], None),
        (["$5", "€5"], None),
        (["$5", "5"], None),
        (["12%", 0.5], None),
        (["007", "12"], None),
        (["1", True], None),
        (["a", "b"], None),
        (["1", "a"], None),
        (["?", "-"], None),
        (["1-2", "3"], None),
        (["1 234", "5"], NumberText()),
        (["(5)", "5"], NumberText()),
        (["٣", "4"], None),
        (["1_000", "4"], None),
    ],
)
def test_what_is_recognised(values, expected):
    found = recognise(values).text
    assert (found and (found.decimal, found.unit)) == (expected and (expected.decimal, expected.unit))


def test_a_rare_text_among_many_numbers_stands_for_a_missing_one():
    values = [str(i) for i in range(40)]
    assert recognise([*values, "unknown", "n.a."]).text.words == ("n.a.", "unknown")
    assert recognise([*values, "a", "b", "c"]).text is None
    assert recognise([*values, "<20", "?"]).text.words == ("<20",)
    assert recognise(["1", "2", "unknown"]).text.words == ("unknown",)


def test_very_many_texts_are_looked_at_by_their_shape():
    rng = np.random.default_rng(0)
    values = list(
        dict.fromkeys(f"{n:,.2f}".translate(str.maketrans(",.", ".,")) for n in rng.uniform(0, 9e6, 20_000))
    )
    found = recognise([*values, "<5", "<6"])
    assert found.text == NumberText(",", words=("<5", "<6"), thousands=True)
    assert recognise([*values, "1.5"]).text.words == ("1.5",)


def test_what_is_open_is_settled_by_asking_or_by_the_rest_of_the_table():
    assert recognise(["1,5", "2"], asked=True).text == NumberText(",", thousands=False)
    assert recognise(["1,5", "2"], hint=",").text == NumberText(",", thousands=False)
    assert recognise(["007", "2"], asked=True).text == NumberText(thousands=False)
    assert recognise(["1,234", "2"]).text == NumberText(thousands=True)
    assert recognise(["1,234", "2"], hint=",").text == NumberText(",", thousands=False)
    assert recognise(["1.234", "2"], hint=",").text == NumberText(",", thousands=True)
    assert recognise([f"{n},{n}" for n in range(1, 30)]).text == NumberText(",", thousands=False)


@pytest.mark.parametrize(
    "values", [["1,234", "2"], [f"{n}.{n}00" for n in range(1, 10)] * 2 + [f"{n}.125" for n in range(1, 13)]]
)
def test_what_can_be_read_in_two_ways_is_said(values):
    assert "data.formats" in recognise(list(dict.fromkeys(values))).note


@pytest.mark.parametrize(
    ("style", "value", "number"),
    [
        (NumberText(",", thousands=True), "4.321", 4321),
        (NumberText(",", thousands=False), "1.234,5", 1234.5),
        (NumberText(",", thousands=False), "1.234.567", 1234567),
        (NumberText(thousands=False), "1,234.5", 1234.5),
        (NumberText(), "1 234", 1234),
        (NumberText(), "1\u202f234.5", 1234.5),
        (NumberText(), "1'234.5", 1234.5),
        (NumberText(), "12,34,567", 1234567),
        (NumberText(), "(1,234)", -1234),
        (NumberText(), "\u22125", -5),
        (NumberText(unit="kg"), "3.5 kg", 3.5),
        (NumberText(unit="EUR"), "EUR 5", 5),
        (NumberText(unit="months"), " 36 months", 36),
    ],
)
def test_numbers_of_the_world(style, value, number):
    assert style.read(value) == number
    read, bad = style.read_all(pa.array([value.strip()], pa.large_string()))
    assert (read[0], bad[0]) == (number, False)


@pytest.mark.parametrize(
    ("style", "value"),
    [
        (NumberText(",", thousands=False), "4.321"),
        (NumberText(thousands=False), "1,234"),
        (NumberText(unit="kg"), "3 km"),
        (NumberText(unit="$"), "5$00"),
        (NumberText(), "9" * 100_000 + "x"),
        (NumberText(), "1," * 200),
    ],
)
def test_a_cell_that_contradicts_is_no_number(style, value):
    with pytest.raises(ValueError, match="is not a number as the others are written"):
        style.read(value)
    assert style.read_all(pa.array([value], pa.large_string()))[1].all()


@pytest.mark.parametrize(
    ("style", "value", "number"),
    [
        (NumberText(), "1,234.5", 1234.5),
        (NumberText(), " 12 ", 12),
        (NumberText(), 12, 12),
        (NumberText(), "?", math.nan),
        (NumberText(), None, math.nan),
        (NumberText(unit="%"), "12 %", 12),
        (NumberText(unit="%"), "12", 12),
        (NumberText(unit="$"), "-$1,200", -1200),
        (NumberText(unit="$"), "$ -", math.nan),
        (NumberText(decimal=","), "1.234,5", 1234.5),
        (NumberText(decimal=","), "1.234", 1234),
        (NumberText(decimal=","), 1.5, 1.5),
        (NumberText(words=("unknown",)), "unknown ", math.nan),
    ],
)
def test_reading(style, value, number):
    assert style.read(value) == pytest.approx(number, rel=0, nan_ok=True)


@pytest.mark.parametrize(
    ("style", "value"),
    [
        (NumberText(), "1,5"),
        (NumberText(), "12%"),
        (NumberText(unit="$"), "€5"),
        (NumberText(unit="$"), "$5$"),
        (NumberText(decimal=","), "1.5"),
        (NumberText(), "abc"),
        (NumberText(), "inf"),
        (NumberText(), "1e999"),
        (NumberText(), True),
        (NumberText(), [1]),
        (NumberText(words=("unknown",)), "nothing"),
    ],
)
def test_what_is_refused(style, value):
    with pytest.raises(ValueError, match=r"not a number|too large|holds a number"):
        style.read(value)
