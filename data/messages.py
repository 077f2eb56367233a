"""How names and values are shown in error messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

MAX_SHOWN = 60


def show(value: Any) -> str:
    """The value's repr, shortened so that a cell of any size fits a message."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def show_list(values: Iterable[Any], most: int = 10) -> str:
    """The first values, comma separated, and how many more there are."""
    values = list(values)
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(show(value) for value in values[:most]) + more


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """A hint naming the option nearest to `name`, case and outer spaces aside; empty where none is near."""
    by_folded = {option.strip().casefold(): option for option in options}
    near = get_close_matches(name.strip().casefold(), by_folded, n=1)
    return f" (did you mean {show(by_folded[near[0]])}?)" if near else ""
