"""Settles once, from whole columns, how the cells of a table are written, and turns them into numbers and dates.

A file of text says nothing of types: "01" may be a class, "1.234" a thousand, "4.3.2024" a date in March or in April.
What a column is taken for is settled from all of its cells, kept with the model, and applied as it is to every later
cell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import ColumnKind
from data.cell_format import CellFormat, Unreadable, arrow_texts, as_series, read_column, where_is
from data.date_recognition import most_likely_dates, recognise_dates
from data.dates import is_no_date
from data.datetext import DateText
from data.format_examples import parse_example
from data.messages import did_you_mean, show, show_list
from data.number_recognition import Numbers, recognise
from data.numbertext import NO_CODE, Decimal, NumberText, is_another_number, read_plain, split_unit
from data.values import MISSING_TEXT, data_row, factorise, is_date_dtype, is_numeric_dtype, to_text
from errors import DataError

N_SAMPLE = 500
SURELY_POINT = r"^-?(?:0?\.\d+|\d+\.\d{0,2}|\d+\.\d{4,}|\d{4,}\.\d+)$"
MARK = "[.eE]"
# From so many rows on, columns are settled side by side: Arrow then works most of the time, and not Python.
SIDE_BY_SIDE_ROWS = 100_000
# Texts with a digit that are no number among so many rows say something: they make a column of categories.
MAX_STRAY_ROWS = 0.05


@dataclass(frozen=True, eq=False)
class SettledTable:
    """A table whose cells mean one thing each.

    Attributes:
        frame: Numbers and dates are such by dtype; the rest is as it was read.
        formats: How each column was written that is a number or a date now.
        notes: What else was found, one line a column.
    """

    frame: pd.DataFrame
    formats: dict[str, CellFormat]
    notes: dict[str, str]


def settle_table(
    frame: pd.DataFrame,
    kinds: Mapping[str, ColumnKind],
    formats: Mapping[str, str],
    leave: Collection[str] = (),
    unreadable: Unreadable = "error",
) -> SettledTable:
    """Settle every column.

    Args:
        frame: As read.
        kinds: Kinds that are asked for.
        formats: Examples of how columns are written, which win over what is found.
        leave: Columns that stay as they are.
        unreadable: What a cell becomes that contradicts a format or a kind that was asked for.

    Raises:
        ConfigError: an example says nothing, or two things.
        DataError: an unknown column in formats; a cell that contradicts what was asked for.
    """
    for name in formats:
        if name not in frame.columns:
            raise DataError(f"data.formats: no column {show(name)}{did_you_mean(name, frame.columns)}")
    names = [
        name
        for name in frame.columns
        if name not in leave and kinds.get(name) not in ("ignore", "categorical")
    ]
    found = _settle_all(frame, names, kinds, formats)
    hint = _hint(found, frame.attrs.get("decimal"))
    if hint == ",":
        found |= {
            name: _with_hint(frame[name], *found[name], kinds.get(name))
            for name in names
            if name not in formats
        }
    columns, notes, kept = {}, {}, {}
    for name in frame.columns:
        cell_format, series = found.get(name, (CellFormat(), None))
        if series is None and (cell_format.numbers or cell_format.dates):
            series, note = read_column(frame[name], cell_format, unreadable)
            cell_format = replace(cell_format, note="; ".join(filter(None, [cell_format.note, note])))
        columns[name] = frame[name] if series is None else series
        if (
            name in formats
            and not (cell_format.numbers or cell_format.dates)
            and is_numeric_dtype(frame[name])
        ):
            columns[name] = frame[name].map(to_text, na_action="ignore")  # asked for as text
        if cell_format.numbers or cell_format.dates or cell_format.note:
            kept[name] = cell_format
        if cell_format.note:
            notes[name] = cell_format.note
    settled = pd.DataFrame(columns, index=frame.index, copy=False)
    settled.attrs = dict(frame.attrs)
    return SettledTable(settled, kept, notes)


def _settle_all(
    frame: pd.DataFrame, names: list[str], kinds: Mapping[str, ColumnKind], formats: Mapping[str, str]
) -> dict[str, tuple[CellFormat, pd.Series | None]]:
    """How columns are written, each told from itself alone."""

    def settle(name: str) -> tuple[CellFormat, pd.Series | None]:
        return _settle(frame[name], kinds.get(name), formats.get(name), None)

    if len(frame) < SIDE_BY_SIDE_ROWS:
        return {name: settle(name) for name in names}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return dict(zip(names, pool.map(settle, names), strict=True))


def apply_formats(frame: pd.DataFrame, formats: Mapping[str, CellFormat]) -> pd.DataFrame:
    """A later table as the formats of an earlier one read it; cells that contradict them are missing."""
    columns = {
        name: read_column(frame[name], formats[name], "missing")[0]
        if name in formats and (formats[name].numbers or formats[name].dates)
        else frame[name]
        for name in frame.columns
    }
    return pd.DataFrame(columns, index=frame.index, copy=False)


def _hint(found: Mapping[str, tuple[CellFormat, Any]], given: Decimal | None) -> Decimal | None:
    """The decimal mark of the columns in which it is certain."""
    marks = {f.numbers.decimal for f, _ in found.values() if f.numbers is not None and f.sure}
    return marks.pop() if len(marks) == 1 else (None if marks else given)


def _with_hint(
    series: pd.Series, found: CellFormat, read: pd.Series | None, asked: ColumnKind | None
) -> tuple[CellFormat, pd.Series | None]:
    """As _settle, where commas are decimal in the table's other columns."""
    if found.sure or found.dates is not None:
        return found, read
    if read is not None:  # numbers without any mark
        return replace(found, numbers=replace(found.numbers, decimal=",")), read
    return _settle(series, asked, None, ",")


