"""Files are read for what they hold; what is no table is named for what it is."""

import bz2
import codecs
import datetime as dt
import gzip
import io
import lzma
import pickle
import sqlite3
import time
import zipfile
from decimal import Decimal

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from data.sources import load_table
from errors import ConfigError, DataLoadError
from tests.data.typed import load_typed

FRAME = pd.DataFrame({"a": range(30), "b": ["x", "y", "z"] * 10, "y": ["n", "j"] * 15})
TEXT = FRAME.to_csv(index=False)


def parquet(frame, **options):
    out = io.BytesIO()
    frame.to_parquet(out, **options)
    return out.getvalue()


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


def arrow(stream):
    out = io.BytesIO()
    table = pa.Table.from_pandas(FRAME)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def feathered():
    out = io.BytesIO()
    feather.write_feather(FRAME, out)
    return out.getvalue()


def workbook(**sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def refused(tmp_path, name, content, member=""):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataLoadError) as caught:
        load_typed(f"{tmp_path / name}{member}")
    message = str(caught.value)
    assert message.isprintable()
    assert str(tmp_path / name) in message
    return message


ROWS = [FRAME.columns.tolist(), *FRAME.to_numpy().tolist()]
READABLE = {
    "csv": TEXT.encode(),
    "gzip": gzip.compress(TEXT.encode()),
    "bzip2": bz2.compress(TEXT.encode()),
    "xz": lzma.compress(TEXT.encode()),
    "zstd": pa.compress(TEXT.encode(), "zstd", asbytes=True),
    "gzip twice": gzip.compress(gzip.compress(TEXT.encode())),
    "zip": zipped(t_csv=TEXT),
    "zip with company": zipped(t_csv=TEXT, README_txt="x", **{"__MACOSX__._t_csv": "x"}),
    "zip of parquet": zipped(deep__t_parquet=parquet(FRAME)),
    "parquet": parquet(FRAME),
    "packed parquet": gzip.compress(parquet(FRAME)),
    "arrow": arrow(stream=False),
    "arrow stream": arrow(stream=True),
    "feather": feathered(),
    "json": FRAME.to_json(orient="records").encode(),
    "json columns": FRAME.to_json(orient="columns").encode(),
    "jsonl": FRAME.to_json(orient="records", lines=True).encode(),
    "excel": workbook(One=ROWS),
    "utf-8 with mark": TEXT.encode("utf-8-sig"),
    **{name: TEXT.encode(name) for name in ("utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le")},
}


@pytest.mark.parametrize(
    "name", ["t.csv", "t.parquet", "t.json", "t.jsonl", "T.CSV", "t", "t.gz", "t.xlsx", "t.zip"]
)
@pytest.mark.parametrize("kind", READABLE)
def test_the_content_decides(tmp_path, kind, name):
    (tmp_path / name).write_bytes(READABLE[kind])
    frame = load_typed(str(tmp_path / name))
    assert frame.to_dict("list") == FRAME.to_dict("list")
    assert isinstance(frame.attrs["notes"], list)


def sqlite_bytes(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("create table t(a, b)")
    return (tmp_path / "x.db").read_bytes()


STRANGERS = {
    "a web page": b"\n<!DOCTYPE html><html><head><title>Sign in</title></head><body>a,b</body></html>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00ff\nsize 1\n",
    "a PDF": b"%PDF-1.7\n1,2\n",
    "a PNG image": b"\x89PNG\r\n\x1a\n\0\0",
    "a pickle": pickle.dumps(FRAME),
    "(.xls)": codecs.BOM_UTF8[:0] + b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    "a Word document": zipped(word__document_xml="<x/>"),
    "workbook that cannot be read": zipped(xl__workbook_xml="<workbook/>"),
    "a Stata file": b"<stata_dta><header>",
    "an XML document": b"<?xml version='1.0'?><a>1,2</a>",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n",
    "2 files in it": zipped(a_csv=TEXT, b_csv=TEXT),
    "no file in it": zipped(),
    "zero byte": b"a,b\n1,2\n\0\0\0\0\0",
}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.json", "t", "t.zip"])
@pytest.mark.parametrize("kind", STRANGERS)
def test_what_is_no_table_is_named(tmp_path, kind, name):
    if kind == "zero byte" and name == "t.json":
        name = "t.txt"
    assert kind in refused(tmp_path, name, STRANGERS[kind])


def test_a_database_is_named_with_the_source_to_use(tmp_path):
    data = sqlite_bytes(tmp_path)
    assert f"sql:sqlite:///{tmp_path}/t.csv#TABLE" in refused(tmp_path, "t.csv", data)


def test_text_that_is_no_table(tmp_path):
    assert "text without a delimiter" in refused(tmp_path, "notes.parquet", b"Once upon a time\nthere was\n")
    (tmp_path / "t.txt").write_bytes(b"level\n1\n2\n")
    assert load_typed(str(tmp_path / "t.txt"))["level"].tolist() == [1, 2]


def test_one_file_of_an_archive(tmp_path):
    data = zipped(a_csv=TEXT, b_csv="k\n1\n")
    message = refused(tmp_path, "t.zip", data)
    assert "'a.csv', 'b.csv'" in message
    assert load_typed(f"{tmp_path}/t.zip#b.csv")["k"].tolist() == [1]
    assert "did you mean 'a.csv'" in refused(tmp_path, "t.zip", data, "#A.csv")
    assert "no file '../t.csv'" in refused(tmp_path, "t.zip", data, "#../t.csv")


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, lambda data: zipped(t_csv=data)])
def test_what_expands_beyond_measure_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr("data.archives.FREE_BYTES", 1 << 20)
    bomb = pack(b"a,b\n" + b"1,2\n" * 4_000_000)
    assert "expands to more than" in refused(tmp_path, "t.csv", bomb)
    (tmp_path / "fine.csv").write_bytes(pack(TEXT.encode() * 50))
    assert len(load_typed(str(tmp_path / "fine.csv"))) > 1000


