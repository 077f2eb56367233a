"""Delimited text as people and programs write it: every row that was written, as it was written, or a clear error."""

import csv
import io
import random
import time
from contextlib import suppress

import pytest

from data.csvtable import csv_names, parse_csv
from errors import DataLoadError

ROWS = [
    [f"{random.Random(k).gauss(0, 1):.2f}", random.Random(k).choice(["ab", "cd"]), "pq"[k % 2]]
    for k in range(120)
]
COMMA = [",".join(row) for row in ROWS]
SEMICOLON = [";".join([row[0].replace(".", ","), *row[1:]]) for row in ROWS]


def table(head, body, end="\n", mark=","):
    return parse_csv(end.join([*head, *body, ""]).encode(), mark, "t.csv")


def check(frame, rows=ROWS, names=("v", "w", "y")):
    assert frame.columns.tolist() == list(names)
    assert frame.to_numpy().tolist() == rows
    assert set(map(str, frame.dtypes)) == {"str"}
    assert frame.index.tolist() == list(range(len(rows)))


def refused(head, body, end="\n"):
    with pytest.raises(DataLoadError) as caught:
        table(head, body, end)
    return str(caught.value)


GERMAN = [[row[0].replace(".", ","), *row[1:]] for row in ROWS]
QUIRKS = {
    "plain": (["v,w,y"], COMMA, ""),
    "blank lines": (["", "v,w,y"], [line for row in COMMA for line in (row, "", "  ")], ""),
    "trailing": (["v,w,y,"], [row + "," for row in COMMA], "neither name nor values"),
    "trailing, rows only": (["v,w,y"], [row + "," for row in COMMA], "neither name nor values"),
    "trailing, header only": (["v,w,y,"], COMMA, "names no column"),
    "three empty columns": (["v,w,y,,,"], [row + ",,," for row in COMMA], "3 columns"),
    "title": (["Export of 3 May", "", "v,w,y"], COMMA, "line 1 stands before the header"),
    "title with a comma": (["Export, made in May", "", "v,w,y"], COMMA, "line 1 stands before"),
    "title of one word": (["Export", "v,w,y"], COMMA, "line 1 stands before the header"),
    "padded title": (["Export of May,,", ",,", "v,w,y"], COMMA, "line 1 stands before the header"),
    "comments": (["# by hand", "# in, May, 2024", "v,w,y"], COMMA, "line 2 is a comment"),
    "comment between": (["v,w,y"], [*COMMA[:60], "# here the second half", *COMMA[60:]], "1 comment line"),
    "total": (["v,w,y"], [*COMMA, "Total,,120"], "line 122 is a total"),
    "total of another tongue": (["v,w,y"], [*COMMA, "합계:,,120"], "line 122 is a total"),
    "total and commas": (["v,w,y"], [*COMMA, "SUM,,120", ",,", ",,", ""], "line 122 is a total"),
    "commas": (["v,w,y"], [*COMMA, *[",,"] * 5], "5 lines without a value"),
    "header again": (["v,w,y"], [*COMMA[:60], "v,w,y", *COMMA[60:]], "header again: line 62"),
    "tab": (["v\tw\ty"], ["\t".join(row) for row in ROWS], ""),
    "pipe": (["v|w|y"], ["|".join(row) for row in ROWS], ""),
    "blanks": (["v w y"], [" ".join(row) for row in ROWS], "separated by blanks"),
    "aligned": (["   v   w y "], ["  ".join(row).rjust(14) for row in ROWS], "separated by blanks"),
    "blanks after": (["v, w, y"], [", ".join(row) for row in ROWS], ""),
    "blanks after, quoted": (["v, w, y"], [f'{a}, "{b}", "{c}"' for a, b, c in ROWS], ""),
    "carets": (["v^w^y"], ["^".join(row) for row in ROWS], ""),
    "sep with commas": (["sep=,", "v,w,y"], COMMA, "line 1 says"),
    "row names of R": (["v,w,y"], [f'"{k}",{row}' for k, row in enumerate(COMMA, 1)], "names of the rows"),
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quirk", QUIRKS)
def test_all_rows_that_were_written(quirk, end):
    head, body, note = QUIRKS[quirk]
    frame = table(head, body, end)
    check(frame)
    notes = frame.attrs["notes"]
    assert (note in " ".join(notes)) if note else not notes


@pytest.mark.parametrize("head", [["sep=;", "v;w;y"], ['"sep=;"', "v;w;y"], ["v;w;y"], ["SEP=;", "v;w;y"]])
def test_semicolons_and_decimal_commas(head):
    check(table(head, SEMICOLON), GERMAN)


@pytest.mark.parametrize("head", ["v, in m;w;y", '"v, in m";w;y'])
def test_a_delimiter_within_a_name(head):
    check(table([head], SEMICOLON), GERMAN, ["v, in m", "w", "y"])
    check(table(['"v; in m",w,y'], COMMA), ROWS, ["v; in m", "w", "y"])


def test_cells_are_kept_as_they_are_written():
    cells = ["007", " x ", "NA", "null", "1E5", '5" pipe', "true", "#1", "=1+1", "None", "-"]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["a", "b"], *([cell, "1"] for cell in cells)])
    assert parse_csv(out.getvalue().encode(), ",", "t.csv")["a"].tolist() == cells
    frame = table(["a,b,c"], [',"",x', "5\" pipe,'q',y"])
    assert frame.isna().to_numpy().tolist() == [[True, True, False], [False, False, False]]
    assert frame.iloc[1].tolist() == ['5" pipe', "'q'", "y"]


