"""How the cells of one column are written, and the reading of a column so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from data.datetext import DateText
from data.messages import percent, show
from data.numbertext import NumberText
from data.values import convert, data_row, factorise, is_date_dtype, is_numeric_dtype, to_number
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Unreadable = Literal["error", "missing"]
WHOLE = r"^-?\d{1,19}$"


@dataclass(frozen=True)
class CellFormat:
    """How the cells of a column are written.

    Attributes:
        numbers: Of a column of numbers that was read from text; None for others.
        dates: Of a column of dates that was read from text or numbers; None for others.
        note: What the user should know of it.
        sure: Whether the decimal mark is certain from this column alone.
    """

    numbers: NumberText | None = None
    dates: DateText | None = None
    note: str = ""
    sure: bool = False

    @property
    def example(self) -> str:
        """A cell written so; empty where cells are what they are."""
        if self.dates is not None:
            return self.dates.example
        return self.numbers.example if self.numbers is not None else ""


def read_column(series: pd.Series, cell_format: CellFormat, unreadable: Unreadable) -> tuple[pd.Series, str]:
    """The cells of a column as its format reads them, and a note of those that were taken for missing.

    Raises: DataError: a cell contradicts the format and `unreadable` is error; names row and value.
    """
    if cell_format.dates is not None:
        moments, note = read_dates(series, cell_format.dates, unreadable)
        return type(series)(moments, index=series.index, name=series.name), note
    values, note = read_numbers(series, cell_format.numbers, unreadable)
    return as_series(series, values), note


def read_numbers(
    series: pd.Series, numbers: NumberText, unreadable: Unreadable, where: str | None = None
) -> tuple[np.ndarray, str]:
    """As read_column, of numbers.

    Shape: (n_samples,) -> float64 (n_samples,), NaN where missing.
    """
    where = where or where_is(series)
    if is_numeric_dtype(series):
        return convert(series, to_number, where), ""
    codes, values = factorise(series, where)
    if str(series.dtype) == "str" and values:
        import pyarrow as pa  # noqa: PLC0415 - not on the way of one record

        read, bad = numbers.read_all(pa.array(values, pa.large_string()))
    else:
        read, bad = _read_each(values, numbers)
    note = _check(series, codes, values, bad, numbers.read, unreadable, where)
    return np.append(read, math.nan)[codes], note


def _read_each(values: list[Any], numbers: NumberText) -> tuple[np.ndarray, np.ndarray]:
    read, bad = np.full(len(values), math.nan), np.zeros(len(values), dtype=bool)
    for place, value in enumerate(values):
        try:
            read[place] = numbers.read(value)
        except ValueError:
            bad[place] = True
    return read, bad


def read_dates(series: pd.Series, dates: DateText, unreadable: Unreadable) -> tuple[np.ndarray, str]:
    """As read_column, of dates.

    Shape: (n_samples,) -> datetime64[us] (n_samples,), NaT where missing.
    """
    if is_date_dtype(series):
        zone = getattr(series.dt, "tz", None)
        series = series.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else series
        return series.to_numpy(dtype="M8[us]"), ""
    codes, values = factorise(series, where_is(series))
    read, bad = dates.read_all(values)
    note = _check(series, codes, values, bad, dates.moment, unreadable, where_is(series))
    return np.append(read, np.datetime64("NaT"))[codes], note


def _check(
    series: pd.Series,
    codes: np.ndarray,
    values: list[Any],
    bad: np.ndarray,
    read: Callable[[Any], Any],
    unreadable: Unreadable,
    where: str,
) -> str:
    """Refuse the first cell that contradicts its format, or say how many are missing for it."""
    if not bad.any():
        return ""
    rows = np.flatnonzero(np.append(bad, False)[codes])
    odd = values[codes[rows[0]]]
    if unreadable == "missing":
        share = percent(len(rows) / len(series))
        return f"{len(rows):,} cells ({share}) contradict the format and are missing, the first {show(odd)}"
    try:
        read(odd)
    except ValueError as reason:
        advice = "" if where.startswith("target") else "; data.unreadable=missing reads them as missing"
        more = f" ({len(rows):,} rows{advice})" if len(rows) > 1 else ""
        raise DataError(
            f"{where}, data row {data_row(series, int(rows[0]))}: {show(odd)} {reason}{more}"
        ) from None
    raise AssertionError(odd)


def arrow_texts(series: pd.Series) -> pa.Array | None:
    """The cells of a column of texts; None of another column."""
    if str(series.dtype) not in ("str", "string"):
        return None
    import pyarrow as pa  # noqa: PLC0415 - not on the way of one record

    array = pa.array(series, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def as_series(series: pd.Series, values: np.ndarray) -> pd.Series:
    """Numbers in place of the cells of a column, as int64 where all are written whole and none is missing."""
    whole = _whole_numbers(series)
    return type(series)(values if whole is None else whole, index=series.index, name=series.name)


def _whole_numbers(series: pd.Series) -> np.ndarray | None:
    """The numbers of a column of texts that are all whole, to their last digit."""
    import pyarrow as pa  # noqa: PLC0415 - not on the way of one record
    import pyarrow.compute as pc  # noqa: PLC0415 - likewise

    texts = arrow_texts(series)
    if texts is None or texts.null_count:
        return None
    if not all(pc.all(pc.match_substring_regex(part, WHOLE)).as_py() for part in (texts[:100], texts)):
        return None
    try:
        return pc.cast(texts, pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # more than 64 bits hold
        return None


def where_is(series: pd.Series) -> str:
    """What messages call a column."""
    return f"column {show(str(series.name))}"
