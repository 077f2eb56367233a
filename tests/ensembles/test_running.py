from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.metrics import loss
from ensembles.running import RunningEnsemble, sample_rows, try_entry

RMSE = partial(loss, "rmse")


@settings(deadline=None, max_examples=50, derandomize=True)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12))
def test_the_loss_never_rises_and_gains_add_up(seed, n):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=40)
    ensemble, losses, gains = RunningEnsemble(y, RMSE), [], []
    singles = []
    for _ in range(n):
        P = (y + rng.normal(size=40))[:, None].astype(np.float32)
        singles.append(RMSE(y, P))
        gains.append(ensemble.add(P))
        losses.append(ensemble.loss)
    assert gains[0] == 0.0
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - sum(gains) == pytest.approx(losses[-1])
    assert losses[-1] <= min(singles) + 1e-12
    assert RMSE(y, ensemble.mean) == pytest.approx(losses[-1])


def test_what_does_not_help_changes_nothing():
    y = np.arange(10.0)
    ensemble = RunningEnsemble(y, RMSE)
    ensemble.add(y[:, None] + 0.1)
    assert ensemble.add(np.full((10, 1), 1e6)) == 0.0
    assert ensemble.add(np.full((10, 1), np.nan)) == 0.0
    assert ensemble.n_members == 1


def test_rows_are_all_validated_ones_or_a_fixed_sample_of_them():
    folds = np.array([0, -1, 1, 1, -1, 0])
    assert list(sample_rows(folds, 0)) == [0, 2, 3, 5]
    many = np.repeat([0, 1, -1], 1000)
    rows = sample_rows(many, 0, most=100)
    assert len(rows) == 100
    assert (many[rows] >= 0).all()
    assert (np.diff(rows) > 0).all()
    assert (rows == sample_rows(many, 0, most=100)).all()


def test_what_it_would_bring_is_what_it_brings():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    first, second = ((y + rng.normal(size=200))[:, None].astype(np.float32) for _ in range(2))
    ensemble = RunningEnsemble(y, RMSE)
    ensemble.add(first)
    entry = try_entry(y, ensemble.mean, second, RMSE)
    assert entry.can
    assert not entry.cannot
    assert entry.gain == pytest.approx(ensemble.add(second))
    again = try_entry(y, ensemble.mean, ensemble.mean, RMSE)
    assert (again.gain, again.can, again.cannot) == (0.0, False, False)


def test_the_noise_of_a_gain_is_how_much_it_varies_between_samples():
    rng = np.random.default_rng(0)
    entries = []
    for _ in range(200):
        y = rng.normal(size=100)
        mean, other = (y[:, None] + rng.normal(size=(100, 1)) * s for s in (0.5, 0.7))
        entries.append(try_entry(y, mean, other, RMSE))
    spread = np.std([e.gain for e in entries])
    assert np.mean([e.noise for e in entries]) == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize("n", [1, 3])
def test_few_rows_are_sure_of_nothing_or_little(n):
    y = np.arange(float(n))
    entry = try_entry(y, y[:, None] + 0.1, y[:, None] + 0.2, RMSE)
    assert entry.gain < 0
    assert entry.cannot == (n > 1)