def _settle(
    series: pd.Series, asked: ColumnKind | None, example: str | None, hint: Decimal | None
) -> tuple[CellFormat, pd.Series | None]:
    """How a column is written; and its cells, where they were read on the way."""
    if example is not None:
        given = parse_example(str(series.name), example)
        is_number = isinstance(given, NumberText)
        return CellFormat(given if is_number else None, given if isinstance(given, DateText) else None), None
    if is_date_dtype(series) or getattr(series.dtype, "kind", "O") in "bmc":
        return CellFormat(), None
    if is_numeric_dtype(series):
        return _settle_numbers(series, asked), None
    if hint is None and asked in (None, "numeric"):
        quick = _quick(series)
        if quick is not None:
            return quick
    _, values = factorise(series, where_is(series))
    return _settle_values(series, values, asked, hint), None


def _settle_numbers(series: pd.Series, asked: ColumnKind | None) -> CellFormat:
    """Whole numbers by type may be dates: 20240131, or seconds since 1970."""
    if asked not in (None, "datetime") or not len(series):
        return CellFormat()
    low, high = series.min(), series.max()
    if pd.isna(low) or (asked is None and not _may_be_moments(float(low), float(high))):
        return CellFormat()
    values = series.dropna().unique().tolist()
    found = recognise_dates(values, str(series.name), asked == "datetime")
    dates = found.text or (most_likely_dates(values) if asked == "datetime" else None)
    return CellFormat(dates=dates, note=found.note)


def _may_be_moments(low: float, high: float) -> bool:
    """190001 .. 210012, 19000101 .. 21001231 (with minutes and seconds, too), and moments from 1990 to 2050.

    These are in seconds, down to nanoseconds.
    """
    spans = [(190_001, 210_012), (19_000_101, 21_001_231)]
    spans += [(190_001_010_000, 210_012_312_359), (19_000_101_000_000, 21_001_231_235_959)]
    spans += [(6.3e8 * unit, 2.6e9 * unit) for unit in (1, 1e3, 1e6, 1e9)]
    return any(first <= low and high <= last for first, last in spans)


def _quick(series: pd.Series) -> tuple[CellFormat, pd.Series] | None:
    """A column of plain numbers, a million of them in a moment; None where it may be anything else."""
    texts = arrow_texts(series)
    if texts is None or not len(texts) or not _looks_plain(texts):
        return None
    values, known = read_plain(texts, NO_CODE)
    if not known.all():
        rest = ~known & texts.is_valid().to_numpy(zero_copy_only=False)
        others = pc.unique(texts.filter(pa.array(rest))).to_pylist()
        if any(text.strip() not in MISSING_TEXT for text in others):
            return None
    present = values[~np.isnan(values)]
    if not len(present) or _may_be_moments(present.min(), present.max()):
        return None
    marked = _any_match(texts, MARK)
    sure = marked and _any_match(texts, SURELY_POINT)
    if marked and not sure:
        return None
    return CellFormat(NumberText(thousands=False), sure=sure), as_series(series, values)


