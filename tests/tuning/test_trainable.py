import time

import numpy as np
import pytest

from data.splits import Split, assign_folds, assign_holdout
from errors import DeviceMemoryError
from models.trials import read_trial, write_trial
from tests.models.tables import QUICK, make_rows, make_task
from tuning.folds import SweepData
from tuning.trainable import FoldTrainable

N = 240
CONFIG = {"number": 0, "seed": 0, "limit_s": None, "cpus": 1, "gpus": 0.0}


def run(folder, family, folds, split="time", seconds=None):
    """All folds of one trial, in this process; the rows and the trial as it was stored."""
    X, y = make_rows("regression", N)
    n_folds = int(folds.max()) + 1
    end = None if seconds is None else time.time() + seconds
    data = SweepData(X, y, folds, n_folds, split, make_task("regression"), "rmse", folder, end)
    config = CONFIG | {"family": family, "params": QUICK[family]}
    trainable = FoldTrainable.__new__(FoldTrainable)
    trainable.setup(config, data)
    results = [trainable.step() for _ in range(n_folds)]
    assert [r["done"] for r in results] == [False] * (n_folds - 1) + [True]
    facts = {key: config[key] for key in ("number", "family", "params", "seed")} | {
        "origin": "portfolio",
        "state": "completed",
    }
    write_trial(trainable.job.path, facts)
    return X, y, read_trial(trainable.job.path)


def in_time(n_folds):
    return assign_folds(Split("time", np.zeros(N, dtype=np.int64), np.arange(N) % 120), n_folds)


def rmse(y, prediction):
    return float(np.sqrt(np.mean((y - prediction.mean[:, 0]) ** 2)))


@pytest.mark.parametrize("family", ["lightgbm", "xgboost", "dnn"])
def test_in_time_the_last_model_is_refitted_on_every_row(tmp_path, family):
    folds = in_time(2)
    X, y, trial = run(tmp_path, family, folds)
    first, last = (folds == k for k in range(2))
    # The scores are those of models that had not seen the fold, and so is what is kept of them.
    assert trial.oof(folds).shape == ((folds >= 0).sum(), 1)
    oof = np.full(N, np.nan)
    oof[folds >= 0] = trial.oof(folds)[:, 0]
    for k, rows in enumerate((first, last)):
        assert np.sqrt(np.mean((oof[rows] - y[rows]) ** 2)) == pytest.approx(trial.folds[k].score, rel=1e-5)
    assert rmse(y[first], trial.load_model(0).predict(X[first])) == pytest.approx(
        trial.folds[0].score, rel=1e-4
    )
    assert rmse(y[last], trial.load_model(1).predict(X[last])) < trial.folds[1].score
    assert [record.fold for record in trial.final_folds("time")] == [1]


@pytest.mark.parametrize("split", ["random", "group"])
def test_otherwise_every_model_stays_as_it_was_scored(tmp_path, split):
    folds = assign_holdout(Split("random", np.zeros(N, dtype=np.int64)), 0.3, "data.val_size")
    X, y, trial = run(tmp_path, "lightgbm", folds, split)
    rows = folds == 0
    assert rmse(y[rows], trial.load_model(0).predict(X[rows])) == pytest.approx(
        trial.folds[0].score, rel=1e-4
    )
    assert trial.final_folds(split) == trial.folds


def test_a_deadline_holds_for_the_refit_too(tmp_path):
    folds = in_time(3)
    started = time.time()
    _, _, trial = run(tmp_path, "dnn", folds, seconds=4.0)
    assert time.time() - started < 6.0
    assert len(trial.folds) == 3


def begin(folder, params, n_folds=4, family="lightgbm", end=None):
    X, y = make_rows("regression", N)
    data = SweepData(
        X, y, np.arange(N) % n_folds, n_folds, "random", make_task("regression"), "rmse", folder, end
    )
    trainable = FoldTrainable.__new__(FoldTrainable)
    trainable.setup(CONFIG | {"family": family, "params": params}, data)
    return trainable


def test_folds_that_a_dead_worker_left_are_not_fitted_again(tmp_path):
    first = begin(tmp_path, QUICK["lightgbm"])
    results = [first.step(), first.step()]
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("fold_*/*")}
    second = begin(tmp_path, QUICK["lightgbm"])
    # Whether the trial may go on can still be undecided, so what is there is reported before the next fold begins.
    again = second.step()
    assert (again["n_folds"], again["done"]) == (2, False)
    assert again["scores"] == results[1]["scores"]
    assert not (tmp_path / "0000-lightgbm" / "fold_2").exists()
    third = second.step()
    assert third["n_folds"] == 3
    assert third["scores"][:2] == results[1]["scores"]
    assert [f["fold"] for f in third["folds"]] == [0, 1, 2]
    assert third["spent_s"] > sum(f["total_s"] for f in results[1]["folds"])
    assert {p: p.stat().st_mtime_ns for p in files} == files
    assert second.step()["done"]
    over = begin(tmp_path, QUICK["lightgbm"]).step()
    assert over["done"]
    assert over["n_folds"] == 4


def test_half_a_fold_is_fitted_again(tmp_path):
    begin(tmp_path, QUICK["lightgbm"]).step()
    torn = tmp_path / "0000-lightgbm" / ".fold_1.new"
    (torn / "model").mkdir(parents=True)
    (torn / "fold.json").write_text("{")
    second = begin(tmp_path, QUICK["lightgbm"])
    assert [second.step()["n_folds"] for _ in range(2)] == [1, 2]
    assert not torn.exists()


def test_a_failing_fit_ends_the_trial_with_its_error_and_keeps_the_worker(tmp_path):
    trainable = begin(tmp_path, {"num_leaves": -5})
    result = trainable.step()
    assert result["done"]
    assert result["n_folds"] == 0
    assert "num_leaves" in result["error"]
    trainable.reset_config(CONFIG | {"number": 1, "family": "lightgbm", "params": QUICK["lightgbm"]})
    assert trainable.step()["n_folds"] == 1


def test_what_has_no_time_to_begin_ends_without_a_fold(tmp_path):
    result = begin(tmp_path, QUICK["lightgbm"], end=time.time() - 1).step()
    assert result["done"]
    assert result["n_folds"] == 0
    assert result["error"] == ""


def test_out_of_gpu_memory_is_tried_once_more_with_half_the_batch(tmp_path, monkeypatch):
    from models.dnn import DNN

    fit, asked = DNN.fit.__func__, []

    def hungry(cls, params, task, fold, context):
        asked.append(params["batch_size"])
        if params["batch_size"] > enough:
            raise DeviceMemoryError("Tried to allocate 8 GiB")
        return fit(cls, params, task, fold, context)

    monkeypatch.setattr(DNN, "fit", classmethod(hungry))
    enough = 32
    trainable = begin(tmp_path, QUICK["dnn"] | {"batch_size": 64}, family="dnn")
    result = trainable.step()
    assert result["n_folds"] == 1
    assert asked == [64, 32]
    assert "half the batch" in result["folds"][0]["fit_end"]
    enough = 16
    failed = trainable.step()
    assert asked == [64, 32, 64, 32]
    assert "Tried to allocate" in failed["error"]
