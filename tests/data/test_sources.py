import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.features import infer_features
from data.rownames import with_row_names
from data.sources import load_table, table_name
from errors import DataError, DataLoadError
from tests.data.typed import load_typed

CSV = "번호,주거 형태,income,ok\n1,자가,10.5,True\n2,,nan,False\n3,월세,7,True\n"


def zstd(data):
    return pa.compress(data, codec="zstd", asbytes=True)


PACKERS = {".gz": gzip.compress, ".zst": zstd}


def write(folder, name, content):
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    pack = PACKERS.get(path.suffix) if data else None
    path.write_bytes(pack(data) if pack else data)
    return str(path)


def refused(path):
    with pytest.raises(DataLoadError) as caught:
        load_typed(path)
    assert path in str(caught.value)
    return str(caught.value)


def check_table(frame):
    assert frame.columns.tolist() == ["번호", "주거 형태", "income", "ok"]
    assert frame["번호"].tolist() == [1, 2, 3]
    assert frame["주거 형태"].isna().tolist() == [False, True, False]
    assert frame["주거 형태"].iloc[2] == "월세"
    np.testing.assert_array_equal(frame["income"].to_numpy(float), [10.5, np.nan, 7.0])
    assert [str(cell) for cell in frame["ok"]] == ["True", "False", "True"]
    assert frame.index.tolist() == [0, 1, 2]


RECORDS = [
    {"번호": 1, "주거 형태": "자가", "income": 10.5, "ok": True},
    {"번호": 2, "주거 형태": None, "ok": False},
    {"번호": 3, "주거 형태": "월세", "income": 7, "ok": True},
]
COLUMNS = {name: [record.get(name) for record in RECORDS] for name in ("번호", "주거 형태", "income", "ok")}


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".csv", CSV),
        (".CSV", CSV.replace("\n", "\r\n")),
        (".csv", "\ufeff" + CSV),
        (".tsv", CSV.replace(",", "\t")),
        (".json", json.dumps(COLUMNS)),
        (".json", json.dumps({name: dict(enumerate(column)) for name, column in COLUMNS.items()})),
        (".jsonl", "\n".join(json.dumps(r) for r in RECORDS) + "\n\n"),
    ],
    ids=["csv", "crlf", "bom", "tsv", "json columns", "json pandas columns", "jsonl"],
)
def test_every_text_format_gives_the_same_table(tmp_path, suffix, content, packed):
    frame = load_typed(write(tmp_path, f"table{suffix}{packed}", content))
    check_table(frame[["번호", "주거 형태", "income", "ok"]])


def test_json_records_keep_types(tmp_path):
    records = [{"code": "01", "n": 1, "x": 0.1}, {"code": "02", "n": 2, "x": None}]
    frame = load_typed(write(tmp_path, "t.json", json.dumps(records)))
    assert frame["code"].tolist() == ["01", "02"]
    assert frame["n"].dtype == np.int64
    assert frame["x"].iloc[0] == 0.1


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_parquet(tmp_path, packed):
    path = tmp_path / "t.parquet"
    pd.DataFrame(COLUMNS).to_parquet(path)
    if packed:
        write(tmp_path, f"t.parquet{packed}", path.read_bytes())
    check_table(load_typed(f"{path}{packed}"))


def test_parquet_named_index_becomes_a_column(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="UID")).to_parquet(path)
    frame = load_typed(str(path))
    assert frame.columns.tolist() == ["UID", "a"]
    assert frame["UID"].tolist() == ["x", "y"]


def test_csv_numbers_are_exact(tmp_path):
    values = np.random.default_rng(0).normal(size=2_000).tolist()
    frame = load_typed(write(tmp_path, "t.csv", "a\n" + "\n".join(map(repr, values))))
    assert frame["a"].tolist() == values


def test_words_stay_words_and_empty_cells_are_missing(tmp_path):
    frame = load_typed(write(tmp_path, "t.csv", "sleep,n\nNone,1\nApnea,2\nNA,3\n,4\n"))
    assert frame["sleep"].tolist()[:3] == ["None", "Apnea", "NA"]
    assert frame["sleep"].isna().tolist() == [False, False, False, True]


def test_codes_stay_text(tmp_path):
    frame = load_typed(write(tmp_path, "t.csv", "code,n\n01,1\n02,2\n"))
    assert frame.to_dict("list") == {"code": ["01", "02"], "n": [1, 2]}


def test_quoted_cells_and_trailing_missing_values_are_no_ragged_rows(tmp_path):
    frame = load_typed(write(tmp_path, "t.csv", 'a,b,"c,\nd"\n1,"x, y",\n\n2,"line\nbreak",3\n'))
    assert frame.columns.tolist() == ["a", "b", "c,\nd"]
    assert frame["b"].tolist() == ["x, y", "line\nbreak"]


def test_missing_file_names_the_nearest(tmp_path):
    write(tmp_path, "churn.csv", CSV)
    assert "no such file (did you mean 'churn.csv'?)" in refused(str(tmp_path / "chrun.csv"))
    assert "no such file" in refused(str(tmp_path / "no" / "folder.csv"))


