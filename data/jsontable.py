"""Tables in JSON: a list of records, a dict of columns, or one record a line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd

from data.exact import exact_series
from data.messages import show, show_list
from errors import DataLoadError

ALLOWED = 'a list of records [{"a": 1}, ...] or a dict of equally long columns {"a": [1, ...]}'

MAX_DIGITS = 4_000
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Every escape, in order: a character in two halves, half of one, any other.
ESCAPE = re.compile(r"\\(?:u(d[89ab]..)\\u(d[c-f]..)|u(?P<half>d[89a-f]..)|.)", re.IGNORECASE | re.DOTALL)


def parse_json(text: str, path: str) -> pd.DataFrame:
    """A table from a list of records or a dict of columns.

    Raises: DataLoadError: it is not JSON, or neither of these.
    """
    _check_surrogates(text, path)
    content = _loads(text, path)
    if isinstance(content, list):
        return _frame(content, path)
    if isinstance(content, dict) and content:
        return _from_columns(content, path)
    raise DataLoadError(f"{path}: not a table: {show(content)}; allowed: {ALLOWED}")


def parse_jsonl(text: str, path: str) -> pd.DataFrame:
    """A table from one record a line; blank lines are passed over.

    Raises: DataLoadError: a line is not a JSON record.
    """
    _check_surrogates(text, path)
    lines = enumerate(text.split("\n"), start=1)
    records = [_loads(line, f"{path}, line {n}") for n, line in lines if line.strip()]
    if len(records) == 1 and _is_columns(records[0]):
        return _from_columns(records[0], path)
    return _frame(records, path)


def _is_columns(content: Any) -> bool:
    """Whether one line holds columns, as no cell of a record is a list or a dict."""
    values = list(content.values()) if isinstance(content, dict) else []
    return bool(values) and any(all(isinstance(value, kind) for value in values) for kind in (dict, list))


def is_lines(text: str) -> bool:
    """Whether a text that begins as JSON is one record a line, and not one value."""
    lines = [line for line in text.split("\n", 50)[:50] if line.strip()]
    if len(lines) < 2 or not lines[0].lstrip().startswith("{"):  # noqa: PLR2004
        return False
    return lines[0].rstrip().endswith("}") and lines[1].lstrip().startswith("{")


def _loads(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise DataLoadError(f"{where}: not JSON: {error}") from None
    except _DuplicateKeyError as error:
        raise DataLoadError(f"{where}: column names must differ; more than once there: {error}") from None
    except RecursionError:
        raise DataLoadError(f"{where}: not a table: nested too deeply; allowed: {ALLOWED}") from None


def _whole(digits: str) -> int | float:
    """Infinity where Python reads no int: refused with its column and row, as what a cell must not hold."""
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _check_surrogates(text: str, where: str) -> None:
    """Refuse halves of a character, which JSON can write and no text can hold."""
    if not SURROGATE.search(text):
        return
    for match in ESCAPE.finditer(text):
        if match["half"]:
            line = text.count("\n", 0, match.start()) + 1
            raise DataLoadError(f"{where}: line {line} holds {match[0]}, which is half of a character")


class _DuplicateKeyError(ValueError):
    """A JSON object holds a key twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise _DuplicateKeyError(show_list(key for key, count in counts.items() if count > 1))
    return content


def _frame(records: list[Any], path: str) -> pd.DataFrame:
    stranger = next(_not_records(records), None)
    if stranger is not None:
        raise DataLoadError(
            f"{path}: record {stranger} is {show(records[stranger - 1])}, not a dict; allowed: {ALLOWED}"
        )
    names = list(dict.fromkeys(name for record in records for name in record))
    return pd.DataFrame({name: exact_series([record.get(name) for record in records]) for name in names})


def _not_records(records: list[Any]) -> Iterator[int]:
    return (place for place, record in enumerate(records, start=1) if not isinstance(record, dict))


def _from_columns(content: dict[str, Any], path: str) -> pd.DataFrame:
    """Columns as lists, or as dicts from row label to value, as pandas writes them."""
    if all(isinstance(column, dict) for column in content.values()):
        rows = list(dict.fromkeys(row for column in content.values() for row in column))
        return pd.DataFrame(
            {name: exact_series([column.get(row) for row in rows]) for name, column in content.items()}
        )
    for name, column in content.items():
        if not isinstance(column, list):
            raise DataLoadError(f"{path}: not a table: {name!r} holds {show(column)}; allowed: {ALLOWED}")
    lengths = {name: len(column) for name, column in content.items()}
    if len(set(lengths.values())) > 1:
        raise DataLoadError(f"{path}: columns differ in length: {_lengths(lengths)}; allowed: {ALLOWED}")
    return pd.DataFrame({name: exact_series(column) for name, column in content.items()})


def _lengths(lengths: dict[str, int]) -> str:
    """The first column, and the first that differs from it."""
    (first, length), *others = lengths.items()
    other = next(name for name, n in others if n != length)
    return f"{show(first)} has {length:,} values, {show(other)} has {lengths[other]:,}"
