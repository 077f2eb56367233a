"""How a delimited text is laid out: what separates its cells, where its header is, what stands before it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data.messages import show

MARKS = ",;\t|^\x01"
BLANKS = " "  # any run of blanks and tabs
NO_MARK = "\x1f"
SAMPLE_BYTES = 1 << 18
MOST_RECORDS = 200
MOST_TITLES = 20
_NUMBER = re.compile(r"\s*[-+]?[$€£₩¥]?\s?(\d[\d.,' ]*|[.,]\d+)(e[-+]?\d+)?\s?[%€$]?\s*", re.IGNORECASE)
# One number, though it holds commas: 1,5 or 1,234,567.
_WITH_COMMA = re.compile(r"\s*[-+]?(\d*,?\d+|\d{1,3}(,\d{3})+(\.\d+)?|\d*\.\d+)\s*")
SEP_LINE = re.compile(r'"?sep=(\\t|.)"?\s*', re.IGNORECASE | re.DOTALL)


# Longer cells are no numbers: what a pattern does to a text grows faster than the text.
MOST_DIGITS = 100


def is_number_text(cell: str) -> bool:
    """Whether a cell looks like a number, however it is written."""
    return len(cell) <= MOST_DIGITS and _NUMBER.fullmatch(cell) is not None


def _is_comma_number(cell: str) -> bool:
    return len(cell) <= MOST_DIGITS and _WITH_COMMA.fullmatch(cell) is not None


@dataclass(frozen=True)
class Layout:
    """How a delimited text is laid out.

    Attributes:
        delimiter: Between cells; BLANKS stands for any run of blanks.
        names: The header, with a name for each cell of a row.
        begins: Offset in bytes of the first row.
        n_lines: Lines before it.
        notes: What was recognised, for the user.
    """

    delimiter: str
    names: tuple[str, ...]
    begins: int
    n_lines: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Record:
    cells: list[str]
    ends: int  # lines up to its end


@dataclass(frozen=True)
class _Reading:
    """A text as one delimiter splits it; and whether each row begins with a quote, as R writes names of rows."""

    mark: str
    header: _Record
    body: list[_Record]
    notes: tuple[str, ...]
    quoted: bool = False

    @property
    def share(self) -> float:
        """How many rows have as many cells as the header, a last empty one aside."""
        n = len(self.header.cells)
        fits = [len(row.cells) == n or (len(row.cells) == n + 1 and not row.cells[-1]) for row in self.body]
        if self.header.cells[-1] == "" and self.body and len(self.body[0].cells) == n - 1:
            fits = [len(row.cells) == n - 1 for row in self.body]
        return sum(fits) / len(fits) if fits else 1.0


def find_layout(data: bytes, delimiter: str) -> Layout:
    """How a UTF-8 text is laid out, by its beginning.

    Args:
        data: The text, not empty.
        delimiter: What its suffix lets expect; where another splits header and rows better, that is taken.
    """
    lines = _lines(data)
    notes: tuple[str, ...] = ()
    skipped = 0
    found = SEP_LINE.fullmatch(lines[0].rstrip("\r\n"))
    if found and len(lines) > 1:
        mark = "\t" if found[1] == "\\t" else found[1]
        skipped, notes = 1, (f"line 1 says that cells are separated by {show(mark)}",)
        best = _read_as(lines, mark, skipped)
    else:
        best = _best(lines, delimiter)
    names, width_notes = _names(best)
    if best.mark == BLANKS:
        notes = (*notes, "cells are separated by blanks")
    begins = len("".join(lines[: best.header.ends]).encode())
    return Layout(best.mark, names, begins, best.header.ends, (*notes, *best.notes, *width_notes))


def _lines(data: bytes) -> list[str]:
    end = len(data)
    if end > SAMPLE_BYTES:
        breaks = [match.end() for match in re.finditer(rb"\r\n?|\n", data[: 8 * SAMPLE_BYTES])]
        within = [place for place in breaks if place <= SAMPLE_BYTES]
        end = within[-1] if len(within) > 2 else (breaks or [end])[:3][-1]  # noqa: PLR2004
    return list(io.StringIO(data[:end].decode("utf-8", "ignore"), newline=""))


def _best(lines: Sequence[str], expected: str) -> _Reading:
    readings = [_read_as(lines, mark) for mark in dict.fromkeys((expected, *MARKS))]
    split = [one for one in readings if len(one.header.cells) > 1]
    if split:
        # Cells that hold another mark, as often in the header as in the rows, hold it fewer times; where both are
        # there as often, commas are within cells: decimal marks, and parts of names.
        return max(
            split,
            key=lambda one: (one.share == 1, round(one.share, 1), len(one.header.cells), one.mark != ","),
        )
    by_blanks = _read_as(lines, BLANKS)
    if _is_split_by_blanks(by_blanks):
        return by_blanks
    first = readings[0]
    if all(_is_comma_number(",".join(row.cells)) for row in first.body if row.cells != [""]):
        return _Reading(NO_MARK, first.header, first.body, first.notes)  # decimal commas in one column
    return first


def _is_split_by_blanks(one: _Reading) -> bool:
    """Whether blanks make columns, one of numbers under a word among them; not just words of one column."""
    n = len(one.header.cells)
    return n > 1 and len(one.body) > 1 and one.share == 1 and _has_numbers(one.header.cells, one.body)


def _read_as(lines: Sequence[str], mark: str, skipped: int = 0) -> _Reading:
    """The header and the rows after it, with comments and titles before it passed over."""
    n_comments = skipped
    while n_comments < len(lines) - 1 and (
        not lines[n_comments].strip() or lines[n_comments].startswith("#")
    ):
        n_comments += 1
    if n_comments >= len(lines) - 1 and lines[-1].startswith("#"):
        n_comments = skipped  # where all lines begin so, none is a comment
    records = _records(lines, mark, n_comments)
    named = max((k for k in range(skipped, n_comments) if lines[k].startswith("#")), default=None)
    if named is not None and _is_header(lines[named], records, mark):
        n_comments = named
        records = _records(lines, mark, n_comments)
    notes = [
        f"line {k + 1} is a comment and passed over: {show(lines[k].strip())}"
        for k in range(skipped, n_comments)
        if lines[k].startswith("#")
    ]
    n_titles = _titles(records, lines)
    begin = n_comments
    for record in records[:n_titles]:
        text = "".join(lines[begin : record.ends]).strip()
        notes.append(f"line {record.ends} stands before the header and is passed over: {show(text)}")
        begin = record.ends
    if not records:
        records = [_Record([""], len(lines))]
    body = records[n_titles + 1 :]
    begins = [records[n_titles].ends, *(record.ends for record in body[:-1])]
    quoted = bool(body) and all(lines[k].startswith('"') for k in begins if lines[k].strip())
    return _Reading(mark, records[n_titles], body, tuple(notes), quoted)


def _records(lines: Sequence[str], mark: str, start: int) -> list[_Record]:
    """The first records that are not blank."""
    found: list[_Record] = []
    if mark == BLANKS:
        for k, line in enumerate(lines[start : start + MOST_RECORDS], start=start + 1):
            if line.strip():
                found.append(_Record(next(csv.reader([" ".join(line.split())], delimiter=" ")), k))
        return found
    reader = csv.reader(lines[start:], delimiter=mark)
    while len(found) < MOST_RECORDS:
        try:
            cells = next(reader, None)
        except csv.Error:
            break
        if cells is None:
            break
        if cells and not (len(cells) == 1 and not cells[0].strip()):
            found.append(_Record(cells, start + reader.line_num))
    return found


def _is_header(line: str, records: Sequence[_Record], mark: str) -> bool:
    """Whether a line that begins with # is the header of what follows, and no comment on it."""
    cells = line.split() if mark == BLANKS else next(csv.reader([line], delimiter=mark), [])
    if not records or len(cells) != _usual(records):
        return False
    return not (_is_named(records[0].cells) and _has_numbers(records[0].cells, records[1:]))


