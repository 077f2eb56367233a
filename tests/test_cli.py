"""Mistakes a user makes at the command line: one clear message, the right exit code, no traceback, nothing lost."""

import gzip
import json
import socket
import subprocess
import sys

import pandas as pd
import pytest

from cli import main
from tests.conftest import ROOT, tabularay

GOOD = pd.DataFrame({"a": range(60), "b": [i % 7 for i in range(60)], "y": [i % 2 for i in range(60)]})


def good(path):
    GOOD.to_csv(path, index=False)


def write(text):
    return lambda path: path.write_text(text, encoding="utf-8")


def frame(**columns):
    return lambda path: GOOD.assign(**columns).to_csv(path, index=False)


TABLES = {
    "missing file": (None, 3, "no such file"),
    "empty file": (write(""), 3, "empty"),
    "header only": (write("a,b,y\n"), 3, "row"),
    "target not in table": (lambda path: GOOD.drop(columns="y").to_csv(path, index=False), 3, "'y'"),
    "target constant": (frame(y=1), 3, "'y'"),
    "target all missing": (frame(y=None), 3, "'y'"),
    "one row per class": (frame(y=[f"c{i}" for i in range(60)]), 3, "'y'"),
    "duplicate column names": (write("a,a,y\n1,2,0\n3,4,1\n"), 3, "'a'"),
    "ragged rows": (write("a,b,y\n1,2,0\n1,2,3,4,5\n"), 3, "line"),
    "wrong encoding": (lambda path: path.write_bytes("채무,y\n1,0\n".encode() + b"\xff,1\n"), 3, "UTF-8"),
    "infinite values": (frame(a=[float("inf")] * 3 + [1.0] * 57), 3, "'a'"),
}


@pytest.mark.parametrize("name", TABLES)
def test_bad_tables(tmp_path, refuse, name):
    make, code, expected = TABLES[name]
    if make:
        make(tmp_path / "t.csv")
    refuse("tune", "data.source=t.csv", "data.target=y", code=code, expected=expected)


def test_column_of_lists(tmp_path, refuse):
    rows = [{"a": [1, 2], "y": i % 2} for i in range(60)]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    refuse("tune", "data.source=t.json", "data.target=y", code=3, expected="'a'")


def test_empty_and_damaged_gz(tmp_path, refuse):
    (tmp_path / "t.csv.gz").write_bytes(b"")
    refuse("tune", "data.source=t.csv.gz", "data.target=y", code=3, expected="empty")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,y\n1,0\n")[:-6])
    refuse("tune", "data.source=t.csv.gz", "data.target=y", code=3, expected="t.csv.gz")


@pytest.mark.parametrize(
    ("override", "code", "expected"),
    [
        ("families=[lightgbm,catboots]", 2, "catboots"),
        ("families=[lightgmb]", 2, "did you mean 'lightgbm'"),
        ("search.time_budget_s=0", 2, "greater than 0"),
        ("search.time_budget_s=9", 2, "got 9; allowed: 10 or more"),
        ("params.dnn.dropuot=0.1", 2, "dropout"),
        ("params.dnn.dropout=7", 2, "dropout"),
        ("params.lightgbm.num_leaves={low: 100, high: 10}", 2, "num_leaves"),
        ("params.lightgmb.num_leaves=3", 2, "did you mean 'lightgbm'"),
        ("data.ignore=[c]", 3, "'c'"),
        ("metric=rmse", 2, "rmse"),
        ("metric=acc", 2, "accuracy"),
        ("data.test_source=gone.csv", 3, "gone.csv"),
        ("cluster.address=127.0.0.1:1", 11, "127.0.0.1:1"),
        ("search.cpus_per_trial=64", 2, "64"),
    ],
)
def test_bad_settings(tmp_path, refuse, override, code, expected):
    good(tmp_path / "t.csv")
    refuse("tune", "data.source=t.csv", "data.target=y", override, code=code, expected=expected)
    assert not (tmp_path / "registry").exists()


@pytest.fixture
def refuse(tmp_path, monkeypatch, capsys):
    """Run a command in a folder; it must end with a code and a message, without a traceback."""

    def run(*arguments, code, expected, folder=tmp_path):
        monkeypatch.chdir(folder)
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        message = capsys.readouterr().err
        assert end.value.code == code, message
        assert expected in message
        assert "Traceback" not in message

    return run