def test_a_workbook_that_expands_beyond_measure_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("data.archives.FREE_BYTES", 1 << 10)
    bomb = zipped(xl__worksheets__sheet1_xml=b"0" * 4_000_000)
    assert "expands to more than" in refused(tmp_path, "t.xlsx", bomb)


@pytest.mark.parametrize("path", ["x" * 5000, "x" * 5000 + "*", "a\0b", "a/\0*", "#", "[", "x.zip#a"])
def test_a_path_that_no_file_has(path):
    with pytest.raises(DataLoadError, match=r"no such file|no file of such a name|cannot be read"):
        load_typed(path)


def test_periods_and_intervals_are_texts(tmp_path):
    frame = pd.DataFrame({"p": pd.period_range("2024-01", periods=2, freq="M"), "i": pd.interval_range(0, 2)})
    frame.loc[1, "p"] = pd.NaT
    frame.to_parquet(tmp_path / "t.parquet")
    got = load_table(str(tmp_path / "t.parquet"))
    assert got["i"].tolist() == ["(0, 1]", "(1, 2]"]
    assert got["p"].iloc[0] == "2024-01"
    assert got["p"].isna().tolist() == [False, True]


def test_a_sheet_of_a_workbook(tmp_path):
    when, day = dt.datetime(2024, 1, 2, 3, 4), dt.date(2024, 1, 2)
    rows = [
        ["Report of May"],
        [],
        ["n", "x", "ok", "when", "code", "day", "big"],
        [3, 1.5, True, when, "007", day, 9007199254740],
        [None, 2, False, None, "x", day, 5],
        [],
    ]
    data = workbook(Empty=[], Main=rows, Other=[["k"], [1]])
    (tmp_path / "b.xlsx").write_bytes(data)
    frame = load_typed(str(tmp_path / "b.xlsx"))
    assert frame["n"].iloc[0] == 3
    assert np.isnan(frame["n"].iloc[1])
    assert frame["x"].tolist() == [1.5, 2.0]
    assert frame["ok"].tolist() == [True, False]
    assert frame["when"].iloc[0] == pd.Timestamp(when)
    assert frame["code"].tolist() == ["007", "x"]
    assert frame["day"].iloc[0] == pd.Timestamp(day)
    assert frame["big"].tolist() == [9007199254740, 5]
    assert frame["big"].dtype == np.int64
    notes = " ".join(frame.attrs["notes"])
    assert "'Report of May'" in notes
    assert "sheet 'Main' is read" in notes
    assert load_typed(f"{tmp_path}/b.xlsx#Other")["k"].tolist() == [1]
    assert "did you mean 'Other'" in refused(tmp_path, "b.xlsx", data, "#Othr")


def test_a_header_of_merged_cells_is_named(tmp_path):
    data = workbook(S=[["id", "price", None], [1, 2, 3], [1, 2, 3]])
    assert "right of 'price' has no name (cells that are merged?)" in refused(tmp_path, "b.xlsx", data)


