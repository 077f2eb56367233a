"""Models that are certain: they export, keep what they know, and are never beyond mending."""

import json

import numpy as np
import pandas as pd
import pytest

from configs.schema import EnsembleConfig
from ensembles.build import build_ensemble
from ensembles.bundle import load_bundle
from ensembles.calibration import calibrate, fit_calibration, floored, row_losses, sharpened
from ensembles.conformal import fit_intervals, fit_sets, interval, limits_of, prediction_set, settle
from ensembles.graph import ExportMember, build_graph
from ensembles.parity import prove
from ensembles.reference import answer
from ensembles.session import GraphSession
from ensembles.uncertainty import EnsemblePrediction
from models.base import FitContext, Fold, Task
from models.boosting import TargetScale
from models.families import get_family
from tests.quick import quick_model, write_table

FOLDS = np.arange(4000) % 5
QUICK = {
    "lightgbm": {"num_boost_round": 60, "learning_rate": 0.5, "min_data_in_leaf": 1},
    "xgboost": {"num_boost_round": 60, "learning_rate": 0.5, "min_child_weight": 0.0},
    "dnn": {"epochs": 40, "lr": 0.1},
    "mc_dropout": {"epochs": 40, "lr": 0.1, "n_draws": 5},
    "bnn": {"epochs": 40, "lr": 0.1, "n_draws": 5},
}

KINDS = (
    {"kind": "identity"},
    {"kind": "temperature", "temperature": 1.6},
    {"kind": "beta", "a": 0.6, "b": 0.6, "c": 0.1},
)


def separable(n, seed):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = np.column_stack([10 * y + rng.random(n), rng.random(n)]).astype(np.float32)
    return X, y.astype(np.int64)


@pytest.mark.parametrize("family", QUICK)
@pytest.mark.parametrize("seed", range(6))
def test_a_certain_model_exports(family, seed):
    X, y = separable(24, seed)
    task = Task("binary", 2, (0, 0))
    model = get_family(family).fit(QUICK[family], task, Fold(X, y, X, y), FitContext(seed=seed))
    member = ExportMember(family, family, 1.0, 0.0, (model,))
    rows = np.concatenate([X, np.full((1, 2), np.nan, np.float32), X + 100, X - 100])
    for kind in KINDS:
        calibration = floored(kind, len(X), 2)
        session = GraphSession(build_graph([member], task, TargetScale(), calibration).SerializeToString())
        proof = prove(session, [(rows, answer([member], rows))], [family], (1.0, 0.0), calibration)
        assert proof.n_rows == len(rows)


def test_no_row_costs_more_than_ten_times_the_rows_allow():
    for n_rows, n_classes in ((24, 2), (1000, 3), (1000, 1000), (10**6, 2)):
        calibration = floored(None, n_rows, n_classes)
        P = np.eye(n_classes)[[0, 0]]
        losses = row_losses(calibrate(P, calibration), np.array([0, n_classes - 1]))
        assert losses[1] <= np.log(10 * n_rows) * (1 + 1e-12)
        assert losses[0] < 0.11
        np.testing.assert_allclose(calibrate(P, calibration).sum(axis=1), 1.0)


def test_a_floor_keeps_the_order_and_what_comes_after_it():
    P = np.random.default_rng(0).dirichlet(np.ones(3) / 10, 500)
    calibration = floored({"kind": "temperature", "temperature": 2.0}, 500, 3)
    bare = calibrate(P, {"kind": "temperature", "temperature": 2.0})
    np.testing.assert_array_equal(np.argsort(calibrate(P, calibration)[:, 0]), np.argsort(bare[:, 0]))
    assert sharpened(calibration, 2.0) == calibration | {"temperature": 1.0}
    assert sharpened(floored(None, 500, 3), 2.0) == {
        "kind": "temperature",
        "temperature": 0.5,
        "floor": 1 / 5000,
    }


@pytest.mark.parametrize("n_errors", [0, 1, 9])
def test_hardly_an_error_teaches_no_calibration(n_errors):
    rng = np.random.default_rng(n_errors)
    y = rng.integers(0, 2, 4000)
    p = np.where(y == 1, 0.9999, 0.0001)
    p[:n_errors] = 1 - p[:n_errors]
    assert fit_calibration(np.column_stack([1 - p, p]), y, FOLDS) is None