def test_port_taken(binary_job, refuse):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refuse("serve", "binary", "--port", port, code=8, expected="in use", folder=binary_job.folder)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["predict", "nobody", "--input", "binary.csv"], 5, "'nobody'"),
        (["predict", "binray", "--input", "binary.csv"], 5, "did you mean 'binary'"),
        (["predict", "binary", "--input", "gone.csv"], 3, "gone.csv"),
        (["predict", "binary", "--input", "binary.csv", "--id-column", "key"], 3, "'key'"),
        (["predict", "binary", "--input", "binary.csv", "--output", "no/where.csv"], 2, "no/where.csv"),
        (["predict", "binary", "--input", "gone.csv", "--output", "out.xlsx"], 2, ".jsonl"),
        (["serve", "nobody"], 5, "'nobody'"),
        (["serve", "binary", "serving.prot=1"], 2, "serving.port"),
        (["models", "list", "nobody"], 5, "'nobody'"),
        (["models", "promote", "binary:9"], 5, "binary:9"),
        (["ensemble", "nobody"], 2, "'nobody'"),
        (["ensemble", "latest", "search.num_trials=3"], 2, "ensemble"),
        (["report", "nobody"], 2, "'nobody'"),
        (["report", "latest", "--output", "no/where.html"], 2, "no/where.html"),
    ],
)
def test_mistakes_with_models(binary_job, refuse, arguments, code, expected):
    refuse(*arguments, code=code, expected=expected, folder=binary_job.folder)


@pytest.mark.parametrize("command", ["tune", "ensemble", "report", "track", "models", "predict", "serve"])
def test_help_shows_an_example(tmp_path, command):
    done = tabularay(command, "--help", cwd=tmp_path)
    assert f"tabularay {command}" in done.stdout.split("Examples")[1]


def test_models_lists_what_is_registered(binary_job):
    rows = json.loads(tabularay("models", "--json", cwd=binary_job.folder).stdout)
    assert [(r["model_id"], r["aliases"]) for r in rows] == [("binary:1", ["production"])]
    assert "binary:1" in tabularay("models", cwd=binary_job.folder).stdout


def test_predict_prints_csv_or_json(binary_job):
    plain = tabularay(
        "predict", "binary:1", "--input", "binary.csv", "--uncertainty", cwd=binary_job.folder
    ).stdout
    assert plain.splitlines()[0] == (
        "prediction,probability_benign,probability_malignant,"
        "uncertainty_total,uncertainty_aleatoric,uncertainty_epistemic"
    )
    assert len(plain.splitlines()) == 1 + len(binary_job.frame)
    rows = json.loads(
        tabularay("predict", "binary", "--input", "binary.csv", "--json", cwd=binary_job.folder).stdout
    )
    assert len(rows["rows"]) == len(binary_job.frame)
    assert rows["rows"][0]["prediction"] in {"benign", "malignant"}


def test_json_stands_alone_whatever_else_writes_to_the_standard_output():
    code = (
        "import os, sys, subprocess; from printing import json_only, print_json; json_only(True); "
        "print('a library'); os.write(1, b'written in C'); subprocess.run(['echo', 'a child']); print_json({'a': 1})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert json.loads(done.stdout) == {"a": 1}
    assert all(said in done.stderr for said in ("a library", "written in C", "a child"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tune", "data.source=t.csv", "data.target=y", "--runs", "there"], "runs=there"),
        (["tune", "--resume", "latest", "--config-dir", "presets"], "--config-dir presets"),
        (["jobs", "--runs", "s3://bucket/runs"], "allowed: a folder"),
        (["tune", "data.source=t.csv", "data.target=y", "runs=s3://bucket/runs"], "allowed: a folder"),
        (["tune", "data.source=t.csv", "data.target=y", "serving.port=1"], "tabularay serve"),
        (["tune", "data.source=t.csv", "data.target=y", "time_budget=60"], "search.time_budget_s"),
        (["inspect", "t.csv", "search.num_trials=3"], "data.*"),
    ],
)
def test_what_nothing_uses_is_refused(tmp_path, refuse, arguments, expected):
    good(tmp_path / "t.csv")
    refuse(*arguments, code=2, expected=expected)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
