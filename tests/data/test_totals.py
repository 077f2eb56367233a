"""Rows that sum up those above them, and rows that only say so."""

import openpyxl
import pytest

from data.sources import load_table


def excel(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return load_table(str(path))


def text(path, rows):
    path.write_text("\n".join(",".join("" if c is None else str(c) for c in row) for row in rows) + "\n")
    return load_table(str(path))


WRITERS = [pytest.param((excel, "t.xlsx"), id="excel"), pytest.param((text, "t.csv"), id="csv")]
SALES = [["id", "price"], *([i, i * 2.5] for i in range(20))]
SHOPS = [["shop", "price", "n"], *([f"n{i}", i * 2.5, i] for i in range(50))]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("rows", "n_rows"),
    [
        ([*SALES, ["Total", 475.0]], 20),
        ([*SALES, [None, None], ["Total", 475.0]], 20),
        ([*SHOPS, ["Total:", 3062.5, 1225]], 50),
        ([*SHOPS, ["합계", 3062.5, None]], 50),
        ([*SHOPS, ["Gesamt", None, None]], 50),
    ],
)
def test_a_total_is_left_out_and_said(tmp_path, writer, rows, n_rows):
    write, name = writer
    frame = write(tmp_path / name, rows)
    assert len(frame.dropna(how="all")) == n_rows
    assert any("is a total of those above it and left out" in note for note in frame.attrs["notes"])


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "rows",
    [
        [*SALES, ["Total", 5]],
        [["kind", "n"], *([kind, i] for i, kind in enumerate(["total", "part", "other"] * 9))],
        [["kind", "n"], *(["total", i] for i in range(9))],
    ],
)
def test_what_is_no_total_is_a_row(tmp_path, writer, rows):
    write, name = writer
    assert len(write(tmp_path / name, rows)) == len(rows) - 1


def test_a_line_that_is_no_sum_is_named(tmp_path):
    frame = text(tmp_path / "t.csv", [*SALES, ["Total", 5]])
    assert "line 22 calls itself a total, which it is not; it is kept: 'Total', '5'" in frame.attrs["notes"]