@pytest.mark.parametrize("n", [40, 200, 4000])
@pytest.mark.parametrize("certainty", [0.2, 1.0, 8.0])
def test_no_calibration_makes_a_model_much_worse(n, certainty):
    """On rows that were not learned from, over many tables."""
    gains = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        z = 3 * rng.normal(size=2 * n)
        y = (rng.random(2 * n) < 1 / (1 + np.exp(-z))).astype(int)
        p = 1 / (1 + np.exp(-certainty * z))
        P = np.column_stack([1 - p, p])
        calibration = floored(fit_calibration(P[:n], y[:n], np.arange(n) % 5), n, 2)
        before, after = (row_losses(Q[n:], y[n:]).mean() for Q in (P, calibrate(P, calibration)))
        gains.append(before - after)
    assert np.mean(gains) > -0.005
    assert min(gains) > -0.05


def test_no_set_is_empty():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 1000)
    P = np.full((1000, 3), 0.01) + 0.97 * np.eye(3)[y]
    P[:50] = 1 / 3
    sets = prediction_set(P, fit_sets(P, y), 0.5)
    assert sets.any(axis=1).all()
    assert sets[np.arange(1000), P.argmax(axis=1)].all()


def test_limits_are_what_a_target_can_be():
    assert limits_of(np.array([0.0, 3.0])) == (0.0, None)
    assert limits_of(np.array([0.2, 1.0])) == (0.0, 1.0)
    assert limits_of(np.array([-3.0, 0.0])) == (None, 0.0)
    assert limits_of(np.array([-3.0, 1.0])) == (None, None)


def test_standard_deviations_agree_with_intervals_and_both_stay_within_limits():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 3, 4000)
    size = 0.1 + x / 3
    y = np.maximum(x + size * rng.normal(size=4000), 0.0)
    members = (x + 0.2 * size * rng.normal(size=(3, 4000)))[:, :, None]
    weights = (0.5, 0.3, 0.2)
    conformal = json.loads(json.dumps(fit_intervals(y, members, weights, FOLDS)))
    assert conformal["limits"] == [0.0, None]
    mean = np.tensordot(weights, members, 1)
    raw = EnsemblePrediction(mean - 0.5, np.full(4000, 5.0), np.full(4000, 4.0), np.full(4000, 3.0), members)
    found = settle(raw, conformal)
    assert found.mean.min() == 0.0
    np.testing.assert_allclose(found.total**2, found.aleatoric**2 + found.epistemic**2)
    np.testing.assert_allclose(found.aleatoric / found.epistemic, 4 / 3)
    settled = settle(EnsemblePrediction(mean, raw.total, raw.aleatoric, raw.epistemic, members), conformal)
    assert np.mean(np.square((y - mean[:, 0]) / settled.total)) == pytest.approx(1.0, abs=0.05)
    ends = interval(mean, members, conformal, 0.9)
    assert ends.min() >= 0.0
    inside = ends[:, 0] > 0
    widths = (ends[:, 1] - ends[:, 0])[inside] / settled.total[inside]
    assert widths.std() < 1e-9 * widths.mean()
    older = {key: value for key, value in conformal.items() if key not in ("rms", "limits")}
    assert settle(raw, older) is raw


def test_a_bundle_answers_within_limits(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 300)
    prices = np.maximum(np.exp(x) / 3 + rng.normal(size=300) / 5, 0)
    frame = pd.DataFrame({"x": x, "target": prices})
    run = quick_model(tmp_path, write_table(tmp_path / "t.csv", frame), "target")
    ensemble = build_ensemble(run, EnsembleConfig(), "rmse", {"name": "prices"}, FitContext())
    assert ensemble.honesty.conformal["limits"] == [0.0, None]
    bundle = load_bundle(run / "bundle")
    far = pd.DataFrame({"x": np.linspace(-5, 5, 200)})
    found = bundle.predict(far)
    assert found.mean.min() >= 0
    assert interval(found.mean, found.members, bundle.conformal, 0.99).min() >= 0
