"""A run directory whose event file is written by hand, as a sweep would."""

import json
import time

import numpy as np

from configs.load import load_config
from tuning.runs import create_run

FACTS = {
    "rows": 100,
    "features": 4,
    "n_folds": 2,
    "problem_type": "binary",
    "metric": "roc_auc",
    "mode": "max",
    "families": ["dnn", "bnn"],
    "slots": 2,
    "num_trials": 3,
    "time_budget_s": None,
}
FINDINGS = [
    {"code": "leak", "columns": ["email"], "message": "'email' (AUC 1.000) predicts 'y' nearly alone"},
    {"code": "many_missing", "columns": ["a", "b"], "message": "more than half of the rows have no value"},
]
PARAMS = {0: {"lr": 0.1, "n_blocks": 2}, 1: {"lr": 0.2, "n_blocks": 3}, 2: {"lr": 0.3, "n_blocks": 1}}
FAMILY = {0: "dnn", 1: "bnn", 2: "dnn"}


def make_run(folder, *overrides):
    """A new run; offline unless told."""
    source = ["data.source=churn.csv", "data.target=y", f"runs={folder}", "families=[dnn,bnn]"]
    patient = ["tracking.mode=offline", "tracking.finish_timeout_s=90"]
    return create_run(load_config([*source, *patient, *overrides]))


def begin(run, event="sweep"):
    run.log(event, run=run.name, started=time.time(), **FACTS)


def start(run, number):
    facts = {"family": FAMILY.get(number, "dnn"), "params": PARAMS.get(number, {"lr": 0.5}), "seed": number}
    run.log("trial", number=number, **facts, origin="tpe" if number else "portfolio", why="turn")


def fold(run, number, fold):
    values = {"fold_score": 0.5 + 0.1 * fold, "score": 0.5 + 0.05 * fold, "fit_s": 1.0, "total_s": 1.5}
    run.log("fold", number=number, fold=fold, **values, began=0.0, worker=1, node="n", fit_end="done")


def end(run, number, n_folds=2, state="completed", reason="all folds finished"):
    score = 0.5 + 0.05 * (n_folds - 1) if n_folds else float("nan")
    run.log(
        "end",
        number=number,
        state=state,
        reason=reason,
        score=score,
        n_folds=n_folds,
        fit_s=2.0,
        wall_s=3.0,
    )


def trial(run, number, n_folds=2, **options):
    start(run, number)
    for k in range(n_folds):
        fold(run, number, k)
    end(run, number, n_folds, **options)


def summary(run, oof=0.61):
    from PIL import Image

    image = Image.fromarray(np.zeros((4, 4, 3), dtype="uint8"))
    image.save(run.figures / "member_weights.png")
    board = [
        {"trial": "0000-dnn", "roc_auc": 0.6, "weight": 1.0},
        {"trial": "0001-bnn", "roc_auc": None, "weight": 0.0},
    ]
    scores = {"oof": oof, "test.ensemble.roc_auc": 0.62, "best_single": "0000-dnn"}
    said = {"findings": FINDINGS, "doubts": ["'email' is suspected to give the target away"]}
    run.log("summary", config=run.config().model_dump(mode="json"), leaderboard=board, scores=scores, **said)


def bundle(run, name="churn rate", size=10):
    """What trackers look at of a bundle."""
    (run.bundle / "deep").mkdir(parents=True, exist_ok=True)
    manifest = {"name": name, "bundle_id": "ab12", "scores": {"oof": 0.61}}
    (run.bundle / "manifest.json").write_text(json.dumps(manifest))
    (run.bundle / "card.md").write_text("# churn")
    (run.bundle / "deep" / "model.onnx").write_bytes(b"x" * size)


def whole_sweep(run):
    """Three trials: complete, failed in its second fold, and failed at once."""
    begin(run)
    trial(run, 0)
    trial(run, 1, 1, state="failed", reason="ValueError: no")
    trial(run, 2, 0, state="failed", reason="the worker died")
    summary(run)
