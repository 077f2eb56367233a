"""Predicting where nothing is installed but NumPy and ONNX Runtime: every other import fails there."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ensembles import load_bundle
from tests.conftest import ROOT
from tests.quick import quick_model

ONLY_THESE = """
import json, os, sys

ALLOWED = {"numpy", "onnxruntime", *os.environ["ALSO"].split()}
OURS = set(os.environ["OURS"].split())

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ALLOWED | OURS or top.startswith("_"):
            return None
        raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Refuse())
"""
PREDICT = """
from ensembles import load_bundle

bundle = load_bundle(sys.argv[1])
if "pandas" in ALLOWED:
    import pandas
    rows = pandas.read_csv(sys.argv[2])
else:
    rows = json.load(open(sys.argv[2]))
found = bundle.predict(rows)
names = {name.partition(".")[0] for name in sys.modules}
assert "models" not in names, "what fits models is not needed to use them"
print(json.dumps({"mean": found.mean.tolist(), "total": found.total.tolist()}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A bundle of trees and a network on a number, a colour, a date and a truth value."""
    folder = tmp_path_factory.mktemp("standalone")
    noise = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": noise.normal(size=120).round(3),
            "colour": noise.choice(["red", "green"], 120),
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(noise.integers(0, 400, 120), "D"),
            "flag": noise.choice([True, False], 120),
        }
    )
    frame["y"] = frame["x"] + (frame["colour"] == "red")
    frame.loc[::9, "x"] = None
    frame["when"] = frame["when"].dt.strftime("%Y-%m-%d")
    frame.to_csv(folder / "table.csv", index=False)
    run = quick_model(folder, folder / "table.csv", families=("lightgbm", "dnn"))
    return folder, run / "bundle", frame.drop(columns="y")


COMMAND = """
from cli import main
main()
"""
PANDAS = "pandas dateutil pytz six tzdata pyarrow"
TYPER = "typer click rich shellingham markdown_it mdurl pygments annotated_doc"
PYDANTIC = "pydantic pydantic_core annotated_types typing_extensions typing_inspection"  # typer needs it
OURS = " ".join([*(p.parent.name for p in ROOT.glob("*/__init__.py")), *(p.stem for p in ROOT.glob("*.py"))])


def run(code, *arguments, also=""):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", ONLY_THESE + code, *map(str, arguments)],
        cwd=ROOT,
        env=environment | {"ALSO": also, "OURS": OURS},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_records_need_numpy_and_onnxruntime_only(model):
    folder, bundle, frame = model
    records = frame.head(20).astype(object).where(frame.head(20).notna(), None).to_dict("records")
    (folder / "rows.json").write_text(json.dumps(records))
    found = json.loads(run(PREDICT, bundle, folder / "rows.json"))
    expected = load_bundle(bundle).predict(records)
    np.testing.assert_array_equal(found["mean"], expected.mean)
    np.testing.assert_array_equal(found["total"], expected.total)


def test_frames_need_pandas_besides(model):
    folder, bundle, frame = model
    frame.head(20).to_csv(folder / "rows.csv", index=False)
    found = json.loads(run(PREDICT, bundle, folder / "rows.csv", also=PANDAS))
    np.testing.assert_array_equal(found["mean"], load_bundle(bundle).predict(frame.head(20)).mean)


def test_the_command_needs_what_reads_tables_and_arguments_besides(model):
    folder, bundle, frame = model
    frame.head(20).to_csv(folder / "rows.csv", index=False)
    written = run(
        COMMAND, "predict", bundle, "--input", folder / "rows.csv", also=f"{PANDAS} {TYPER} {PYDANTIC}"
    )
    found = pd.read_csv(io.StringIO(written))["prediction"]
    np.testing.assert_allclose(found, load_bundle(bundle).predict(frame.head(20)).mean[:, 0])
