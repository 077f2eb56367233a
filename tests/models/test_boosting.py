import time

import numpy as np
import pytest

from models.base import FitContext, Task
from models.boosting import StopRule, TargetScale, as_mean, patience
from models.lightgbm import SLICE_TREES, LightGBM
from tests.models.tables import make_fold, make_task


@pytest.mark.parametrize(("rate", "rounds"), [(0.3, 100), (0.04, 100), (0.02, 200), (0.001, 300)])
def test_patience(rate, rounds):
    assert patience(rate) == rounds


def test_stops_when_patience_is_used_up():
    rule = StopRule(patience=3, deadline=None)
    stops = [rule.update(0, loss) for loss in (3, 2, 1, 1, 2, 1)]
    assert stops == [False] * 5 + [True]
    assert rule.best == 2
    assert rule.stop_reason == "patience"


def test_stops_at_the_deadline_and_keeps_the_best():
    rule = StopRule(patience=3, deadline=time.monotonic() - 1)
    assert rule.update(1, 1)
    assert (rule.best, rule.stop_reason) == (0, "deadline")


@pytest.mark.parametrize(
    ("rounds", "points", "every"), [(1, 1, 1), (200, 200, 1), (201, 101, 2), (3000, 200, 15)]
)
def test_history_is_thinned(rounds, points, every):
    rule = StopRule(patience=10_000, deadline=None)
    for index in range(rounds):
        rule.update(index, -index)
    history = rule.history()
    assert (len(history.train), len(history.val), history.every) == (points, points, every)
    assert history.train[-1] == (points - 1) * every
    assert history.best == rounds - 1


def test_target_scale_round_trip():
    y = np.array([10.0, 20.0, 60.0])
    task = Task("regression", 1, (0,))
    scale = TargetScale.of(y, task)
    standard = (y - scale.center) / scale.spread
    assert standard.mean() == pytest.approx(0)
    assert standard.std() == pytest.approx(1)
    np.testing.assert_allclose(scale.undo(standard), y)
    np.testing.assert_allclose(as_mean(standard, task, scale)[:, 0], y, rtol=1e-6)


def test_as_mean_of_extreme_log_odds():
    task = Task("binary", 2, (0,))
    mean = as_mean(np.array([-1000.0, 0.0, 1000.0]), task, TargetScale())
    np.testing.assert_array_equal(mean, [[1, 0], [0.5, 0.5], [0, 1]])


@pytest.mark.parametrize("problem_type", ["binary", "multiclass", "regression"])
def test_slices_of_a_forest_sum_to_lightgbm_s_own_prediction(problem_type):
    params = {"num_boost_round": 2 * SLICE_TREES, "learning_rate": 0.01, "num_leaves": 4}
    fold, task = make_fold(problem_type), make_task(problem_type)
    model = LightGBM.fit(params, task, fold, FitContext())
    assert model.booster.num_trees() > SLICE_TREES
    own = model.booster.predict(fold.X_val, num_threads=1)
    mean = model.predict(fold.X_val).mean
    if problem_type == "binary":
        own = np.column_stack([1 - own, own])
    if problem_type == "regression":
        own = model.scale.undo(own).reshape(-1, 1)
    np.testing.assert_allclose(mean, own, rtol=1e-6, atol=1e-7)


def test_the_best_round_is_kept():
    model = LightGBM.fit({"learning_rate": 0.3}, make_task("binary"), make_fold("binary"), FitContext())
    assert model.history.stop_reason == "patience"
    assert model.booster.num_trees() == model.history.best + 1
