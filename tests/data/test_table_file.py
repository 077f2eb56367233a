"""A table is written as its file's suffix says, as a whole or not at all, and reads back as what it was."""

import errno
import json
import math
import os
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.kept import beside_answers, check_ids
from data.sources import load_table
from data.table_file import check_table_file, csv_text, json_rows, write_table
from data.whole_file import whole_file
from errors import ConfigError, DataError

FRAME = pd.DataFrame(
    {
        "이름": ['a, "b"', "줄\n바꿈", None],
        "x": [0.1 + 0.2, 1e-300, math.nan],
        "n": [2**53 + 1, -1, 0],
        "ok": [True, False, True],
        "at": pd.to_datetime(["2024-01-31", "2024-02-29 12:30", None], format="mixed"),
        "set": [["a", "나"], [], [1]],
    }
)
TEXTS = [
    f"{kind}{packing}" for kind in (".csv", ".tsv", ".json", ".jsonl") for packing in ("", ".gz", ".zst")
]


@pytest.mark.parametrize("suffix", [*TEXTS, ".parquet", ".CSV", ".Json.GZ"])
def test_every_suffix_reads_back(tmp_path, suffix):
    path = tmp_path / f"out.v2{suffix}"
    write_table(FRAME.drop(columns="set"), path)
    found = load_table(str(path))
    assert found.columns.tolist() == ["이름", "x", "n", "ok", "at"]
    assert found["이름"].fillna("").tolist() == ['a, "b"', "줄\n바꿈", ""]
    assert float(found["x"].iloc[0]) == 0.1 + 0.2
    assert int(found["n"].iloc[0]) == 2**53 + 1
    assert found["x"].isna().tolist() == [False, False, True]
    assert [path.name] == os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "magic"),
    [(".csv.gz", b"\x1f\x8b"), (".jsonl.zst", b"\x28\xb5\x2f\xfd"), (".parquet", b"PAR1")],
)
def test_the_bytes_are_what_the_suffix_says(tmp_path, suffix, magic):
    write_table(FRAME, tmp_path / f"out{suffix}")
    assert (tmp_path / f"out{suffix}").read_bytes().startswith(magic)


