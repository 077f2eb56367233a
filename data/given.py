"""Rows as Python programs hold them: what has one meaning is taken, and the rest refused by one line.

    DataFrame                             its rows; columns by name
    list of records (dict, Series)        a row each; values by name
    list of lists, 2-D array              a row each; values in the order of the model's columns
    structured array                      a row each; fields by name
    dict of values, Series with the names
    of the columns as its index           one row
    dict of lists                         columns

A flat list, a 1-D array, and a Series of another index could be a row as well as a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from data.messages import did_you_mean, show, show_list
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd

ALLOWED = "a DataFrame, a list of records or of lists, a dict, a Series that is one row, or a 2-D array"
SHOWN_NAMES = 20


def as_rows(given: Any, names: Sequence[str]) -> pd.DataFrame | Sequence[Any]:
    """A frame, or a list of records or of lists of values in the order of the columns.

    Args:
        given: As above.
        names: The columns that a row has.

    Raises: DataError: it may mean several things, or none; says what was given, and what is allowed.
    """
    if is_frame(given) or (type(given) is list and given and isinstance(given[0], dict | list | tuple)):
        return given  # what most callers have
    if _is_series(given):
        return [_series_row(given, names)]
    if isinstance(given, np.ndarray):
        return _array_rows(given, names)
    if isinstance(given, Mapping):
        return _mapping_rows(given, names)
    if hasattr(given, "to_pandas"):
        raise DataError(f"rows to predict: got {_kind(given)}; give its .to_pandas(); allowed: {ALLOWED}")
    if isinstance(given, str | bytes | set | frozenset) or not hasattr(given, "__iter__"):
        raise DataError(f"rows to predict: got {_kind(given)}; allowed: {ALLOWED}")
    return _listed_rows(list(given), names)


def check_frame(given: Any) -> None:
    """Refuse what is no table, where columns are asked for by name.

    Raises: DataError: says what was given instead.
    """
    if not is_frame(given):
        hint = "; give its .to_pandas()" if hasattr(given, "to_pandas") else ""
        raise DataError(
            f"a table: got {_kind(given)}; allowed: a pandas DataFrame, such as pandas.DataFrame(rows){hint}"
        )


def is_frame(given: Any) -> bool:
    """Whether it is a pandas DataFrame; asked without importing pandas."""
    return hasattr(given, "columns") and hasattr(given, "iloc")


def _is_series(given: Any) -> bool:
    return hasattr(given, "iloc") and hasattr(given, "index") and not hasattr(given, "columns")


def _series_row(series: pd.Series, names: Sequence[str]) -> dict[str, Any]:
    """One row, where its index names the columns."""
    index = list(series.index)
    if not set(names) <= set(index):
        absent = next(name for name in names if name not in index)
        hint = did_you_mean(absent, [label for label in index if isinstance(label, str)])
        known = f"; {show(absent)} is not among them{hint}" if set(names) & set(index) else ""
        raise DataError(
            f"rows to predict: got {_kind(series)}, whose index is {show_list(index)}{known}; allowed: a Series whose "
            f"index names the columns of one row: {show_list(names, SHOWN_NAMES)}; or {ALLOWED}"
        )
    if not series.index.is_unique:
        raise DataError(f"rows to predict: a Series names a column twice: {show_list(index)}")
    return dict(zip(index, series.tolist() if series.dtype != object else list(series), strict=True))


def _array_rows(array: np.ndarray, names: Sequence[str]) -> list[Any]:
    if array.dtype.names:
        fields = array.dtype.names
        return [dict(zip(fields, row.tolist(), strict=True)) for row in array.reshape(-1)]
    if array.ndim != 2 or array.shape[1] != len(names):  # noqa: PLR2004 - rows and columns
        flat = "; one row: array.reshape(1, -1)" if array.shape == (len(names),) else ""
        raise DataError(
            f"rows to predict: got an array of shape {array.shape}{flat}; allowed: 2-D, with the {len(names)} columns "
            f"of the model in this order: {show_list(names, SHOWN_NAMES)}"
        )
    if not len(array):
        raise DataError("no rows to predict; at least one is needed")
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")  # of nanoseconds tolist makes plain numbers
    return array.tolist()


def _mapping_rows(given: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """One row of values, or columns of the same length."""
    absent = [name for name in names if name not in given]
    if absent:
        hint = did_you_mean(absent[0], [str(name) for name in given if name not in names])
        raise DataError(
            f"column {show(absent[0])} is missing from the record{hint}; expected: {show_list(names, 100)}"
        )
    lengths = {name: len(given[name]) for name in names if _is_column(given[name])}
    if not lengths:
        return [dict(given)]
    if len(lengths) < len(names) or len(set(lengths.values())) > 1:
        one = next(iter(lengths))
        other = next(name for name in names if name not in lengths or lengths[name] != lengths[one])
        what = f"{lengths[other]} values" if other in lengths else "one value"
        raise DataError(
            f"rows to predict: got a dict with {lengths[one]} values for column {show(one)} and {what} for "
            f"{show(other)}; allowed: one value each (a row), or equally many each (columns)"
        )
    if not lengths[names[0]]:
        raise DataError("no rows to predict; at least one is needed")
    columns = (_cells(given[name]) for name in names)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _listed_rows(rows: list[Any], names: Sequence[str]) -> list[Any]:
    if not rows:
        raise DataError("no rows to predict; at least one is needed")
    odd = next((row for row in rows if isinstance(row, str | bytes) or not hasattr(row, "__iter__")), rows)
    if odd is not rows:
        alone = "; one row: [[...]]" if len(rows) == len(names) else ""
        raise DataError(
            f"rows to predict: got a list with {show(odd)} in it, where a row is expected{alone}; allowed: {ALLOWED}"
        )
    return [_row(row, names) for row in rows]


def _row(row: Any, names: Sequence[str]) -> Any:
    """A row of a list; an array or a Series as a list or a record."""
    if _is_series(row):
        return _series_row(row, names)
    if isinstance(row, np.void):
        return dict(zip(row.dtype.names or (), row.tolist(), strict=True))
    return row.tolist() if isinstance(row, np.ndarray) and row.ndim == 1 else row


def _is_column(value: Any) -> bool:
    return isinstance(value, list | tuple) or (hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1)


def _cells(column: Any) -> list[Any]:
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        column = column.astype("datetime64[us]")
    return list(column) if isinstance(column, list | tuple) else column.tolist()


def _kind(given: Any) -> str:
    """What was given, in words."""
    if given is None:
        return "None"
    if isinstance(given, np.ndarray):
        return f"an array of shape {given.shape}"
    if isinstance(given, str):
        return f"the text {show(given)}; a file is read with pandas first"
    kind = type(given)
    package = kind.__module__.partition(".")[0]
    name = kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"
    n = f" of {len(given)}" if hasattr(given, "__len__") else ""
    few = list(islice(given, 1)) if isinstance(given, list | tuple) else []
    return f"a {name}{n}{f' ({type(few[0]).__name__}, ...)' if few else ''}"
