import json

import numpy as np
import pytest

from ensembles.calibration import (
    FITS,
    calibrate,
    calibration_error,
    cross_calibrate,
    fit_calibration,
    report,
    row_losses,
    sharpened,
    validation_parts,
)

N = 6000
FOLDS = np.arange(N) % 5


def softmax(z):
    odds = np.exp(z - z.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def truth(n_classes, seed=0):
    """True logits and classes drawn by them."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=(N, n_classes))
    return z, (softmax(z).cumsum(1) < rng.random((N, 1))).sum(1)


def binary(p1):
    return np.column_stack([1 - p1, p1])


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_temperature_finds_how_overconfident_the_probabilities_are(n_classes, factor):
    z, y = truth(n_classes)
    P = softmax(factor * z)
    assert FITS["temperature"](P, y)["temperature"] == pytest.approx(factor, rel=0.1)
    found = report(P, y, FOLDS, fit_calibration(P, y, FOLDS))
    assert found["log_loss_after"] < found["log_loss_before"] - 0.02
    assert found["log_loss_after"] == pytest.approx(row_losses(softmax(z), y).mean(), abs=0.005)
    assert found["ece_after"] < 0.5 * found["ece_before"]


@pytest.mark.parametrize("n_classes", [2, 5])
def test_what_is_calibrated_is_left_alone(n_classes):
    z, y = truth(n_classes)
    P = softmax(z)
    calibration = fit_calibration(P, y, FOLDS)
    assert calibration is None or abs(calibration["temperature"] - 1) < 0.1
    assert calibrate(P, None) is P


def test_noise_is_not_taken_for_a_miscalibration():
    kinds = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p = rng.uniform(0.05, 0.95, 200)
        kinds.append(fit_calibration(binary(p), (rng.random(200) < p).astype(int), np.arange(200) % 5))
    assert sum(k is None for k in kinds) >= 14


def test_beta_corrects_what_one_temperature_cannot():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.01, 0.99, N)
    y = (rng.random(N) < p).astype(int)
    shifted = p**2 / (p**2 + 0.2 * (1 - p))
    found = fit_calibration(binary(shifted), y, FOLDS)
    assert found["kind"] == "beta"
    assert np.abs(calibrate(binary(shifted), found)[:, 1] - p).mean() < 0.02


def test_isotonic_follows_a_curve_with_corners():
    rng = np.random.default_rng(2)
    p = rng.uniform(0, 1, 4 * N)
    true = np.clip(3 * p - 1, 0.05, 0.95)
    y = (rng.random(4 * N) < true).astype(int)
    found = fit_calibration(binary(p), y, np.arange(4 * N) % 5)
    assert found["kind"] == "isotonic"
    after = calibrate(binary(p), found)[:, 1]
    assert np.abs(after - true).mean() < 0.03
    order = np.argsort(p)
    assert (np.diff(after[order]) >= 0).all()
    assert (np.diff(found["x"]) > 0).all()
    assert 0 < after.min() < after.max() < 1


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_isotonic_is_nowhere_so_steep_that_rounding_shows(scale):
    rng = np.random.default_rng(0)
    p = scale * rng.beta(0.3, 0.3, N)
    for y in (p > 0.5 * scale, rng.random(N) < 0.5, p < 0, p >= 0):
        found = FITS["isotonic"](binary(p), y.astype(int))
        slopes = np.diff(found["y"]) / np.diff(found["x"])
        assert (slopes >= 0).all()
        assert slopes.max() <= 10 + 1e-9


@pytest.mark.parametrize("kind", list(FITS))
def test_every_calibration_is_json_and_answers_the_same_from_it(kind):
    z, y = truth(2, seed=3)
    P = softmax(1.5 * z).astype(np.float32)
    calibration = FITS[kind](P, y)
    again = json.loads(json.dumps(calibration, allow_nan=False))
    np.testing.assert_array_equal(calibrate(P, calibration), calibrate(P, again))
    np.testing.assert_allclose(calibrate(P, calibration).sum(1), 1, rtol=1e-6)
    assert (
        list(again)
        == {
            "temperature": ["kind", "temperature"],
            "beta": ["kind", "a", "b", "c"],
            "isotonic": ["kind", "x", "y"],
        }[kind]
    )


@pytest.mark.parametrize("kind", list(FITS))
def test_sure_and_separable_probabilities_end_in_numbers(kind):
    y = np.repeat([0, 1], 30)
    for P in (np.eye(2)[y], binary(np.where(y == 1, 0.9, 0.1)), binary(np.full(60, 0.5))):
        out = calibrate(P, FITS[kind](P, y))
        assert np.isfinite(out).all()
        np.testing.assert_allclose(out.sum(1), 1)
    one_class = calibrate(
        binary(np.linspace(0.1, 0.9, 60)), FITS[kind](binary(np.linspace(0.1, 0.9, 60)), 0 * y)
    )
    assert np.isfinite(one_class).all()


@pytest.mark.parametrize("kind", [None, "temperature", "beta"])
def test_a_power_after_a_calibration_is_a_calibration(kind):
    z, y = truth(2 if kind == "beta" else 4)
    P = softmax(1.5 * z)
    calibration = None if kind is None else FITS[kind](P, y)
    expected = calibrate(P, calibration) ** 1.3
    found = calibrate(P, sharpened(calibration, 1.3))
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=0, atol=1e-9)
    assert sharpened(calibration, 1.0) == calibration


def test_an_isotonic_curve_stays():
    z, y = truth(2)
    curve = FITS["isotonic"](softmax(z), y)
    assert sharpened(curve, 1.3) == curve


def test_no_row_is_calibrated_by_itself():
    z, y = truth(2, seed=4)
    P = softmax(2 * z)
    first = FOLDS == 0
    flipped = np.where(first, 1 - y, y)
    a, b = (cross_calibrate(P, labels, FOLDS, "temperature") for labels in (y, flipped))
    np.testing.assert_array_equal(a[first], b[first])
    assert np.abs(a[~first] - b[~first]).max() > 0.01
    assert len(np.unique(validation_parts(np.zeros(50)))) == 5


def test_calibration_error_is_the_gap_between_said_and_seen():
    p = np.full(3000, 0.8)
    y = (np.arange(3000) % 2).astype(int)
    assert calibration_error(binary(p), y, 1) == pytest.approx(0.3)
    sure = np.eye(3)[np.zeros(100, int)]
    assert calibration_error(sure, np.zeros(100, int)) == 0.0
    assert calibration_error(sure, np.ones(100, int)) == 1.0
