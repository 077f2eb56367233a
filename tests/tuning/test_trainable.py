import time

import numpy as np
import pytest

from data.splits import Split, assign_folds, assign_holdout
from models.trials import read_trial, write_trial
from tests.models.tables import QUICK, make_rows, make_task
from tuning.trainable import FoldTrainable, SweepData

N = 240


def run(folder, family, folds, split="time", seconds=None):
    """All folds of one trial, in this process; the rows and the trial as it was stored."""
    X, y = make_rows("regression", N)
    n_folds = int(folds.max()) + 1
    end = None if seconds is None else time.time() + seconds
    data = SweepData(X, y, folds, n_folds, split, make_task("regression"), "rmse", folder, end, 1, 0.0)
    config = {"number": 0, "family": family, "params": QUICK[family], "seed": 0, "limit_s": None}
    trainable = FoldTrainable.__new__(FoldTrainable)
    trainable.setup(config, data)
    results = [trainable.step() for _ in range(n_folds)]
    assert [r["done"] for r in results] == [False] * (n_folds - 1) + [True]
    facts = config | {"origin": "portfolio", "state": "completed"}
    write_trial(trainable.path, facts)
    return X, y, read_trial(trainable.path)


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