@pytest.mark.parametrize("encoding", ["cp949", "euc_kr", "utf-16", "utf-8", "utf-8-sig"])
def test_korean(tmp_path, encoding):
    text = "번호,주거 형태\n" + "".join(f"{k},{['자가', '월세', '전세'][k % 3]}\n" for k in range(9))
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    frame = load_typed(str(tmp_path / "t.csv"))
    assert frame["주거 형태"].tolist() == ["자가", "월세", "전세"] * 3
    said = " ".join(frame.attrs["notes"])
    assert ("read as CP949; data.encoding=... says otherwise" in said) == (encoding in ("cp949", "euc_kr"))


WORDS = {
    "cp932": "東京 大阪 男性 会社員 カテゴリ 商品",
    "euc_jp": "東京 大阪 男性 会社員 カテゴリ 商品",
    "gb18030": "北京 上海 姓名 价格 学生 老师",
    "big5": "臺北 高雄 姓名 價格 學生 老師",
    "cp1251": "Москва Казань мужской женский да нет",
    "koi8-r": "Москва Казань мужской женский да нет",
    "cp1252": "élevé café Orléans très forêt français",
    "latin-1": "Köln München Straße für Österreich größe",
    "cp1250": "Łódź Kraków Gdańsk mężczyzna płeć źle",
    "iso8859-2": "Łódź Kraków Gdańsk mężczyzna płeć źle ąę",
    "cp1253": "Αθήνα Πάτρα άνδρας γυναίκα όχι",
    "cp1254": "İstanbul kadın erkek yaş şehir hayır",  # noqa: RUF001
}


@pytest.mark.parametrize("encoding", WORDS)
def test_encodings_are_found_and_told(tmp_path, encoding):
    words = WORDS[encoding].split()
    text = f"id,{words[0]}\n" + "".join(f"{k},{words[k % len(words)]}\n" for k in range(60))
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    frame = load_typed(str(tmp_path / "t.csv"))
    assert frame[words[0]].tolist() == [words[k % len(words)] for k in range(60)]
    assert frame.attrs["notes"][0].startswith("read as ")
    assert load_typed(str(tmp_path / "t.csv"), encoding=encoding).to_dict() == frame.to_dict()


def test_a_given_encoding(tmp_path):
    (tmp_path / "t.csv").write_bytes("a,b\n1,서울\n2,부산\n".encode())
    with pytest.raises(DataLoadError, match=r"not CP949: byte 0x.. at offset \d+ \(line 2\)"):
        load_typed(str(tmp_path / "t.csv"), encoding="cp949")
    for name, hint in (("cp94", "did you mean 'cp949'"), ("base64", "no such"), ("", "no such")):
        with pytest.raises(ConfigError, match=hint):
            load_typed(str(tmp_path / "t.csv"), encoding=name)
    (tmp_path / "t.parquet").write_bytes(parquet(FRAME))
    assert "says nothing here" in load_typed(str(tmp_path / "t.parquet"), encoding="cp949").attrs["notes"][0]


def test_parts_of_one_table(tmp_path):
    for k in (10, 9, 1):
        (tmp_path / f"part-{k}.csv").write_text(f"a,b\n{k},0{k}\n")
    frame = load_typed(f"{tmp_path}/part-*.csv")
    assert frame["a"].tolist() == [1, 9, 10]
    assert frame["b"].tolist() == ["01", "09", "010"]
    assert "3 files are read as one table" in frame.attrs["notes"][0]
    (tmp_path / "part-11.csv").write_text("b,c\n1,2\n")
    with pytest.raises(DataLoadError, match=r"part-11.csv: not of the same .* lacks 'a' and has 'c' beside"):
        load_typed(f"{tmp_path}/part-*.csv")
    with pytest.raises(DataLoadError, match="no file of such a name"):
        load_typed(f"{tmp_path}/nothing-*.csv")
    (tmp_path / "a[1].csv").write_text("a,b\n1,2\n")
    assert len(load_typed(f"{tmp_path}/a[1].csv")) == 1


def test_a_folder_of_parquet_files(tmp_path):
    for k in range(3):
        FRAME.to_parquet(tmp_path / f"part-{k}.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    assert len(load_typed(str(tmp_path))) == 90
    (tmp_path / "none").mkdir()
    with pytest.raises(DataLoadError, match="expected a file, a pattern, or a folder of Parquet"):
        load_typed(str(tmp_path / "none"))


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(READABLE["gzip"])))
    assert load_typed("-").to_dict("list") == FRAME.to_dict("list")
    with pytest.raises(DataLoadError, match=r"stdin: empty file \(0 bytes\)"):
        load_typed("-")


