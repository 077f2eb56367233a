import math

import pytest

from data.numbertext import NumberText, number_text, recognise


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
        (["1,23,456", "1"], None),
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
        (["1 234", "5"], None),
        (["(5)", "5"], None),
        (["٣", "4"], None),
        (["1_000", "4"], None),
    ],
)
def test_what_is_recognised(values, expected):
    assert recognise(values)[0] == expected


def test_a_rare_word_among_many_numbers_stands_for_a_missing_one():
    values = [str(i) for i in range(40)]
    assert recognise([*values, "unknown", "n.a."])[0].words == ("n.a.", "unknown")
    assert recognise([*values, "a", "b", "c"])[0] is None
    assert recognise([*values, "5+"])[0] is None


def test_what_is_open_is_settled_by_asking():
    assert number_text(["1,5", "2"]) == NumberText(decimal=",")
    assert number_text(["007", "2"]) == NumberText()
    assert number_text([1, 2]) is None


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


@pytest.mark.parametrize(
    ("cells", "odd"),
    [(["1,234", "5", "67"], "inf"), (["12%", "3%", "4"], "4$"), (["1,5", "2,25", "0,5"], "1.5.1")],
)
def test_the_odd_cell_is_blamed_and_not_the_others(cells, odd):
    style = number_text([*cells, odd])
    for cell in cells:
        style.read(cell)
    with pytest.raises(ValueError, match="number"):
        style.read(odd)
