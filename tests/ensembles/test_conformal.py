import json

import numpy as np
import pytest

from ensembles.conformal import (
    MAX_SCORES,
    _kept,
    class_scores,
    fit_intervals,
    fit_sets,
    interval,
    prediction_set,
    quantile,
)
from errors import ConfigError, PredictionError
from tests.ensembles.test_calibration import softmax, truth

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def values(n, seed, noise):
    """Members that see the truth with errors of their own, and a truth with noise by row."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, n)
    size = noise(x)
    members = np.stack([x + 0.3 * size * rng.normal(size=n) for _ in range(4)])[:, :, None]
    return x + size * rng.normal(size=n), members.astype(np.float32)


def steady(x):
    return np.full_like(x, 0.7)


def rising(x):
    return np.exp(x)


WEIGHTS = (0.4, 0.3, 0.2, 0.1)


def mean_of(members):
    return np.tensordot(WEIGHTS, members, 1)


@pytest.mark.parametrize("noise", [steady, rising])
def test_intervals_cover_new_rows_at_every_level(noise):
    y, members = values(4000, 0, noise)
    conformal = fit_intervals(y, members, WEIGHTS, np.arange(4000) % 5)
    new_y, new_members = values(20_000, 1, noise)
    for level in LEVELS:
        low, high = interval(mean_of(new_members), new_members, conformal, level).T
        assert ((low <= new_y) & (new_y <= high)).mean() == pytest.approx(level, abs=0.015)


def test_intervals_are_wide_where_errors_are_large():
    y, members = values(4000, 0, rising)
    folds = np.arange(4000) % 5
    conformal = fit_intervals(y, members, WEIGHTS, folds)
    assert conformal["scale"]["shape"] != "constant"
    new_y, new = values(20_000, 1, rising)
    low, high = interval(mean_of(new), new, conformal, 0.9).T
    width, error = high - low, np.abs(new_y - mean_of(new)[:, 0])
    constant = 2 * np.quantile(np.abs(y - mean_of(members)[:, 0]), 0.9)
    assert width.mean() < 0.8 * constant
    by_width = np.array_split(np.argsort(width), 4)
    covered = [float((error[rows] <= width[rows] / 2).mean()) for rows in by_width]
    assert min(covered) > 0.8
    steady_y, steady_members = values(4000, 0, steady)
    assert fit_intervals(steady_y, steady_members, WEIGHTS, folds)["scale"]["shape"] == "constant"


def test_one_member_and_few_rows_are_enough():
    rng = np.random.default_rng(0)
    y = rng.normal(size=30)
    members = np.zeros((1, 30, 1), np.float32)
    conformal = fit_intervals(y, members, (1.0,), np.arange(30) % 3)
    ends = interval(members[0], members, conformal, 0.9)
    assert ends.shape == (30, 2)
    assert ((ends[:, 0] <= y) & (y <= ends[:, 1])).mean() >= 0.85
    exact = fit_intervals(0 * y, members, (1.0,), np.zeros(30))
    assert np.abs(interval(members[0], members, exact, 0.9)).max() == 0


@pytest.mark.parametrize("n_classes", [2, 6])
def test_sets_cover_new_rows_at_every_level(n_classes):
    z, y = truth(n_classes, 0)
    conformal = fit_sets(softmax(z), y)
    new_z, new_y = truth(n_classes, 1)
    sizes = []
    for level in LEVELS:
        sets = prediction_set(softmax(new_z), conformal, level)
        assert sets.any(axis=1).all()
        right = (new_z.argmax(axis=1) == new_y).mean()
        covered = sets[np.arange(len(new_y)), new_y].mean()
        assert covered > level - 0.02
        if level > right:  # else the likeliest class alone holds more
            assert covered == pytest.approx(level, abs=0.02)
        sizes.append(sets.sum(1).mean())
    assert sizes == sorted(sizes)
    assert sizes[-1] < n_classes


def test_the_smaller_sets_are_chosen():
    z, y = truth(6, 0)
    P = softmax(z)
    chosen = fit_sets(P, y)
    ranked = {"score": "raps", "penalty": 0.01}
    ranked |= _kept(class_scores(P, ranked)[np.arange(len(y)), y])
    assert chosen["score"] == "lac"
    assert prediction_set(P, chosen, 0.9).sum() < prediction_set(P, ranked, 0.9).sum()


@pytest.mark.parametrize("n", [9, 100, 3999, 4001, 100_000])
def test_the_quantile_is_that_of_all_scores_to_within_a_step(n):
    scores = np.random.default_rng(n).permutation(n).astype(float)
    kept = _kept(scores)
    assert len(kept["scores"]) == min(n, MAX_SCORES)
    for level in LEVELS:
        rank = np.ceil((n + 1) * level)
        if rank > n:
            with pytest.raises(PredictionError, match=f"validated on {n:,} rows"):
                quantile(kept, level)
        else:
            assert rank - 1 <= quantile(kept, level) <= rank - 1 + 1 + n / MAX_SCORES


def test_levels_that_are_none_are_refused():
    kept = {"n": 3, "scores": [1.0, 2.0, 3.0]}
    for level in (0, 1, 1.5, -0.2, 90, float("nan")):
        with pytest.raises(ConfigError, match=r"above 0 and below 1"):
            quantile(kept, level)


def test_conformal_is_json_and_answers_the_same_from_it():
    y, members = values(600, 0, rising)
    conformal = fit_intervals(y, members, WEIGHTS, np.arange(600) % 5)
    again = json.loads(json.dumps(conformal, allow_nan=False))
    mean = mean_of(members)
    np.testing.assert_array_equal(
        interval(mean, members, conformal, 0.9), interval(mean, members, again, 0.9)
    )
    z, y = truth(3)
    sets = fit_sets(softmax(z), y)
    again = json.loads(json.dumps(sets, allow_nan=False))
    np.testing.assert_array_equal(
        prediction_set(softmax(z), sets, 0.8), prediction_set(softmax(z), again, 0.8)
    )


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 1_750_000_000.0), (1.0, 1e8), (1e-9, 0.0), (1e9, 3e9)])
def test_intervals_are_as_wide_in_every_unit(factor, offset):
    y, members = values(1500, 0, lambda x: 1 + np.abs(x))
    members = members.astype(np.float64)
    weights, folds = [0.4, 0.3, 0.2, 0.1], np.arange(len(y)) % 5
    widths = []
    for f, o in ((1.0, 0.0), (factor, offset)):
        conformal = fit_intervals(y * f + o, members * f + o, weights, folds)
        mean = np.tensordot(weights, members * f + o, 1)
        low, high = interval(mean, members * f + o, conformal, 0.9).T
        widths.append((high - low) / f)
        assert conformal["scale"]["shape"] != "constant"
    np.testing.assert_allclose(widths[1], widths[0], rtol=1e-4)
