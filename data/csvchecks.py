"""What is in a delimited text beside its rows: totals, headers again, lines without a value, quotes gone astray."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from data.csvlayout import Layout, is_number_text
from data.messages import count, show_list
from data.totals import says_total
from errors import DataLoadError

MOST_LOOKED_AT = 1_000
FEW_LINES = 3


def check_quotes(data: bytes, table: pa.Table, layout: Layout, where: str) -> None:
    """Refuse a text in which a quote that was never meant to open a cell holds whole rows.

    Raises: DataLoadError: names the line where the cell begins, and that where it ends.
    """
    if b'"' not in data:
        return
    broken = [
        (j, row)
        for j in range(table.num_columns)
        for row in _rows_with(table.column(j), "\n|\r")
        if layout.delimiter in table.column(j)[row].as_py()
    ]
    if not broken and data.count(b'"') % 2 == 0:
        return
    text = io.TextIOWrapper(io.BytesIO(data[layout.begins :]), "utf-8", newline="")
    reader = csv.reader(text, delimiter=layout.delimiter, strict=True)
    line, ends = layout.n_lines, True
    while ends:
        first = line + 1
        try:
            ends = next(reader, None) is not None
        except csv.Error as error:
            last = layout.n_lines + reader.line_num
            if "unexpected end" in str(error):
                raise DataLoadError(
                    f"{where}: line {first:,}: a quote opens a cell there that nothing closes"
                ) from None
            if last > first:
                raise DataLoadError(_astray(where, first, last)) from None
        line = layout.n_lines + reader.line_num
    numeric = [j for j in range(table.num_columns) if _all_numbers(table.column(j))]
    for j, row in broken:
        cell = table.column(j)[row].as_py()
        if _holds_rows(cell, layout, numeric):
            first, last = _lines_of(data, layout, row)
            raise DataLoadError(_astray(where, first, last))


def _astray(where: str, first: int, last: int) -> str:
    return (
        f"{where}: line {first:,}: a quote opens a cell there that holds everything down to line {last:,}, rows among "
        "it; remove the quote, or double it where it is meant"
    )


def _rows_with(column: pa.ChunkedArray, pattern: str) -> list[int]:
    found = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(column, pattern), False))
    return found[:MOST_LOOKED_AT].to_pylist()


def _all_numbers(column: pa.ChunkedArray) -> bool:
    cells = column.drop_null()[:MOST_LOOKED_AT].to_pylist()
    return bool(cells) and all(is_number_text(cell) for cell in cells)


def _holds_rows(cell: str, layout: Layout, numeric: Sequence[int]) -> bool:
    """Whether the lines within a cell are rows: as many cells in each, numbers where the others have numbers."""
    lines = re.split(r"\r\n|\r|\n", cell)[1:-1]
    if not lines or (not numeric and len(lines) < FEW_LINES):
        return False
    rows = [line.split(layout.delimiter) for line in lines]
    return all(
        len(row) == len(layout.names) and all(not row[j] or is_number_text(row[j]) for j in numeric)
        for row in rows
    )


def drop_odd_rows(data: bytes, table: pa.Table, layout: Layout, notes: list[str]) -> pa.Table:
    """The table without headers among its rows, empty lines at its end, and a total below it."""
    if table.num_columns == 1 or not len(table):
        return table
    table = _drop_headers(data, table, layout, notes)
    n_rows = len(table)
    while n_rows and all(not column[n_rows - 1].is_valid for column in table.columns):
        n_rows -= 1
    if 0 < n_rows < len(table):
        notes.append(f"left out: {count(len(table) - n_rows, 'line')} without a value at the end")
        table = table.slice(0, n_rows)
    if len(table) >= FEW_LINES:
        tail = table.slice(max(0, len(table) - 1 - MOST_LOOKED_AT)).to_pandas()
        is_total, cells = says_total(tail, len(table) - 1 <= MOST_LOOKED_AT)
        line = f"line {_last_line(data, layout):,}"
        if is_total:
            notes.append(f"{line} is a total of those above it and left out: {show_list(cells)}")
            table = table.slice(0, len(table) - 1)
        elif cells:
            notes.append(f"{line} calls itself a total, which it is not; it is kept: {show_list(cells)}")
    return table


def _drop_headers(data: bytes, table: pa.Table, layout: Layout, notes: list[str]) -> pa.Table:
    same = pc.indices_nonzero(pc.fill_null(pc.equal(table.column(0), layout.names[0]), False)).to_pylist()
    again = [
        row
        for row in same
        if all(
            (column[row].as_py() or "") == name
            for column, name in zip(table.columns, layout.names, strict=True)
        )
    ]
    if not again or len(again) == len(table):
        return table
    lines = [_lines_of(data, layout, row)[0] for row in again[:FEW_LINES]]
    notes.append(f"left out: {count(len(again), 'row')} with the header again: line {show_list(lines)}")
    mask = pa.array([True] * len(table)).to_numpy(zero_copy_only=False).copy()
    mask[again] = False
    return table.filter(pa.array(mask))


def _last_line(data: bytes, layout: Layout) -> int:
    """The last line with a value."""
    text = data.rstrip(b"\r\n \t" + layout.delimiter.encode())
    return len(re.findall(rb"\r\n|\r|\n", text)) + 1


def _lines_of(data: bytes, layout: Layout, row: int) -> tuple[int, int]:
    """First and last line of a row."""
    text = io.TextIOWrapper(io.BytesIO(data[layout.begins :]), "utf-8", newline="")
    reader = csv.reader(text, delimiter=layout.delimiter)
    n_rows = -1
    while n_rows < row:
        first = layout.n_lines + reader.line_num + 1
        cells = next(reader)
        n_rows += bool(cells) and (len(cells) == len(layout.names))
    return first, layout.n_lines + reader.line_num