def test_folder(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    assert "a folder; expected a file" in refused(str(tmp_path / "folder.csv"))


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.zip", "t.parquet", "t.json", "t.dat"])
def test_the_content_decides_what_a_file_is(tmp_path, name):
    check_table(load_typed(write(tmp_path, name, CSV)))


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.parquet", "t.csv.gz", "t.json.zst"])
def test_empty_file(tmp_path, name):
    assert "empty file (0 bytes)" in refused(write(tmp_path, name, b""))


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.jsonl"])
def test_white_space_only(tmp_path, name):
    assert "empty file" in refused(write(tmp_path, name, " \n\n"))


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_packed_nothing(tmp_path, packed):
    path = tmp_path / f"t.csv{packed}"
    path.write_bytes(PACKERS[packed](b""))
    assert "empty file (0 bytes when decompressed)" in refused(str(path))


@pytest.mark.parametrize(("packed", "program"), [(".gz", "gzip"), (".zst", "zstd")])
@pytest.mark.parametrize("damage", ["cut", "overwritten", "replaced"])
def test_damaged_packing(tmp_path, damage, packed, program):
    path = tmp_path / f"t.csv{packed}"
    data = PACKERS[packed](CSV.encode() * 100)
    damaged = {
        "cut": data[: len(data) // 2],
        "overwritten": data[:20] + b"x" * 20,
        "replaced": data[:4] + b"not packed",
    }
    path.write_bytes(damaged[damage])
    assert f"damaged or not {program}" in refused(str(path))


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_packed_without_its_suffix(tmp_path, packed):
    path = tmp_path / "t.csv"
    path.write_bytes(PACKERS[packed](CSV.encode()))
    check_table(load_typed(str(path)))


def test_zst_of_several_frames(tmp_path):
    path = tmp_path / "t.csv.zst"
    path.write_bytes(zstd(b"a,b\n1,2\n") + zstd(b"3,4\n"))
    assert load_typed(str(path))["b"].tolist() == [2, 4]


@pytest.mark.parametrize("n_before", range(8))
@pytest.mark.parametrize("bad", [b"\xff,2\n", b"\xea\xb0,2\n", b"\xea"])
def test_a_wrong_byte_anywhere_in_a_chunk(tmp_path, monkeypatch, n_before, bad):
    monkeypatch.setattr("data.encodings.CHUNK_BYTES", 7)
    good = ("이름,n\n" + "가나다,1\n" * 50 + "a" * n_before).encode()
    with pytest.raises(UnicodeDecodeError) as caught:
        (good + bad).decode()
    assert f"byte 0x{bad[0]:02x} at offset {caught.value.start:,} (line 52)" in refused(
        write(tmp_path, "t.csv", good + bad)
    )


def test_letters_cut_by_a_chunk_are_no_wrong_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("data.encodings.CHUNK_BYTES", 7)
    assert len(load_typed(write(tmp_path, "t.csv", "이름,n\n" + "가나다,1\n" * 50))) == 50


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("t.json", "3", "not a table: 3"),
        ("t.json", '"text"', "not a table: 'text'"),
        ("t.json", "{}", "not a table: {}"),
        ("t.json", "[1, 2]", "record 1 is 1"),
        ("t.json", '[{"a": 1}, null]', "record 2 is None"),
        ("t.json", '{"a": 1, "b": 2}', "'a' holds 1"),
        ("t.json", '{"a": [1, 2], "b": [1]}', "differ in length"),
        ("t.json", '{"a": [1, 2', "not JSON"),
        ("t.json", "[]", "no rows"),
        ("t.json", '{"a": []}', "no rows"),
        ("t.jsonl", '{"a": 1}\n{"a": \n', "line 2: not JSON"),
        ("t.jsonl", '{"a": 1}\n[1]\n', "record 2 is [1]"),
        ("t.json", '[{"a": 1, "a": 2}]', "more than once there: 'a'"),
        ("t.json", "[" * 100_000, "nested too deeply"),
        ("t.json", '[{"a": 1},\n{"a": "\\\\ \\ud83d\\ude00 \\udc00"}]', "line 2 holds \\udc00"),
        ("t.jsonl", '{"a": 1}\n{"\\ud800": 1}\n', "line 2 holds \\ud800, which is half of a character"),
        ("t.json", '{"a": [1], "b": [1, 2], "c": [1]}', "'a' has 1 values, 'b' has 2"),
    ],
)
def test_json_that_is_no_table(tmp_path, name, content, found):
    assert found in refused(write(tmp_path, name, content))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the header has 2"),
        ("a,b\n1,2,3\n1,2,3\n", "line 2 has 3 fields, the header has 2"),
        ("a,b,c\n1,2,3\n1,2\n", "line 3 has 2 fields, the header has 3"),
        ("a,b,c\n1,2,\n\n1\n", "line 4 has 1 fields, the header has 3"),
        ('a,b\n1,"2\n', "line 2: a quote opens a cell there that nothing closes"),
    ],
)
def test_ragged_csv(tmp_path, content, found):
    assert found in refused(write(tmp_path, "t.csv", content))


