import numpy as np
import pytest

from data.messages import MAX_ERROR, MAX_SHOWN, show, show_error, show_score


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("make", [lambda: 10**5_000, lambda: [10**5_000], lambda: nested(100_000)])
def test_what_python_cannot_write_is_named_by_its_type(make):
    value = make()
    assert show(value) == f"<{type(value).__name__}, too large to show>"


def test_a_value_of_several_lines_is_shown_in_one():
    shown = show(np.arange(100))
    assert "\n" not in shown
    assert len(shown) == MAX_SHOWN


def test_of_a_library_s_message_the_first_line_is_shown():
    assert show_error(ValueError("\n a\x00b \nsecond")) == "a?b"
    assert len(show_error(ValueError("x" * 1_000))) == MAX_ERROR
    assert show_error(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91234, "0.9123"),
        (1.0, "1.000"),
        (0.0, "0.000"),
        (-0.05, "-0.05000"),
        (12.3456, "12.35"),
        (999.96, "1,000.0"),
        (47_234.56, "47,234.6"),
        (3.2043e-10, "3.204e-10"),
        (-0.00001, "-1.000e-05"),
        (5.4321e12, "5.432e+12"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_a_score_has_four_digits_whatever_the_unit(value, text):
    assert show_score(value) == text
