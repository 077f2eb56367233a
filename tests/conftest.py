"""Real small models shared by the tests: one sweep per problem type, made once per test run."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "TABULARAY_"))} | {
    "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])),
    "WANDB_MODE": "offline",
}
FAMILIES = ("lightgbm", "xgboost", "dnn", "mc_dropout", "bnn")


def tabularay(*arguments, cwd, check=True, timeout=300, environment=ENVIRONMENT):
    """Run the command as a user would, from a folder of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if check and done.returncode:
        pytest.fail(f"tabularay {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stderr}")
    return done


@dataclass(frozen=True)
class Job:
    """A finished job: where it ran, its table, and what it printed."""

    folder: Path
    source: Path
    target: str
    frame: pd.DataFrame
    result: dict

    @property
    def bundle(self):
        return Path(self.folder, self.result["bundle"])

    @property
    def run(self):
        return Path(self.result["run"])


def binary_table():
    """Breast cancer, with labels in words, a categorical column, holes, and column names beyond ASCII."""
    frame = load_breast_cancer(as_frame=True).frame
    frame = frame[
        ["mean radius", "mean texture", "mean smoothness", "worst area", "worst concavity", "target"]
    ]
    frame["종류"] = pd.cut(frame["mean radius"], 4, labels=["small", "medium", "large", "huge"]).astype(str)
    frame.loc[::7, "mean texture"] = None
    frame.loc[::11, "종류"] = None
    frame["id"] = range(1000, 1000 + len(frame))
    frame["target"] = frame["target"].map({0: "malignant", 1: "benign"})
    return frame


def multiclass_table():
    return load_wine(as_frame=True).frame


def regression_table():
    return load_diabetes(as_frame=True).frame


TABLES = {"binary": binary_table, "multiclass": multiclass_table, "regression": regression_table}


def run_job(folder, problem_type, *overrides):
    frame = TABLES[problem_type]()
    source = folder / f"{problem_type}.csv"
    frame.to_csv(source, index=False)
    done = tabularay(
        "tune",
        f"data.source={source.name}",
        "data.target=target",
        "data.ignore=[id]" if "id" in frame else "data.ignore=[]",
        "data.test_size=0.25",
        "data.n_folds=3",
        "--json",
        *overrides,
        cwd=folder,
    )
    return Job(folder, source, "target", frame, json.loads(done.stdout))


@pytest.fixture(scope="session", params=list(TABLES))
def job(request, tmp_path_factory):
    """A sweep of seven trials over all five families, for each problem type."""
    quick = [f"params.{family}.epochs=8" for family in ("dnn", "mc_dropout", "bnn")]
    return run_job(tmp_path_factory.mktemp(request.param), request.param, "search.num_trials=7", *quick)


@pytest.fixture(scope="session")
def binary_job(tmp_path_factory):
    """A quick sweep without the networks that draw."""
    folder = tmp_path_factory.mktemp("quick")
    return run_job(
        folder, "binary", "families=[lightgbm,xgboost,dnn]", "search.num_trials=4", "tracking=none"
    )