@pytest.mark.parametrize("content", ["a,b\n", "a,b", "a,b\n\n\n"])
def test_header_only(tmp_path, content):
    assert "no rows; columns: 'a', 'b'" in refused(write(tmp_path, "t.csv", content))


def test_duplicate_column_names(tmp_path):
    assert "more than once there: 'a', 'b'" in refused(write(tmp_path, "t.csv", "a,b,a,c,b\n1,2,3,4,5\n"))


def test_a_name_that_pandas_would_make_up_is_fine(tmp_path):
    assert load_typed(write(tmp_path, "t.csv", "a,a.1\n1,2\n")).columns.tolist() == ["a", "a.1"]


@pytest.mark.parametrize("header", [",", "a,", 'a," "'])
def test_empty_column_names(tmp_path, header):
    assert "has no name" in refused(write(tmp_path, "t.csv", f"{header}\n1,2\n"))


@pytest.mark.parametrize("first", [0, 1])
def test_a_saved_row_index_that_counts_is_left_out(tmp_path, first):
    frame = pd.DataFrame({"a": [5, 6, 7]}, index=range(first, first + 3))
    frame.to_csv(tmp_path / "t.csv")
    assert load_typed(str(tmp_path / "t.csv")).to_dict("list") == {"a": [5, 6, 7]}


@pytest.mark.parametrize("index", [[2, 0, 1], ["x", "y", "z"], [0, 1, 1], [10, 11, 12]])
def test_a_column_without_a_name_is_left_out_whatever_it_holds(tmp_path, index):
    pd.DataFrame({"a": [5, 6, 7]}, index=index).to_csv(tmp_path / "t.csv")
    frame = load_typed(str(tmp_path / "t.csv"))
    assert frame.to_dict("list") == {"a": [5, 6, 7]}
    assert "the first column has no name" in frame.attrs["notes"][0]


@pytest.mark.parametrize(
    ("name", "mark"), [("t.csv", ";"), ("t.csv", "\t"), ("t.csv", "|"), ("t.tsv", ","), ("t.tsv", ";")]
)
def test_another_delimiter_is_found(tmp_path, name, mark):
    check_table(load_typed(write(tmp_path, name, CSV.replace(",", mark))))
    assert (
        f"(split at {mark!r})" in refused(write(tmp_path, name, f"a{mark}b\n1{mark}2{mark}3\n"))
        or mark in ",\t"
    )


def test_one_column_is_not_split_at_what_its_rows_hold(tmp_path):
    frame = load_typed(write(tmp_path, "t.csv", '"a;b"\nx;y\nz\n'))
    assert frame.to_dict("list") == {"a;b": ["x;y", "z"]}


def test_a_json_number_of_thousands_of_digits_is_refused_with_its_cell(tmp_path):
    frame = load_typed(write(tmp_path, "t.json", '[{"a": 1}, {"a": %s}, {"a": 2}]' % ("9" * 5_000)))
    with pytest.raises(
        DataError, match="column 'a': 1 infinite or too large values, the first in data row 2"
    ):
        infer_features(frame, "y")


def test_a_character_in_two_halves_is_one(tmp_path):
    frame = load_typed(write(tmp_path, "t.json", r'[{"a": "\ud83d\ude00 \\ud800"}]'))
    assert frame["a"].tolist() == ["\U0001f600 \\ud800"]


def test_parquet_with_a_name_twice(tmp_path):
    column = pa.array([1])
    pq.write_table(pa.Table.from_arrays([column, column], names=["a", "a"]), tmp_path / "t.parquet")
    assert "more than once there: 'a'" in refused(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize("damage", ["cut", "overwritten", "replaced"])
def test_damaged_parquet(tmp_path, damage):
    path = tmp_path / "t.parquet"
    pd.DataFrame(COLUMNS).to_parquet(path)
    data = path.read_bytes()
    damaged = {"cut": data[:-10], "overwritten": b"PAR1" + data[50:], "replaced": b"not parquet"}
    path.write_bytes(damaged[damage])
    assert "not a Parquet file" in refused(str(path))


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("http://user:s3cr3t@host/t.csv", "cannot read from http://"),
        ("postgresql://user:s3cr3t@host/db", "sql:postgresql://user:***@host/db#TABLE"),
    ],
)
def test_unknown_scheme(source, hint):
    with pytest.raises(DataLoadError) as caught:
        load_typed(source)
    assert hint in str(caught.value)
    assert "redis:KEY" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_table_names():
    assert table_name("/some/where/credit.default.csv.gz") == "credit.default"
    assert table_name("churn.JSON") == "churn"


def test_names_of_rows_come_back_for_a_model_that_learned_from_them(tmp_path):
    frame = load_table(write(tmp_path, "t.csv", ",a\nr1,1\nr2,2\n"))
    assert frame.columns.tolist() == ["a"]
    assert with_row_names(frame, ["index", "a"])["index"].tolist() == ["r1", "r2"]
    assert with_row_names(frame, ["a"]) is frame
