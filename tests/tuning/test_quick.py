"""The first model of a sweep with a time budget."""

import json
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from ray.tune.search import Searcher

from configs.load import load_config
from errors import ConfigError
from models.trials import read_trials
from tests.tuning.test_searcher import make, simulate
from tuning.budget import Budget
from tuning.cost import ROUNDS, least_trial_s, quick_size
from tuning.plan import plan_sweep
from tuning.quick import fit_quick, log_quick
from tuning.runs import create_run
from tuning.searcher import QUICK

N = 400


def plan(folder, *overrides, n_classes=2):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 3))
    y = (x[:, 0] * n_classes).round().astype(int) % n_classes
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["when"] = pd.date_range("2020-01-01", periods=N, freq="h")
    frame["y"] = [f"c{k}" for k in y]
    frame.to_csv(folder / "t.csv", index=False)
    given = [f"data.source={folder / 't.csv'}", "data.target=y", f"runs={folder}", *overrides]
    return plan_sweep(load_config([*given, "search.time_budget_s=60"]))


def quick(folder, *overrides, total_s=60.0, **options):
    planned = plan(folder, *overrides, **options)
    run = create_run(planned.config)
    return run, planned, fit_quick(run, planned, Budget(time.time(), total_s))


@pytest.mark.parametrize(
    ("overrides", "family"),
    [
        ((), "lightgbm"),
        (("families=[xgboost,dnn]",), "xgboost"),
        (("families=[dnn]", "params.dnn.epochs=2"), "dnn"),
        (("data.time=when", "data.n_folds=3"), "lightgbm"),
        (("data.val_size=0.25",), "lightgbm"),
    ],
)
def test_it_is_a_trial_like_others(tmp_path, overrides, family):
    run, planned, found = quick(tmp_path, *overrides)
    (trial,) = read_trials(run.trials)
    assert trial == found.trial
    assert (trial.number, trial.family, trial.origin, trial.state) == (0, family, QUICK, "completed")
    folds = np.asarray(planned.dataset.folds)
    assert trial.oof(folds).shape == ((folds >= 0).sum(), 2)
    assert trial.has_models
    assert np.isfinite(trial.score)
    log_quick(run, found)
    events = [json.loads(line)["event"] for line in run.events.read_text().splitlines()]
    assert events == ["trial", *["fold"] * planned.dataset.n_folds, "end"]


def test_users_params_hold(tmp_path):
    _, _, found = quick(tmp_path, "params.lightgbm.num_leaves=5", "params.lightgbm.num_boost_round=7")
    assert (found.trial.params["num_leaves"], found.trial.params["num_boost_round"]) == (5, 7)


def test_many_classes_are_a_networks(tmp_path):
    _, _, found = quick(tmp_path, "params.dnn.epochs=1", n_classes=60)
    assert found.trial.family == "dnn"


def test_without_time_all_folds_are_fitted_still_and_without_a_budget_none(tmp_path):
    run, _, found = quick(tmp_path, total_s=0.0)
    assert (found.trial.state, len(found.trial.folds)) == ("completed", 5)
    planned = plan(tmp_path)
    assert fit_quick(run, planned, Budget(time.time())) is None


def test_a_fit_that_fails_is_told_and_no_more(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr("tuning.quick._fit_fold", fail)
    run, _, found = quick(tmp_path)
    assert (found.trial.state, found.trial.reason) == ("failed", "MemoryError: no memory")
    assert "MemoryError" in (run.trials / found.trial.name / "error.txt").read_text()


@pytest.mark.parametrize("n_rows", [100, 50_000, 5_000_000])
@pytest.mark.parametrize("n_outputs", [1, 100])
def test_more_time_is_more_rows_and_rounds(n_rows, n_outputs):
    sizes = [quick_size(n_rows, 20, n_outputs, seconds, 2) for seconds in (0.0, 0.3, 3, 30, 30_000)]
    assert all(a.n_rows <= b.n_rows for a, b in pairwise(sizes))
    assert sizes[-1].n_rows == n_rows
    assert sizes[-1].rounds == ROUNDS[1]
    assert all(ROUNDS[0] <= size.rounds <= ROUNDS[1] for size in sizes)


def test_what_cannot_fit_the_time_is_not_begun(tmp_path):
    searcher = make(tmp_path, None, total_s=100, least_trial_s=least_trial_s(5_000_000, 500, 1, 1))
    assert searcher.suggest("a") == Searcher.FINISHED
    searcher = make(tmp_path, None, total_s=100, name="other", least_trial_s=least_trial_s(5000, 50, 5, 1))
    assert searcher.suggest("a")["family"] == "lightgbm"


def test_less_than_ten_seconds_are_refused(tmp_path):
    planned = plan(tmp_path)
    config = planned.config.model_copy(
        update={"search": planned.config.search.model_copy(update={"time_budget_s": 5.0})}
    )
    with pytest.raises(ConfigError, match="got 5; allowed: 10 or more"):
        plan_sweep(config)


def test_the_search_goes_on_after_it_as_if_it_were_not(tmp_path):
    """It takes a number and no trial's place, and its params are told to no study."""
    _, _, found = quick(tmp_path, "families=[lightgbm]")
    searcher = make(tmp_path, 4, total_s=600)
    searcher.restore_trials([found.trial])
    proposed = simulate(searcher, lambda ids: ids[0])
    assert [p["number"] for p in proposed] == [1, 2, 3, 4]
    assert {p["family"] for p in proposed[:2]} == {"lightgbm", "dnn"}
    searcher.finish()
