"""Ours, AutoGluon (best_quality), FLAML (with its ensemble) and LightGBM as it comes, in equal time on equal rows.

    python -m benchmarks.automl --seconds 300 FILE:TARGET FILE:TARGET:IGNORED,COLUMNS
    python -m benchmarks.automl --contenders ours --runs kept FILE:TARGET          our run stays in kept/FILE

The split is scikit-learn's train_test_split (a fifth, random_state 0, stratified for classes). One contender at a
time has both cores. The peers get virtual environments of their own, made on the first use in --environments.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from data.metrics import default_metric, score
from data.sources import load_table

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "autogluon": ["torch==2.13.0", "autogluon.tabular[catboost,lightgbm,xgboost,fastai,ray]==1.6.3"],
    "flaml": ["flaml[automl]", "scikit-learn<1.8"],
    "lightgbm": ["lightgbm>=4.7,<5", "scikit-learn", "pandas"],
}


class PeerError(Exception):
    """A peer ended without a model."""


@dataclass(frozen=True)
class Table:
    """A table, divided.

    Attributes:
        folder: Holds train.csv and test.csv.
        target: Column to predict.
        problem_type: binary, multiclass or regression.
        classes: Its labels in order; empty for numbers.
        y: Test targets as the metrics take them, (n_test,).
    """

    folder: Path
    target: str
    problem_type: str
    classes: list[Any]
    y: np.ndarray


def main() -> None:
    """Print one line per table and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="FILE:TARGET[:IGNORED,...]")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--contenders", nargs="+", default=["ours", *PACKAGES], choices=["ours", *PACKAGES])
    parser.add_argument("--runs", type=Path, help="folder in which our runs are kept")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache/tabularay-benchmarks")
    given = parser.parse_args()
    for text in given.tables:
        source, target, *ignored = text.split(":")
        with tempfile.TemporaryDirectory() as name:
            table = divide(Path(name), source, target, ignored[0].split(",") if ignored else [])
            for who in given.contenders:
                runs = (given.runs or Path(name)).resolve() / Path(source).name
                try:
                    found = ours(table, given.seconds, runs) if who == "ours" else peer(who, table, given)
                except PeerError as error:
                    print(f"{Path(source).name:32s} {who:10s} failed: {error}", flush=True)
                else:
                    say(Path(source).name, who, table, found)


def divide(folder: Path, source: str, target: str, ignored: list[str]) -> Table:
    """Divide a table and write both parts."""
    frame = load_table(source).drop(columns=ignored).dropna(subset=[target])
    values = frame[target]
    is_number = pd.api.types.is_float_dtype(values) or values.nunique() > 50  # noqa: PLR2004
    train, test = train_test_split(
        frame, test_size=0.2, random_state=0, stratify=None if is_number else values
    )
    for name, part in (("train", train), ("test", test)):
        part.to_csv(folder / f"{name}.csv", index=False)
    if is_number:
        return Table(folder, target, "regression", [], test[target].to_numpy(float))
    classes = sorted(values.unique().tolist())
    problem_type = "binary" if len(classes) == 2 else "multiclass"  # noqa: PLR2004
    y = test[target].map({c: i for i, c in enumerate(classes)}).to_numpy()
    return Table(folder, target, problem_type, classes, y)


def ours(table: Table, seconds: float, runs: Path) -> dict[str, Any]:
    """What a user would type."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"}

    def tabularay(*words: str) -> str:
        command = [sys.executable, "-m", "cli", *words]
        done = subprocess.run(
            command, cwd=table.folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return done.stdout

    start = time.time()
    job = [
        "data.source=train.csv",
        f"data.target={table.target}",
        f"search.time_budget_s={seconds}",
        f"runs={runs}",
    ]
    result = json.loads(tabularay("tune", *job, f"problem_type={table.problem_type}", "--json"))
    fit_s, start = time.time() - start, time.time()
    tabularay("predict", result["bundle"], "--input", "test.csv", "--output", "answers.csv")
    predict_s = time.time() - start
    answers = pd.read_csv(table.folder / "answers.csv")
    columns = [f"probability_{c}" for c in table.classes] or ["prediction"]
    one_row = _one_row_ms(table.folder / result["bundle"], pd.read_csv(table.folder / "test.csv"))
    return {"P": answers[columns].to_numpy(), "fit_s": fit_s, "predict_s": predict_s, "one_row_ms": one_row}


def _one_row_ms(bundle: Path, test: pd.DataFrame) -> float:
    from ensembles import load_bundle  # noqa: PLC0415 - after the sweep

    model = load_bundle(bundle)
    times = []
    for i in range(20):
        row = test.iloc[i : i + 1]
        start = time.time()
        model.predict(row)
        times.append(time.time() - start)
    return 1000 * float(np.median(times))


def peer(who: str, table: Table, given: argparse.Namespace) -> dict[str, Any]:
    """Run a peer in its own environment."""
    folder = given.environments.expanduser() / who
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        for package in PACKAGES[who]:
            subprocess.run([folder / "bin/pip", "install", "--quiet", package], check=True)
        (folder / "ready").touch()
    order = {
        "train": str(table.folder / "train.csv"),
        "test": str(table.folder / "test.csv"),
        "target": table.target,
        "problem_type": table.problem_type,
        "classes": table.classes,
        "seconds": given.seconds,
        "out": str(table.folder / f"{who}.npz"),
    }
    path = table.folder / "order.json"
    path.write_text(json.dumps(order), "utf-8")
    peer_file = Path(__file__).with_name("peer.py")
    done = subprocess.run(
        [folder / "bin/python", peer_file, who, path],
        cwd=table.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PeerError(done.stderr.strip().rpartition("\n")[2])
    return dict(np.load(order["out"]))


def say(name: str, who: str, table: Table, found: dict[str, Any]) -> None:
    """Print a contender's scores and times."""
    metrics = dict.fromkeys([default_metric(table.problem_type), "rmse" if not table.classes else "log_loss"])
    if table.classes:
        metrics |= {"roc_auc": None}
    P = np.asarray(found["P"], float)
    scores = ", ".join(f"{m} {score(m, table.y, P):.5g}" for m in metrics)
    print(
        f"{name:32s} {who:10s} {scores}; fit {float(found['fit_s']):.0f} s, all test rows "
        f"{float(found['predict_s']):.2f} s, one row {float(found['one_row_ms']):.2f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