TYPES = {
    "decimal": (pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)), [1.5, np.nan], "float64"),
    "whole": (pa.array([Decimal(7), Decimal(8)], pa.decimal128(20, 0)), [7, 8], "int64"),
    "wide": (pa.array([Decimal(2**70), Decimal(1)], pa.decimal256(60, 0)), [2**70, 1], "object"),
    "big": (pa.array([2**63 + 1, 5], pa.uint64()), [2**63 + 1, 5], "uint64"),
    "big gap": (pa.array([2**63 + 1, None], pa.uint64()), [2**63 + 1, None], "object"),
    "id gap": (pa.array([9007199254740993, None], pa.int64()), [9007199254740993, None], "object"),
    "gap": (pa.array([5, None], pa.int8()), [5.0, np.nan], "float64"),
    "half": (pa.array(np.float16([0.5, 2]), pa.float16()), [0.5, 2.0], "float64"),
    "words": (pa.array(["x", None]).dictionary_encode(), ["x", np.nan], "str"),
    "codes": (pa.array([7, 9]).dictionary_encode(), [7, 9], "int64"),
    "view": (pa.array(["x", "y"], pa.string_view()), ["x", "y"], "str"),
    "time": (pa.array([dt.time(1, 2), None], pa.time64("us")), ["01:02:00", np.nan], "str"),
    "date": (pa.array([dt.date(2024, 1, 2), None]), [pd.Timestamp("2024-01-02"), pd.NaT], "datetime64[us]"),
    "none": (pa.array([None, None]), [None, None], "object"),
}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_columns_of_any_type_are_plain(tmp_path, name, kind):
    column, values, dtype = TYPES[name]
    table = pa.table({"k": [1, 2], "x": column})
    if kind == "parquet":
        pq.write_table(table, tmp_path / "t")
    else:
        feather.write_feather(table, str(tmp_path / "t"))
    got = load_typed(str(tmp_path / "t"))["x"]
    assert str(got.dtype) == dtype
    pd.testing.assert_series_equal(got, pd.Series(values, name="x", dtype=dtype), check_exact=True)


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable"])
def test_pandas_own_types_are_plain(tmp_path, backend):
    frame = FRAME.assign(b=FRAME["b"].astype("category"), n=pd.Categorical([5, 7, 9] * 10))
    frame.to_parquet(tmp_path / "a.parquet")
    pd.read_parquet(tmp_path / "a.parquet", dtype_backend=backend).to_parquet(tmp_path / "t.parquet")
    got = load_typed(str(tmp_path / "t.parquet"))
    assert got.dtypes.astype(str).tolist() == ["int64", "str", "str", "int64"]
    assert got[["a", "b", "y"]].to_dict("list") == FRAME.to_dict("list")


def test_ids_keep_their_digits(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"id": 9007199254740993, "n": 1}\n{"id": null, "n": null}\n')
    frame = load_typed(str(tmp_path / "t.jsonl"))
    assert frame["id"].tolist() == [9007199254740993, None]
    assert frame["n"].dtype == float
    (tmp_path / "t.csv").write_text("id,n\n9007199254740993,1\n,\n007,2\n")
    assert load_typed(str(tmp_path / "t.csv"))["id"].tolist()[::2] == ["9007199254740993", "007"]


@pytest.mark.parametrize("index", [[3, 1, 2], ["x", "y", "z"], [0, 1, 2]])
def test_names_of_rows_are_left_out_and_told(tmp_path, index):
    frame = pd.DataFrame({"a": [5, 6, 7]}, index=index)
    frame.to_parquet(tmp_path / "t.parquet")
    got = load_typed(str(tmp_path / "t.parquet"))
    assert got.columns.tolist() == ["a"]
    assert "left out" in " ".join(got.attrs["notes"])


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_column_that_only_counts_the_rows_is_left_out(tmp_path, suffix):
    frame = pd.DataFrame({"Unnamed: 0": [0, 1, 2], "a": [5, 6, 7]})
    path = tmp_path / f"t.{suffix}"
    {
        "csv": lambda: frame.to_csv(path, index=False),
        "parquet": lambda: frame.to_parquet(path),
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
    }[suffix]()
    got = load_typed(str(path))
    assert got.columns.tolist() == ["a"]
    assert got.attrs["notes"] == ["column 'Unnamed: 0' only counts the rows and is left out"]


def test_a_long_cell_takes_no_long_time_to_find_an_encoding(tmp_path):
    rows = [b"\xe9", b"a" * 300_000, *[b"v"] * 30]
    (tmp_path / "t.csv").write_bytes(
        b"x,k\n" + b"".join(b"%s,%d\n" % (cell, k) for k, cell in enumerate(rows))
    )
    began = time.process_time()
    assert len(load_typed(str(tmp_path / "t.csv"))) == 32
    assert time.process_time() - began < 20  # a quadratic pattern takes minutes