def test_quotes_with_a_backslash_before_them():
    frame = table(["a,b"], ['1,"say \\"hi\\", he said"', '2,"{\\"k\\": 1}"', '3,"C:\\x"'])
    assert frame["b"].tolist() == ['say "hi", he said', '{"k": 1}', "C:\\x"]
    assert "backslash" in frame.attrs["notes"][0]
    frame = table(["a,b"], ['1,"C:\\"', '2,5\\" pipe'])
    assert frame["b"].tolist() == ["C:\\", '5\\" pipe']
    assert frame.attrs["notes"] == []


def test_line_breaks_in_quoted_cells():
    check(
        table(["v,w,y"], [f'{a},"{b}\nmore, and more",{c}' for a, b, c in ROWS]),
        [[a, f"{b}\nmore, and more", c] for a, b, c in ROWS],
    )
    review = '1,"Bought it, used it\nGood, cheap\nWould buy again, surely",p'
    assert len(table(["v,w,y"], [*COMMA, review])) == 121


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ('1.5,"ab,p', '-1.5,"cd",q'),
        ('1.5,"ab,p', '-1.5,cd",q'),
        ('1.5,"ab,p', None),
        ('"1.5,ab,p', '-1.5,"cd",q'),
        ('1.5,ab,"p', '-1.5,cd"x,q'),
        ('"', '"'),
    ],
)
def test_a_quote_that_swallows_rows_is_named_with_its_line(opened, closed):
    rows = list(COMMA)
    rows[20] = opened
    if closed:
        rows[60] = closed
    message = refused(["v,w,y"], rows)
    assert "line 22" in message
    assert "quote" in message
    assert ("62" in message) == (closed is not None)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*COMMA[:5], "1.0,a\0b,p", *COMMA[5:]], "line 7 holds a zero byte"),
        ([*COMMA[:5], "1.0,ab", *COMMA[5:]], "line 7 has 2 cells, the header has 3"),
        ([*COMMA[:5], "", "1.0,ab,p,", *COMMA[5:]], "line 8 has 4 cells, the header has 3"),
        (['x"', "1.0,ab,p"], "line 2 has 1 cells"),
        (["1,2,3,4", "1,2,3,4"], "line 2 has 4 cells, the header has 3"),
    ],
)
def test_what_is_no_row_is_named_with_its_line(rows, said):
    assert said.replace("cells", "fields") in refused(["v,w,y"], rows).replace("cells", "fields")


def test_what_only_looks_like_a_total_is_a_row():
    energy = [f"Energy,{k},a" for k in range(20)]
    assert len(table(["firm,n,k"], [*energy, "Total,7,b"])) == 21
    assert len(table(["n,k"], ["1,2", "Total,3"])) == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_blank_line_in_one_column_is_a_missing_value(end):
    for body in (
        ["10", "", "90", "", "20"],
        ["10", '""', "90", '""', "20"],
        ["10", "", "90", '""', "20", "", ""],
    ):
        frame = table(["level"], body, end)
        assert frame["level"].isna().tolist() == [False, True, False, True, False]
    assert table(["", "level"], ["", "10", '""'], end)["level"].isna().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("head", "body", "name"),
    [
        ("name", ["John Smith", "Jane Doe"], "name"),
        ("full name", ["John Smith", "Jane Doe"], "full name"),
        ("level", ["0,5", "1,5", "22,75"], "level"),
        ("level", ["1,234", "1,234,567", "12"], "level"),
        ("#name", ["Kim", "Lee"], "#name"),
        ("#", ["1", "2"], "#"),
    ],
)
def test_one_column(head, body, name):
    frame = table([head], body)
    assert frame.columns.tolist() == [name]
    assert frame[name].tolist() == body


def test_a_long_cell_and_many_columns():
    long = "x" * (40 << 20)
    assert table(["a,b"], [f"1,{long}", f"2,{long}"])["b"].str.len().tolist() == [len(long)] * 2
    names = [f"column number {k}" for k in range(30_000)]
    assert table([",".join(names)], [",".join("1" * 30_000)] * 3).shape == (3, 30_000)


@pytest.mark.parametrize("quirk", QUIRKS)
def test_the_beginning_tells_the_names(quirk):
    head, body, _ = QUIRKS[quirk]
    assert [name for name in csv_names("\n".join([*head, *body[:9], ""]).encode(), ",", "t") if name] == list(
        "vwy"
    )


def test_a_title_over_numbers_is_no_column_of_theirs():
    assert "line 2 has 3 fields, the header has 1" in refused(["Sales by year", "2019,2020,2021"], ["1,2,3"])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("price, EUR;qty, kg;city\n1,5;1,2;c1\n2,5;2,2;c2\n", ["price, EUR", "qty, kg", "city"]),
        ("last, first|y\nA, B|1\nC, D|2\n", ["last, first", "y"]),
        ("price, EUR\tname\n1,5\ta\n2,5\tb\n", ["price, EUR", "name"]),
    ],
)
def test_commas_in_names_and_numbers_separate_nothing(text, names):
    assert parse_csv(text.encode(), ",", "t.csv").columns.tolist() == names


@pytest.mark.parametrize(
    "text",
    [
        "Report of sales\n\n1" + " " * 100_000 + "x,k,y\n" + "v,1,a\n" * 40,
        "y\n1" + " " * 100_000 + "x\n" + "a\nb\n" * 20,
        "x k y\n" + '"v" 1 a\n' * 5 + '"v" 1' + " " * 200_000 + "a\n",
        "x\n" + "1" * 100_000 + "x\n",
    ],
)
def test_long_cells_take_no_long_time(text):
    began = time.process_time()
    with suppress(DataLoadError):  # which of them are tables is told elsewhere
        parse_csv(text.encode(), ",", "t.csv")
    assert time.process_time() - began < 20  # a quadratic pattern takes minutes
