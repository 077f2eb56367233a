import numpy as np
import pytest

from data.messages import MAX_ERROR, MAX_SHOWN, show, show_error


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
