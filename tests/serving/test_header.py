"""The columns of a table, by its beginning: the same as by all of it, or nothing is said."""

import gzip
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from data.sources import load_table
from errors import DataError, DataLoadError
from serving.header import check_target

TEXTS = {
    "plain": "a,b,y\n1,2,3\n4,5,6\n",
    "semicolons": "a;b;y\n1;2;3\n",
    "marked": "\ufeffa,y\n1,2\n",
    "an empty line first": "\na,y\n1,2\n",
    "quoted": '"a, b","y\nz",c\n1,2,3\n',
    "one column": "y\n1\n2\n",
    "an index": ",a,y\n0,5,6\n1,7,8\n",
    "rows over lines": 'a,y\n"x\ny",1\n' * 1,
}


def said_of(source, target="nowhere"):
    with pytest.raises(DataError) as caught:
        check_target(str(source), target)
    return str(caught.value)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".CSV.zst"])
def test_every_column_of_a_file_is_found_and_no_other(tmp_path, name, suffix):
    data = TEXTS[name].encode()
    packed = {".gz": gzip.compress, ".zst": lambda d: pa.compress(d, "zstd", asbytes=True)}.get(suffix[4:])
    path = tmp_path / f"t{suffix}"
    path.write_bytes(packed(data) if packed else data)
    for column in load_table(str(path)).columns:
        check_target(str(path), column)
    assert said_of(path).startswith(f"{path}: no target column 'nowhere'; columns: ")


def test_parquet_and_tabs(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "y": [3, 4]}, index=[5, 6])
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    for name in ("t.parquet", "t.tsv"):
        check_target(str(tmp_path / name), "y")
        assert said_of(tmp_path / name).endswith("columns: 'a', 'y'")


def test_columns_that_cannot_be_told_apart_are_refused_as_by_reading_all(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,a\n1,2\n")
    with pytest.raises(DataLoadError) as caught:
        load_table(str(path))
    assert said_of(path) == str(caught.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.json", b'[{"a": 1}]'),
        ("t.csv", b"\xff\xfea,b\n"),
        ("t.csv", b"\n\n"),
        ("t.csv.gz", b"not packed"),
        ("t.csv.zst", b"not packed"),
        ("t.parquet", b"not parquet"),
        ("t.xlsx", b"something"),
        ("gone.csv", None),
    ],
)
def test_what_only_the_task_can_tell_is_left_to_it(tmp_path, name, data):
    if data is not None:
        Path(tmp_path, name).write_bytes(data)
    check_target(str(tmp_path / name), "y")


def test_what_lies_elsewhere_is_left_to_the_task():
    check_target("s3://bucket/t.csv", "y")
