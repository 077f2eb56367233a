"""Tables in Excel and OpenDocument workbooks."""

from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from typing import Any

import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum

from data.exact import exact_series
from data.messages import did_you_mean, show, show_error, show_list
from data.totals import is_total_word, says_total
from errors import DataLoadError

Row = list[Any]
MIDNIGHT = dt.time()
FEW_ROWS = 3


def parse_excel(data: bytes, sheet: str, where: str) -> pd.DataFrame:
    """A sheet of a workbook as a table of typed cells.

    Args:
        data: The workbook.
        sheet: Its name; empty for the first with something in it, which is told where there are several.
        where: What messages call the workbook.

    Raises: DataLoadError: it cannot be read, there is no such sheet, or its header does not name each column.
    """
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
            names = [one.name for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
            if sheet and sheet not in names:
                hint = did_you_mean(sheet, names)
                raise DataLoadError(f"{where}: no sheet {show(sheet)} in it{hint}; there: {show_list(names)}")
            filled = {name: rows for name in ([sheet] if sheet else names) if (rows := _rows(book, name))}
    except (CalamineError, OSError, ValueError, OverflowError) as error:
        raise DataLoadError(f"{where}: an Excel workbook that cannot be read: {show_error(error)}") from None
    if not filled:
        raise DataLoadError(
            f"{where}: an Excel workbook without a cell in {show(sheet) if sheet else 'any sheet'}"
        )
    name, (start, rows) = next(iter(filled.items()))
    notes = []
    if len(filled) > 1:
        others = [other for other in filled if other != name]
        notes.append(
            f"sheet {show(name)} is read; {show_list(others)} too hold cells: choose with {where}#SHEET"
        )
    frame = _table(rows, start, f"{where}: sheet {show(name)}", notes)
    frame.attrs["notes"] = notes
    return frame


def _rows(book: CalamineWorkbook, name: str) -> tuple[int, list[Row]] | None:
    """The number of the first row with a cell, and the rows from it on; None without any."""
    sheet = book.get_sheet_by_name(name)
    rows = sheet.to_python(skip_empty_area=True)
    if not any(cell != "" for row in rows for cell in row):
        return None
    return (sheet.start or (0, 0))[0] + 1, rows


def _table(rows: list[Row], start: int, where: str, notes: list[str]) -> pd.DataFrame:
    place = _header_place(rows)
    for k, row in enumerate(rows[:place]):
        filled = [cell for cell in row if cell != ""]
        if filled:
            notes.append(f"row {start + k} stands before the header and is passed over: {show_list(filled)}")
    header, body = rows[place], rows[place + 1 :]
    while body and all(cell == "" for cell in body[-1]):
        body.pop()
    kept = [j for j, name in enumerate(header) if name != "" or any(row[j] != "" for row in body)]
    names = [_name(header[j]) for j in kept]
    if len(names) > 1 and not names[0]:
        notes.append("the first column has no name: taken for names of the rows, and left out")
        kept, names = kept[1:], names[1:]
    _check(names, where, start + place)
    body = _without_total([[row[j] for j in kept] for row in body], notes)
    columns = [_column([row[j] for row in body]) for j in range(len(kept))]
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index=pd.RangeIndex(len(body)))


def _without_total(body: list[Row], notes: list[str]) -> list[Row]:
    """The rows without a total below them, and the empty rows before it."""
    if len(body) < FEW_ROWS or not any(is_total_word(cell) for cell in body[-1]):
        return body
    filled = [row for row in body if any(cell != "" for cell in row)]
    is_total, cells = says_total(pd.DataFrame(filled, dtype=object).replace("", None))
    if not is_total:
        return body
    notes.append(f"the last row is a total of those above it and left out: {show_list(cells)}")
    body = body[:-1]
    while all(cell == "" for cell in body[-1]):
        body.pop()
    return body


def _header_place(rows: list[Row]) -> int:
    """The first row in which as many cells are texts as columns are filled; titles hold fewer."""
    width = max(sum(cell != "" for cell in row) for row in rows)
    for k, row in enumerate(rows[:20]):
        n_filled = sum(cell != "" for cell in row)
        if n_filled >= max(width - 1, 1) and (width == 1 or n_filled > 1):
            return k
    return 0


def _name(cell: Any) -> str:
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    return text.strip()


def _check(names: list[str], where: str, row: int) -> None:
    for j, name in enumerate(names):
        if not name:
            left = f", right of {show(names[j - 1])}" if j else ""
            raise DataLoadError(
                f"{where}: row {row}: a column{left} has no name (cells that are merged?); every column needs one"
            )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataLoadError(f"{where}: column names must differ; more than once there: {show_list(twice)}")


def _column(cells: list[Any]) -> pd.Series:
    values = [None if cell == "" else cell for cell in cells]
    kinds = {type(value) for value in values if value is not None}
    if (
        kinds
        and kinds <= {int, float}
        and all(value is None or float(value).is_integer() for value in values)
    ):
        return exact_series([None if value is None else int(value) for value in values])
    if kinds and kinds <= {dt.date, dt.datetime}:
        return pd.to_datetime(pd.Series(values, dtype=object))
    if dt.time in kinds or (kinds and float in kinds and str in kinds):
        values = [_text(value) for value in values]
    return exact_series(values)


def _text(value: Any) -> Any:
    """Numbers among texts as a sheet shows them: 3.0 is 3."""
    if isinstance(value, dt.time):
        return str(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
