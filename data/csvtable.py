"""Tables in delimited text: one header line, then as many cells in every row, each kept as it is written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from data.csvchecks import check_quotes, drop_odd_rows
from data.csvlayout import BLANKS, Layout, find_layout
from data.messages import count, show, show_error, show_list
from data.names import check_names
from data.rownames import CellTexts
from errors import DataLoadError

BLOCK_BYTES = 1 << 24
# Within a quoted cell, and not at its end, where it is the last letter of a folder.
ESCAPED = re.compile(rb'(?:\A|[,;\t|\r\n])[ ]?"[^"\r\n]*\\"(?![,;\t|\r\n"]|\Z)')
LARGEST_BLOCK = (1 << 31) - 1


def parse_csv(data: bytes, delimiter: str, where: str) -> pd.DataFrame:
    """A table from UTF-8 text; every column is text, an empty cell is missing.

    Lines before the header, comments, a total below the rows, lines without a value at the end, a column without
    a name that only names rows: recognised, left out, and told in `attrs["notes"]`.

    Args:
        data: The text, without a byte order mark.
        delimiter: What is expected; where it does not split the text, the one that does is used.
        where: What messages call the file.

    Raises: DataLoadError: the header or a row does not make a table; names the line.
    """
    if b"\0" in data:
        line = _n_lines(data[: data.index(b"\0")]) + 1
        raise DataLoadError(
            f"{where}: line {line:,} holds a zero byte, which no text does; the file is damaged"
        )
    csv.field_size_limit(1 << 30)  # the default refuses cells of 128 KiB
    unescaped = _unescape(data)
    layout = find_layout(unescaped, delimiter)
    notes = list(layout.notes)
    if unescaped is not data:
        notes.append("a backslash before a quote within a quoted cell is read as its escape")
        data = unescaped
    table = _read(data, layout, where, notes)
    check_quotes(data, table, layout, where)
    table = drop_odd_rows(data, table, layout, notes)
    first = table.column(0)
    table = _named(table, layout, where, notes)
    frame = table.to_pandas()
    if len(layout.names) > 1 and not layout.names[0].strip():
        frame.attrs["row_names"] = CellTexts(first)
    frame.attrs["notes"] = notes
    return frame


def csv_names(head: bytes, delimiter: str, where: str) -> list[str]:
    """The names of a text's columns, by its beginning.

    Raises: DataLoadError: they cannot be told apart.
    """
    layout = find_layout(head, delimiter)
    empty = pa.table({str(k): pa.array([], pa.string()) for k in range(len(layout.names))})
    return _named(empty, layout, where, []).column_names


def _read(data: bytes, layout: Layout, where: str, notes: list[str]) -> pa.Table:
    body, mark = _plain(data, layout)
    n_columns = len(layout.names)
    names = [str(k) for k in range(n_columns)]
    if not re.search(rb"[^\r\n]", body):
        return pa.table({name: pa.array([], pa.large_string()) for name in names})
    comments: list[str] = []

    def handle(row: pacsv.InvalidRow) -> str:
        if row.text.startswith("#"):
            comments.append(row.text)
            return "skip"
        return "error" if row.text.strip() else "skip"

    def read(block: int) -> pa.Table:
        return pacsv.read_csv(
            pa.BufferReader(body),
            read_options=pacsv.ReadOptions(column_names=names, block_size=block),
            parse_options=pacsv.ParseOptions(
                delimiter=mark,
                newlines_in_values=b'"' in data,
                ignore_empty_lines=n_columns > 1,
                invalid_row_handler=handle,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )

    try:
        table = _in_blocks(read, len(body))
    except pa.ArrowException as error:
        reason = _ragged(data, layout, where) or f"{where}: not a table: {show_error(error)}"
        raise DataLoadError(reason) from None
    if comments:
        notes.append(f"passed over: {count(len(comments), 'comment line')}: {show_list(comments, 3)}")
    return table


def _in_blocks(read, size: int) -> pa.Table:
    """A record must not be longer than two blocks, so the rare table with longer ones is read in one."""
    try:
        return read(min(BLOCK_BYTES, size + 1))
    except pa.ArrowInvalid as error:
        if "straddling" not in str(error) or size <= BLOCK_BYTES:
            raise
        return read(min(size + 1, LARGEST_BLOCK))


def _plain(data: bytes, layout: Layout) -> tuple[bytes | memoryview, str]:
    """The rows with one mark, and nothing else, between cells; a view where nothing is to be changed."""
    quoted = b'"' in data
    if layout.delimiter == BLANKS:
        body = data[layout.begins :]
        return _rewrite(_stripped(body), " ") if quoted else (_tabbed(body), "\t")
    view = memoryview(data)[layout.begins :]
    if len(layout.names) == 1:
        n_blank = len(data) - len(data.rstrip(b"\r\n"))  # lines at the end, which are no rows
        return view[: len(view) - n_blank], layout.delimiter
    mark = re.escape(layout.delimiter.encode())
    blank = rb" +" if layout.delimiter == "\t" else rb"[ \t]+"
    if not re.search(mark + blank, view[:1000]) or re.search(
        mark + rb"(?![ \t\r\n]|" + mark + rb"|\Z)", view
    ):
        return view, layout.delimiter
    if quoted:
        return _rewrite(bytes(view), layout.delimiter)
    return re.sub(mark + blank, layout.delimiter.encode(), bytes(view)), layout.delimiter


def _tabbed(body: bytes) -> bytes:
    """One tab for each run of blanks, and none at the ends of lines."""
    body = re.sub(rb"[ \t]+", b"\t", body).strip(b"\t")
    for end in (b"\n", b"\r"):
        body = body.replace(b"\t" + end, end).replace(end + b"\t", end)
    return body


def _unescape(data: bytes) -> bytes:
    """Quotes within quoted cells doubled where a backslash stands before them, as some programs write; as long."""
    if b'\\"' not in data or not ESCAPED.search(data):
        return data
    return data.replace(b'\\"', b'""')


def _stripped(body: bytes) -> bytes:
    return b"".join(part.strip(b" \t") for part in re.split(rb"(\r\n|\r|\n)", body))


def _rewrite(body: bytes, mark: str) -> tuple[bytes, str]:
    out = io.StringIO()
    text = io.StringIO(body.decode(), newline="")
    csv.writer(out, delimiter=mark).writerows(csv.reader(text, delimiter=mark, skipinitialspace=True))
    return out.getvalue().encode(), mark


def _named(table: pa.Table, layout: Layout, where: str, notes: list[str]) -> pa.Table:
    """The table under its names, without the columns that have none and nothing to say.

    Raises: DataLoadError: another column has no name, or two have the same.
    """
    names = [name.strip() if _blank_after(layout) else name for name in layout.names]
    kept = list(range(len(names)))
    if len(names) > 1 and not names[0].strip():
        kept.remove(0)
        notes.append("the first column has no name: taken for names of the rows, and left out")
    empty = [j for j in kept if not names[j].strip() and table.column(j).null_count == len(table)]
    if empty and len(empty) < len(kept):
        kept = [j for j in kept if j not in empty]
        if len(table):
            notes.append(f"left out: {count(len(empty), 'column')} with neither name nor values")
    for j in kept:
        if not names[j].strip():
            raise DataLoadError(
                f"{where}: column {j + 1} of {len(names)} has no name; every column needs one"
            )
    check_names(where, [names[j] for j in kept])
    return table.select(kept).rename_columns([names[j] for j in kept])


def _blank_after(layout: Layout) -> bool:
    """Whether every delimiter of the header is followed by a blank."""
    return len(layout.names) > 1 and all(name.startswith((" ", "\t")) for name in layout.names[1:])


def _n_lines(data: bytes) -> int:
    return len(re.findall(rb"\r\n|\r|\n", data))


def _ragged(data: bytes, layout: Layout, where: str) -> str:
    """Where the first row is whose number of cells is not the header's; empty where there is none."""
    n = len(layout.names)
    for line, last, cells in _rows(data, layout):
        if isinstance(cells, str):
            return f"{where}: line {line:,}: {cells}"
        comment = bool(cells) and cells[0].startswith("#")
        if len(cells) in (0, n) or comment or (len(cells) == 1 and not cells[0].strip()):
            continue
        split = "" if layout.delimiter in ",\t" else f" (split at {layout.delimiter!r})"
        spans = f"; a quote there holds everything down to line {last:,}" if last > line else ""
        if not spans and data.count(b'"') % 2 and last == _n_lines(data.rstrip(b"\r\n")) + 1:
            spans = "; a quote there is never closed"
        return f"{where}: line {line:,} has {len(cells):,} fields, the header has {n:,}{split}{spans}"
    return ""


def _rows(data: bytes, layout: Layout) -> Iterator[tuple[int, int, list[str] | str]]:
    """First and last line of each row, and its cells or why it has none."""
    text = io.TextIOWrapper(io.BytesIO(data[layout.begins :]), "utf-8", newline="")
    reader = csv.reader(text, delimiter=layout.delimiter, skipinitialspace=layout.delimiter == BLANKS)
    line = layout.n_lines
    while True:
        first = line + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            cells = show(str(error))
        line = layout.n_lines + reader.line_num
        if cells is None:
            return
        yield first, line, cells
