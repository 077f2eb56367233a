from pathlib import Path

import numpy as np
import pytest

from data.metrics import METRICS, loss, roc_auc
from ensembles import ranking
from ensembles.candidates import Candidates
from ensembles.objectives import sample_classes
from ensembles.selection import Limits, mean_of, select

CLASS_METRICS = [name for name, metric in METRICS.items() if "binary" in metric.problem_types]
VALUE_METRICS = [name for name, metric in METRICS.items() if "regression" in metric.problem_types]


@pytest.fixture
def y():
    return np.random.default_rng(0).normal(size=200)


def noisy(y, seed, scale):
    return (y + np.random.default_rng(seed).normal(size=len(y), scale=scale))[:, None].astype(np.float32)


def guesses(y, n_classes, n_candidates, seed=0):
    """Probabilities that know something of the class, each candidate in its own way."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n_candidates):
        logits = rng.normal(size=(len(y), n_classes)) + rng.uniform(0.2, 1.5) * np.eye(n_classes)[y]
        P = np.exp(logits)
        out.append((P / P.sum(1, keepdims=True)).astype(np.float32))
    return out


def plain_greedy(candidates, y, metric, max_steps, max_members):
    """The algorithm as the paper has it, with the metric itself on all rows."""
    total, chosen, path = 0.0, [], []
    for step in range(max_steps):
        full = len(set(chosen)) >= max_members
        allowed = sorted(set(chosen)) if full else range(len(candidates))
        losses = [loss(metric, y, (total + candidates[i]) / (step + 1)) for i in allowed]
        chosen.append(allowed[int(np.argmin(losses))])
        path.append(min(losses))
        total = total + candidates[chosen[-1]].astype(np.float64)
    return path


@pytest.mark.parametrize("metric", CLASS_METRICS)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_classes_are_selected_as_well_as_with_the_metric_on_all_rows(metric, n_classes, monkeypatch):
    monkeypatch.setattr("ensembles.objectives.SAMPLE_ROWS", 200)
    y = np.random.default_rng(1).integers(n_classes, size=600)
    candidates = guesses(y, n_classes, 20)
    found = select(candidates, y, metric, Limits(12, 6))
    path = plain_greedy(candidates, y, metric, 12, 6)
    singles = [loss(metric, y, P) for P in candidates]
    assert found.best_loss == min(singles) == singles[found.best]
    assert found.loss == pytest.approx(loss(metric, y, mean_of(candidates, found.weights)))
    gained, possible = min(singles) - found.loss, min(singles) - min(path)
    exact = metric == "log_loss" or (metric == "roc_auc" and n_classes == 2)
    assert gained >= (1 - 1e-6 if exact else 0.8) * possible
    assert possible > 0


@pytest.mark.parametrize("metric", VALUE_METRICS)
def test_values_are_selected_as_with_the_metric_itself(metric, y):
    candidates = [noisy(1e6 + 1e3 * y, seed, 300.0 + 20 * seed) for seed in range(20)]
    target = 1e6 + 1e3 * y
    found = select(candidates, target, metric, Limits(15, 6))
    assert found.loss == pytest.approx(min(plain_greedy(candidates, target, metric, 15, 6)), rel=1e-4)


def test_never_worse_than_the_best_single_candidate(y):
    candidates = [noisy(y, seed, 0.3 + 0.1 * seed) for seed in range(8)]
    best_single = min(loss("rmse", y, c) for c in candidates)
    found = select(candidates, y, "rmse")
    assert found.loss < best_single == found.best_loss
    mean = sum(w * candidates[i] for i, w in found.weights.items())
    assert loss("rmse", y, mean) == pytest.approx(found.loss, rel=1e-6)
    assert sum(found.weights.values()) == pytest.approx(1.0)


def test_independent_errors_are_averaged_and_a_useless_candidate_is_left_out(y):
    candidates = [noisy(y, 1, 0.5), noisy(y, 2, 0.5), noisy(y, 3, 50.0)]
    found = select(candidates, y, "rmse")
    assert set(found.weights) == {0, 1}


def test_perfect_candidate_stands_alone(y):
    found = select([noisy(y, 1, 0.5), y[:, None].astype(np.float32)], y, "rmse")
    assert found.weights == {1: 1.0}


def test_at_most_max_members(y):
    candidates = [noisy(y, seed, 1.0) for seed in range(30)]
    assert len(select(candidates, y, "rmse", Limits(max_members=3)).weights) <= 3
    assert len(select(candidates, y, "rmse", Limits(max_members=30)).weights) > 3


def test_members_cost_no_more_than_allowed_and_without_any_the_cheapest_is_taken(y):
    candidates = [noisy(y, seed, 0.5) for seed in range(6)]
    costs = [1.0, 5.0, 2.0, 0.5, 4.0, 3.0]
    for most in (9.0, 4.0, 1.0):
        found = select(candidates, y, "rmse", Limits(costs=costs, max_cost=most))
        assert sum(costs[i] for i in found.weights) <= most
    assert len(select(candidates, y, "rmse", Limits(costs=costs, max_cost=9.0)).weights) > 1
    assert select(candidates, y, "rmse", Limits(costs=costs, max_cost=0.1)).weights == {3: 1.0}


def test_same_input_same_selection(y):
    candidates = [noisy(y, seed, 0.5) for seed in range(10)]
    assert select(candidates, y, "rmse") == select(candidates, y, "rmse")


def test_no_candidates_is_an_error(y):
    with pytest.raises(ValueError, match="no candidates"):
        select([], y, "rmse")


@pytest.mark.parametrize("digits", [1, 2, 7])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_quick_area_is_the_exact_one_ties_included(digits, n_classes):
    rng = np.random.default_rng(digits)
    for n in (1, 2, 50, 3000):
        y = rng.integers(n_classes, size=n)
        P = np.round(guesses(y, n_classes, 1, seed=n)[0], digits)
        assert ranking.roc_auc(y, P) == pytest.approx(roc_auc(y, P), abs=1e-12)


def test_a_sample_has_all_rare_rows_and_no_more_than_asked():
    y = np.array([0] * 5000 + [1] * 300 + [2] * 3)
    rows = sample_classes(y, 900)
    assert len(rows) == len(set(rows)) <= 900
    assert list(np.bincount(y[rows])) == [597, 300, 3]
    assert (sample_classes(y[:500], 900) == np.arange(500)).all()


def test_candidates_are_read_when_asked_for_and_few_are_kept(monkeypatch):
    read = []

    class Trial:
        def __init__(self, i):
            self.i, self.path = i, Path(str(i))

        def oof(self, folds):
            read.append(self.i)
            return np.full((4, 1), self.i, np.float32)

    monkeypatch.setattr("ensembles.candidates.KEPT_BYTES", 2 * 16)
    candidates = Candidates([Trial(i) for i in range(4)], np.zeros(4))
    assert [float(P[0, 0]) for P in candidates] == [0, 1, 2, 3]
    assert read == [0, 1, 2, 3]
    assert candidates[3][0, 0] == candidates[2][0, 0] + 1
    assert read == [0, 1, 2, 3]
    candidates[0]
    assert read == [0, 1, 2, 3, 0]
