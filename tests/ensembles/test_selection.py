from functools import partial

import numpy as np
import pytest

from data.metrics import loss
from ensembles.selection import select

RMSE = partial(loss, "rmse")


@pytest.fixture
def y():
    return np.random.default_rng(0).normal(size=200)


def noisy(y, seed, scale):
    return (y + np.random.default_rng(seed).normal(size=len(y), scale=scale))[:, None].astype(np.float32)


def test_never_worse_than_the_best_single_candidate(y):
    candidates = [noisy(y, seed, 0.3 + 0.1 * seed) for seed in range(8)]
    best_single = min(RMSE(y, c) for c in candidates)
    found = select(candidates, y, RMSE)
    assert found.loss < best_single
    mean = sum(w * candidates[i] for i, w in found.weights.items())
    assert RMSE(y, mean) == pytest.approx(found.loss, rel=1e-6)
    assert sum(found.weights.values()) == pytest.approx(1.0)


def test_independent_errors_are_averaged_and_a_useless_candidate_is_left_out(y):
    candidates = [noisy(y, 1, 0.5), noisy(y, 2, 0.5), noisy(y, 3, 50.0)]
    found = select(candidates, y, RMSE)
    assert set(found.weights) == {0, 1}


def test_perfect_candidate_stands_alone(y):
    found = select([noisy(y, 1, 0.5), y[:, None].astype(np.float32)], y, RMSE)
    assert found.weights == {1: 1.0}


def test_at_most_max_members(y):
    candidates = [noisy(y, seed, 1.0) for seed in range(30)]
    assert len(select(candidates, y, RMSE, max_members=3).weights) <= 3
    assert len(select(candidates, y, RMSE, max_members=30).weights) > 3


def test_same_input_same_selection(y):
    candidates = [noisy(y, seed, 0.5) for seed in range(10)]
    assert select(candidates, y, RMSE) == select(candidates, y, RMSE)


def test_no_candidates_is_an_error(y):
    with pytest.raises(ValueError, match="no candidates"):
        select([], y, RMSE)