def test_json_keeps_digits_types_and_lists(tmp_path):
    write_table(FRAME, tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert rows == json_rows(FRAME)
    assert rows[0] == {
        "이름": 'a, "b"',
        "x": 0.30000000000000004,
        "n": 2**53 + 1,
        "ok": True,
        "at": "2024-01-31T00:00:00",
        "set": ["a", "나"],
    }
    assert rows[2]["이름"] is rows[2]["x"] is rows[2]["at"] is None
    write_table(FRAME, tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_what_json_and_parquet_have_no_type_for_becomes_text(tmp_path):
    odd = pd.DataFrame({"mixed": [True, "maybe", 2.5], "z": [math.inf, 1.0, None]})
    assert json_rows(odd) == [
        {"mixed": True, "z": None},
        {"mixed": "maybe", "z": 1.0},
        {"mixed": 2.5, "z": None},
    ]
    write_table(odd, tmp_path / "out.parquet")
    assert pd.read_parquet(tmp_path / "out.parquet")["mixed"].tolist() == ["True", "maybe", "2.5"]


def test_a_table_longer_than_a_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("data.table_file.PIECE_ROWS", 7)
    frame = pd.DataFrame({"a": range(20), "b": [[i] for i in range(20)]})
    for suffix in (".csv", ".json", ".jsonl.gz"):
        write_table(frame, tmp_path / f"t{suffix}")
    assert load_table(str(tmp_path / "t.csv"))["a"].astype(int).tolist() == list(range(20))
    assert len(json.loads((tmp_path / "t.json").read_text())) == 20
    assert load_table(str(tmp_path / "t.jsonl.gz"))["a"].tolist() == list(range(20))
    assert csv_text(frame.iloc[:0]) == "a,b\n"


@pytest.mark.parametrize(
    "name", ["out", "out.xlsx", "out.txt", "csv", "out.parquet.gz", "out.csv.bz2", "out.gz", "-", "out.csv."]
)
def test_another_suffix_is_refused_with_what_is_allowed(tmp_path, name):
    with pytest.raises(ConfigError, match=r"allowed: \.csv, \.tsv, .*\.gz or \.zst.*\.parquet"):
        check_table_file(tmp_path / name)


def test_a_place_where_nothing_can_be_written_is_found_before_the_work(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        check_table_file(tmp_path / "folder.csv")
    with pytest.raises(ConfigError, match="no such folder"):
        check_table_file(tmp_path / "gone" / "t.csv")


@pytest.mark.parametrize(
    "end", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device"), RuntimeError]
)
def test_what_ends_the_writing_leaves_nothing_and_the_old_file(tmp_path, end):
    path = tmp_path / "t.csv"
    path.write_text("old")

    def half():
        with whole_file(path, "--output") as file:
            file.write(b"half")
            raise end

    with pytest.raises(ConfigError if isinstance(end, OSError) else end):
        half()
    assert os.listdir(tmp_path) == ["t.csv"]
    assert path.read_text() == "old"


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\n1\n"


def test_kept_columns_stay_as_they_are_written(tmp_path):
    (tmp_path / "t.csv").write_text('id,price,prediction,input_prediction\n007,"1.234,50",old,x\n08,NA,,y\n')
    table = load_table(str(tmp_path / "t.csv"))
    answers = pd.DataFrame({"prediction": [1.5, 2.5], "uncertainty_total": [0.1, 0.2]})
    frame, notes = beside_answers(table, answers, ["price"], keep=True)
    kept = ["price", "id", "input_input_prediction", "input_prediction"]
    assert frame.columns.tolist() == [*kept, "prediction", "uncertainty_total"]
    assert csv_text(frame).splitlines()[1:] == ['"1.234,50",007,old,x,1.5,0.1', "NA,08,,y,2.5,0.2"]
    assert len(notes) == 1
    assert "'prediction' of the table is written as 'input_input_prediction'" in notes[0]


def test_ids_alone_are_not_renamed():
    table = pd.DataFrame({"prediction": ["a"], "id": [3]})
    answers = pd.DataFrame({"prediction": [1.0]})
    frame, notes = beside_answers(table, answers, ["id", "id"], keep=False)
    assert (frame.columns.tolist(), notes) == (["id", "prediction"], [])
    with pytest.raises(
        DataError, match=r"'prediction': the answer has a column of that name.*--keep-columns"
    ):
        beside_answers(table, answers, ["prediction"], keep=False)
    with pytest.raises(DataError, match=r"'idd': no such column.*did you mean 'id'"):
        check_ids(table, ["idd"])


def test_names_of_rows_are_kept_too(tmp_path):
    (tmp_path / "t.csv").write_text(",a,b\nfirst,1,2\nsecond,3,4\n")
    table = load_table(str(tmp_path / "t.csv"))
    assert table.columns.tolist() == ["a", "b"]
    frame, _ = beside_answers(table, pd.DataFrame({"prediction": [0, 1]}), [], keep=True)
    assert csv_text(frame) == "index,a,b,prediction\nfirst,1,2,0\nsecond,3,4,1\n"


def test_parquet_keeps_types(tmp_path):
    write_table(FRAME, tmp_path / "t.parquet")
    types = {f.name: str(f.type) for f in pq.read_schema(tmp_path / "t.parquet")}
    assert (types["x"], types["n"], types["ok"]) == ("double", "int64", "bool")
    assert types["at"].startswith("timestamp")


def test_decimals_are_copied_as_they_are_written(tmp_path):
    exact = [Decimal("12345678901234567890.12") + i for i in range(4)]
    columns = {"id": pa.array(exact, pa.decimal128(38, 2)), "p": pa.array([Decimal("1.10")] * 4)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = load_table(str(tmp_path / "t.parquet"))
    assert table["p"].tolist() == [1.1] * 4
    frame, _ = beside_answers(table, pd.DataFrame({"prediction": range(4)}), ["id", "p"], keep=False)
    assert frame["id"].tolist() == [str(value) for value in exact]
    assert frame["p"].tolist() == ["1.10"] * 4
