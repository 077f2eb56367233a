"""How names, values and settings are shown in messages."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

# The code of what says that only some rows were looked at.
SAMPLED = "sampled"
MAX_SHOWN = 60
MAX_NAMES = 30
MAX_ERROR = 200
# Beyond these people would count noughts.
SMALL_SCORE, LARGE_SCORE = 1e-4, 1e9


def show(value: Any) -> str:
    """The value's repr on one line, shortened so that a cell of any size fits a message."""
    try:
        text = repr(value).replace("\n", " ")
    except (ValueError, RecursionError):  # Python writes ints to 4,300 digits, and lists some 1,000 deep
        text = f"<{type(value).__name__}, too large to show>"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def show_error(error: Exception) -> str:
    """The first line of a library's message, shortened."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= MAX_ERROR else f"{text[: MAX_ERROR - 3]}..."


def show_list(values: Iterable[Any], most: int = 10) -> str:
    """The first values, comma separated, and how many more there are."""
    values = list(values)
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(show(value) for value in values[:most]) + more


def count(n: int, noun: str) -> str:
    """So many of a thing: 1 line, 2,000 lines."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def show_number(value: float) -> str:
    """The number with about six digits, and never as a power of ten where people would not write one."""
    return f"{value:.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.6g}"  # noqa: PLR2004


def show_score(value: float) -> str:
    """A score with four significant digits or more, whatever the unit: 0.9123, 47,234.5, 3.204e-10."""
    if abs(value) >= LARGE_SCORE or 0 < abs(value) < SMALL_SCORE:
        return f"{value:.3e}"
    return f"{value:,.1f}" if abs(value) >= 999.95 else f"{value:#.4g}"  # noqa: PLR2004 - what rounds to 1,000


def show_duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any: 2:05, 1:00:00."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """A hint naming the option nearest to `name`, case and outer spaces aside; empty where none is near."""
    by_folded = {option.strip().casefold(): option for option in options}
    near = get_close_matches(name.strip().casefold(), by_folded, n=1)
    return f" (did you mean {show(by_folded[near[0]])}?)" if near else ""


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{100 * share:.3g}%"


def setting(key: str, value: str | Sequence[str]) -> str:
    """`key=value` as typed in a shell; a list where several values are given."""
    if isinstance(value, str):
        return shlex.quote(f"{key}={value}")
    names = [
        name if re.fullmatch(r"\w(?:[\w .-]*\w)?", name) else json.dumps(name, ensure_ascii=False)
        for name in value
    ]
    return shlex.quote(f"{key}=[{','.join(names)}]")


def ignore(names: Sequence[str]) -> str:
    """The setting that leaves columns out; of very many only how many they are."""
    if len(names) > MAX_NAMES:
        return f"data.ignore=[...], the {len(names):,} names (all of them: --json)"
    return setting("data.ignore", names)


def name_kind(name: str, kind: str) -> str:
    """The setting that says what a column is."""
    key = name if re.fullmatch(r"[\w-]+", name) else json.dumps(name, ensure_ascii=False)
    return setting("data.kinds", f"{{{key}: {kind}}}")