def _titles(records: Sequence[_Record], lines: Sequence[str]) -> int:
    """How many records stand before the header."""
    if len(records) < 3:  # noqa: PLR2004 - a title, a header and a row
        return 0
    usual = _usual(records)
    for k in range(min(MOST_TITLES, len(records) - 2)):
        cells = records[k].cells
        if len(cells) == usual and sum(bool(cell.strip()) for cell in cells) > 1:
            return k if k == 0 or _fits_titles(records, lines, k) else 0
    return 0


def _fits_titles(records: Sequence[_Record], lines: Sequence[str], k: int) -> bool:
    """Whether record k is a header, and those before it are not."""
    header = records[k].cells
    if len(header) < 2 or not _is_named(header):  # noqa: PLR2004
        return False
    for record in records[:k]:
        filled = [cell for cell in record.cells if cell.strip()]
        blank_after = record.ends < len(lines) and not lines[record.ends].strip()
        if len(filled) > 1 and not blank_after:
            return False
    has_words = any(" " in "".join(record.cells).strip() for record in records[:k])
    blank = any(not line.strip() for line in lines[: records[k].ends])
    return blank or has_words or _has_numbers(header, records[k + 1 :])


def _is_named(cells: Sequence[str]) -> bool:
    """Whether cells can be a header: names that differ, and no numbers."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names or not all(names[1:]) or len(set(names)) < len(names):
        return False
    return not any(is_number_text(name) for name in names)


def _has_numbers(header: Sequence[str], rows: Iterable[_Record]) -> bool:
    """Whether a column of the rows holds numbers under a name that is none."""
    rows = [row.cells for row in rows if len(row.cells) >= len(header)]
    for j, name in enumerate(header):
        cells = [row[j] for row in rows if row[j].strip()]
        if cells and not is_number_text(name) and all(is_number_text(cell) for cell in cells):
            return True
    return False


def _usual(records: Sequence[_Record]) -> int:
    return Counter(len(record.cells) for record in records).most_common(1)[0][0]


def _names(one: _Reading) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A name for each cell of a row, and what was recognised on the way."""
    names, rows = list(one.header.cells), [row.cells for row in one.body]
    n = len(names)
    if one.mark != BLANKS and rows and all(len(row) == n + 1 for row in rows):
        if all(not row[-1].strip() for row in rows):
            return (*names, ""), ()
        if one.quoted:
            return ("", *names), ()
    if n > 1 and not names[-1].strip() and rows and all(len(row) == n - 1 for row in rows):
        return tuple(names[:-1]), ("the delimiter at the end of the header names no column",)
    return tuple(names), ()