def _any_match(texts: pa.Array, pattern: str) -> bool:
    """Whether a text matches: mostly one of a few does, and no pass over all of them is needed."""
    return any(pc.any(pc.match_substring_regex(part, pattern)).as_py() for part in (_some(texts), texts))


def _some(texts: pa.Array) -> pa.Array:
    return texts.take(pa.array(np.arange(0, len(texts), max(1, len(texts) // N_SAMPLE))))


def _looks_plain(texts: pa.Array) -> bool:
    """Whether some of the texts are mostly plain numbers."""
    sample = _some(texts)
    _, known = read_plain(sample)
    return bool(known.sum() * 2 > len(sample) - sample.null_count)


def _settle_values(
    series: pd.Series, values: list[Any], asked: ColumnKind | None, hint: Decimal | None
) -> CellFormat:
    if not values or not any(isinstance(value, str) for value in values):
        return CellFormat()
    maybe = ""
    if asked in (None, "datetime"):
        dates = recognise_dates(values, str(series.name), asked == "datetime")
        maybe = dates.note if dates.maybe else ""
        if dates.text is not None or (dates.note and not maybe) or asked == "datetime":
            return _checked_dates(series, values, CellFormat(dates=dates.text, note=dates.note), asked)
    flags = {str(value).strip().casefold() for value in values} <= {"true", "false"}
    if asked == "boolean" or flags:
        return CellFormat()
    numbers = recognise(values, asked == "numeric", hint)
    if numbers.text is None and asked == "numeric":
        return CellFormat(_most_likely(values))
    found = _checked_numbers(series, numbers, asked)
    return replace(found, note="; ".join(filter(None, [found.note, maybe])))


def _checked_numbers(series: pd.Series, found: Numbers, asked: ColumnKind | None) -> CellFormat:
    """Not of numbers where texts that are none fill many rows: "5+" then says something, and "?" does not."""
    if found.text is None:
        return CellFormat(note=found.note)
    telling = [word for word in found.text.words if re.search(r"\d", word)]
    if telling and asked is None and _share(series, telling) > MAX_STRAY_ROWS:
        return CellFormat(note=f"all numbers but for {show_list(telling, 3)}")
    # Another notation is no word for a missing number: it contradicts this one, now and later.
    words = tuple(word for word in found.text.words if not is_another_number(word))
    note = found.note
    if words:
        note += f" ({_places(series, words)})"
    return CellFormat(replace(found.text, words=words), note=note, sure=found.sure)


def _checked_dates(
    series: pd.Series, values: list[Any], found: CellFormat, asked: ColumnKind | None
) -> CellFormat:
    if found.dates is None:
        if asked == "datetime" and found.note.startswith("dates with"):
            raise DataError(f"{where_is(series)}: {found.note}")
        if asked == "datetime" and not all(is_no_date(value) for value in values):
            return CellFormat(dates=most_likely_dates(values))
        return found
    if found.dates.words:
        return replace(found, note=f"{found.note} ({_places(series, found.dates.words)})")
    return found


def _share(series: pd.Series, words: Collection[str]) -> float:
    present = series.notna()
    stripped = series[present].astype("str").str.strip()
    return float(stripped.isin(list(words)).sum()) / max(1, int(present.sum()))


def _places(series: pd.Series, words: Collection[str]) -> str:
    """In how many rows words stand, and in which first."""
    rows = np.flatnonzero(series.astype("str").str.strip().isin(list(words)).to_numpy(dtype=bool))
    first = ", ".join(str(data_row(series, int(row))) for row in rows[:3])
    more = ", ..." if len(rows) > 3 else ""  # noqa: PLR2004
    return f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}: {first}{more}"


def _most_likely(values: list[Any]) -> NumberText:
    """What reads most values where nothing reads all, so that the odd one is blamed."""
    sample = values[:: max(1, len(values) // N_SAMPLE)]
    texts = [value for value in sample if isinstance(value, str)]
    units = sorted({split_unit(text.strip())[0] for text in texts} | {""})
    forms = [NumberText(decimal, unit) for unit in units for decimal in (".", ",")]
    return max(forms, key=lambda form: sum(_reads(form, value) for value in sample))


def _reads(form: NumberText, value: Any) -> bool:
    try:
        form.read(value)
    except ValueError:
        return False
    return True
