import itertools
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xgboost as xgb

from errors import DeviceMemoryError
from models import boosting, xgboost
from models.base import FitContext, Fold, Task
from models.boosting import StopRule, TargetScale, as_mean, histograms_in_memory, patience
from models.families import get_family
from models.lightgbm import SLICE_TREES, LightGBM
from models.weights import row_weights
from models.xgboost import XGBoost, _device_memory
from tests.models.tables import make_fold, make_task

FAMILIES = ("lightgbm", "xgboost")


def make_rare_fold(problem_type="binary"):
    """Rows of which class 0 is five times as frequent as it was."""
    fold = make_fold(problem_type, 2000, 600)
    train, val = (np.flatnonzero((y == 0) | (np.arange(len(y)) % 5 == 0)) for y in (fold.y_train, fold.y_val))
    return Fold(fold.X_train[train], fold.y_train[train], fold.X_val[val], fold.y_val[val])


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


@pytest.mark.parametrize("family", FAMILIES)
def test_a_deadline_in_the_middle_keeps_the_best_round_so_far(family, monkeypatch):
    task, fold = make_task("binary"), make_fold("binary", 1000, 300)
    wrong = np.random.default_rng(0).random(1000) < 0.35  # so that more rounds soon do harm
    fold = replace(fold, y_train=np.where(wrong, 1 - fold.y_train, fold.y_train))
    rounds = itertools.count()  # a clock that ticks once a round
    monkeypatch.setattr(boosting, "time", SimpleNamespace(monotonic=lambda: next(rounds)))
    model = get_family(family).fit({"learning_rate": 0.3}, task, fold, FitContext(deadline=60))
    assert (model.history.stop_reason, len(model.history.val)) == ("deadline", 61)
    assert 0 < model.history.best < 60
    params = {"learning_rate": 0.3, "num_boost_round": model.history.best + 1}
    best = get_family(family).fit(params, task, fold, FitContext()).predict(fold.X_val).mean
    np.testing.assert_array_equal(model.predict(fold.X_val).mean, best)
    losses = -np.log(best[np.arange(300), fold.y_val])
    assert losses.mean() == pytest.approx(min(model.history.val), rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("problem_type", ["binary", "multiclass"])
def test_balanced_classes_in_training_and_in_stopping(family, problem_type):
    task, fold = make_task(problem_type), make_rare_fold(problem_type)
    params = {"learning_rate": 0.2, "num_boost_round": 40}
    plain = get_family(family).fit(params, task, fold, FitContext())
    model = get_family(family).fit({**params, "class_weight": "balanced"}, task, fold, FitContext())
    P, rare = model.predict(fold.X_val).mean, fold.y_val != 0
    found, found_plain = ((p[rare].argmax(axis=1) != 0).mean() for p in (P, plain.predict(fold.X_val).mean))
    assert found > found_plain
    _, weights = row_weights("balanced", fold, task)
    losses = -np.log(P[np.arange(len(P)), fold.y_val])
    assert np.average(losses, weights=weights) == pytest.approx(min(model.history.val), rel=1e-4)


def test_xgboost_splits_many_categories_into_two_sets():
    noise = np.random.default_rng(0)
    codes = noise.integers(0, 12, 2000)
    y = (codes % 2 == (noise.random(2000) < 0.1)).astype(np.int64)
    X = codes.astype(np.float32).reshape(-1, 1)
    model = XGBoost.fit({"num_boost_round": 1}, Task("binary", 2, (12,)), Fold(X, y, X, y), FitContext())
    (tree,) = json.loads(model.booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    assert max(tree["categories_sizes"]) > 1
    assert json.loads(model.booster.save_raw("json"))["learner"]["feature_types"] == ["c"]


def test_the_device_reaches_xgboost():
    params = XGBoost.check_params({})
    assert xgboost._settings(params, make_task("binary"), FitContext(device="cuda"))["device"] == "cuda"


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
@pytest.mark.parametrize("problem_type", ["binary", "multiclass", "regression"])
def test_a_saved_xgboost_has_no_device(problem_type, device, tmp_path):
    fold = make_fold(problem_type)
    params = {"num_boost_round": 60}
    model = XGBoost.fit(params, make_task(problem_type), fold, FitContext(device=device))
    model.save(tmp_path)
    assert not [path for path in tmp_path.iterdir() if b"device" in path.read_bytes()]
    loaded = XGBoost.load(tmp_path)
    config = json.loads(loaded.booster.save_config())
    assert config["learner"]["generic_param"]["device"] == "cpu"
    own = model.booster.copy()
    own.set_param({"device": device})
    raw = own.inplace_predict(fold.X_val, predict_type="margin")
    on_device = as_mean(raw, model.meta.task, model.scale)
    unit = np.std(fold.y_val) if problem_type == "regression" else 1.0
    np.testing.assert_allclose(loaded.predict(fold.X_val).mean / unit, on_device / unit, rtol=0, atol=1e-5)


def test_a_gpu_that_is_too_small_is_told_from_other_errors():
    words = "[12:00:00] device_helpers.cu:20: Memory allocation error on worker 0: out of memory\n- Free memory: 1B"
    with (
        pytest.raises(DeviceMemoryError, match=r"^Memory allocation error on worker 0: out of memory$"),
        _device_memory(),
    ):
        raise xgb.core.XGBoostError(words)
    with pytest.raises(xgb.core.XGBoostError, match="Invalid"), _device_memory():
        raise xgb.core.XGBoostError("Invalid parameter")


@pytest.mark.parametrize(
    ("n_rows", "n_features", "most", "kept"),
    [
        (100_000, 100, 10**6, None),  # not wide
        (1_000, 3_000, 4, None),  # few nodes
        (1_000, 3_000, 255, 5),  # 64 MiB of 12 MB each
        (200, 100_000, 255, 2),  # never fewer than a parent and a child
    ],
)
def test_histograms_of_wide_tables_are_not_all_kept(n_rows, n_features, most, kept):
    X = np.broadcast_to(np.float32(0), (n_rows, n_features))
    assert histograms_in_memory(X, 255, most) == kept
