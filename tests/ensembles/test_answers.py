"""What goes in comes out: labels keep their type, and columns their names, from file to answer."""

import json

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from cli import app
from configs.schema import ServingConfig
from ensembles import load_bundle
from tests.quick import quick_model, write_table
from tests.serving.front import serve

N = 60
NAMES = ["연간 소득", 'a "quoted" \\ {name}.[0]', "two\nlines, <a> & 'b'", "x: y", "가입 {일}"]
LABELS = {
    "int": [3, 7],
    "bool": [True, False],
    "float": [2.5, 1.0],
    "text": ["없음", "None"],
    "text of an int": ["3", "7"],
    "text of a bool": ["True", "maybe"],
    "three ints": [3, -1, 12],
    "text of ints": ["3", "-1", "012"],
    "several types": [True, "maybe", 2.5],
}
# A CSV file has no types: what reads as a number there is one.
FILES = [(suffix, name) for suffix in ("csv", "json", "parquet") for name in LABELS]
FILES = [pair for pair in FILES if pair[0] == "json" or pair[1] != "several types"]
FILES = [pair for pair in FILES if pair[0] != "csv" or not pair[1].startswith("text of")]


def make_table(labels):
    rng = np.random.default_rng(0)
    place = np.arange(N) % len(labels)
    moments = pd.Timestamp("2024-01-01") + pd.to_timedelta(37 * np.arange(N) + 5 * place, unit="h")
    cells = [
        place + rng.normal(scale=0.1, size=N),
        rng.choice(["자가", 'w"s'], N),
        place * 1000,
        place > 0,
        moments,
    ]
    frame = pd.DataFrame(dict(zip(NAMES, cells, strict=True)))
    frame[NAMES[2]] = frame[NAMES[2]].map("{:,}".format)
    return frame.assign(y=pd.Series([labels[i] for i in place]))


def served(folder):
    return TestClient(serve(folder / "registry", "quick", folder, ServingConfig()))


@pytest.mark.parametrize(("suffix", "name"), FILES)
def test_labels_keep_their_type_from_file_to_answer(tmp_path, suffix, name):
    frame = make_table(LABELS[name])
    source = write_table(tmp_path / f"table.{suffix}", frame)
    run = quick_model(tmp_path, source)
    expected = frame["y"].tolist()
    if suffix == "csv" and name in (
        "bool",
        "float",
    ):  # what is written there is text, and stays as it is written
        expected = [str(label) for label in expected]
    rows = json.loads(frame.drop(columns="y").to_json(orient="records", date_format="iso"))
    with served(tmp_path) as client:
        answer = client.post("/api/ml/predict", json={"data": {"records": rows}})
    from_endpoint = [one["predicted_class"] for one in answer.json()["predictions"]]
    done = CliRunner().invoke(app, ["predict", str(run / "bundle"), "--input", str(source), "--json"])
    from_command = [row["prediction"] for row in json.loads(done.stdout)["rows"]]
    for found in (from_endpoint, from_command):
        assert found == expected
        assert [type(label) for label in found] == [type(label) for label in expected]
    written = tmp_path / "out.csv"
    CliRunner().invoke(
        app, ["predict", str(run / "bundle"), "--input", str(source), "--output", str(written)]
    )
    texts = pd.read_csv(written, dtype=str, keep_default_na=False)["prediction"].tolist()
    assert texts == [str(label) for label in expected]


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_names_of_any_kind_from_file_to_answer(tmp_path, suffix):
    frame = make_table(["a", "b"])
    quick_model(
        tmp_path, write_table(tmp_path / f"table.{suffix}", frame), families=("lightgbm", "xgboost", "dnn")
    )
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert list(bundle.encoder.column_names) == NAMES
    assert bundle.manifest["features"] == NAMES
    expected = bundle.predict(frame.drop(columns="y")).mean
    rows = json.loads(frame.drop(columns="y").to_json(orient="records", date_format="iso"))
    with served(tmp_path) as client:
        assert client.get("/api/ml/models").json()["models"][0]["features"] == NAMES
        values = [[row[name] for name in NAMES] for row in rows]
        for data in ({"records": rows}, {"features": values}):
            answer = client.post("/api/ml/predict", json={"data": data}).json()
            found = [[one["probabilities"][c] for c in "ab"] for one in answer["predictions"]]
            np.testing.assert_array_equal(found, expected)
        refused = client.post("/api/ml/predict", json={"data": {"records": [rows[0] | {NAMES[4]: "soon"}]}})
    assert refused.status_code == 422
    assert "column '가입 {일}': 'soon' is not a date" in refused.json()["detail"]
