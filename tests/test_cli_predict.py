"""`predict`: where its answers go, and what goes with them."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from cli import app
from data.sources import load_table
from tests.quick import quick_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    rows = [f"{i:03d},{i % 7},{'yes' if i % 7 > 3 else 'no'},note {i}" for i in range(60)]
    (folder / "table.csv").write_text("\n".join(["code,b,y,prediction", *rows]) + "\n")
    quick_model(folder, folder / "table.csv", ignore=("code", "prediction"))
    return folder


@pytest.fixture
def predict(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def call(*arguments):
        done = CliRunner().invoke(app, ["predict", "quick", "--input", "table.csv", *arguments])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return call


@pytest.mark.parametrize("suffix", [".csv", ".tsv.gz", ".json", ".jsonl.zst", ".parquet"])
def test_the_output_is_what_its_suffix_says(folder, predict, suffix):
    predict("--output", f"out{suffix}", "--interval", "0.9")
    found = load_table(str(folder / f"out{suffix}"))
    assert found.columns.tolist() == ["prediction", "prediction_set", "probability_no", "probability_yes"]
    assert len(found) == 60
    assert not list(folder.glob(".out*"))


def test_all_columns_are_kept_as_they_were_written(predict):
    done = predict("--keep-columns", "--explain")
    lines = done.stdout.splitlines()
    names = "code,b,y,input_prediction,prediction,probability_no,probability_yes,explained_class,base_value"
    assert lines[0] == f"{names},contribution_b,contribution_error"
    assert lines[1].startswith("000,0,no,note 0,no,")
    assert "'input_prediction'" in done.stderr


def test_json_says_the_same_digits_as_csv(predict):
    rows = json.loads(predict("--json").stdout)["rows"]
    lines = predict().stdout.splitlines()[1:]
    assert [str(row["probability_yes"]) for row in rows] == [line.split(",")[2] for line in lines]


def test_ctrl_c_leaves_no_file(folder, predict, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_csv", interrupted)
    assert predict("--output", "cut.csv").exit_code in (1, 130)
    assert not [path.name for path in folder.iterdir() if "cut" in path.name]
