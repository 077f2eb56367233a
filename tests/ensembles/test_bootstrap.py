import numpy as np
import pytest

from data.metrics import METRICS, score
from ensembles.bootstrap import (
    CELLS_AT_ONCE,
    RESAMPLED,
    difference_interval,
    draw_rows,
    resampled_scores,
    score_interval,
)
from errors import DataError


def table(problem_type, n=300, seed=0):
    """Targets and predictions with ties, and a rare class."""
    rng = np.random.default_rng(seed)
    if problem_type == "regression":
        y = rng.normal(1e3, 5, n)
        return y, (y + rng.normal(0, 3, n))[:, None].astype(np.float32)
    n_classes = 2 if problem_type == "binary" else 4
    y = rng.choice(n_classes, n, p=[0.9, 0.1] if n_classes == 2 else [0.5, 0.3, 0.195, 0.005])
    P = rng.random((n, n_classes)) + np.eye(n_classes)[y] * 0.4
    return y, np.round(P / P.sum(1, keepdims=True), 2).astype(np.float32)


CASES = [(m.name, p) for m in METRICS.values() for p in m.problem_types]


@pytest.mark.parametrize(("metric", "problem_type"), CASES)
def test_counts_give_the_scores_of_the_rows_drawn(metric, problem_type):
    y, P = table(problem_type)
    counts = draw_rows(len(y), 20, seed=1)
    assert (counts.sum(0) == len(y)).all()
    rows = [np.repeat(np.arange(len(y)), c) for c in counts.T]
    expected = [score(metric, y[r], P[r]) for r in rows]
    np.testing.assert_allclose(resampled_scores(metric, y, P, counts), expected, rtol=1e-9)


def test_every_metric_is_worked_out_from_counts():
    assert RESAMPLED.keys() == METRICS.keys()


def test_a_metric_without_counts_is_scored_on_rows(monkeypatch):
    y, P = table("binary")
    counts = draw_rows(len(y), 5, seed=1)
    expected = resampled_scores("f1", y, P, counts)
    monkeypatch.delitem(RESAMPLED, "f1")
    np.testing.assert_allclose(resampled_scores("f1", y, P, counts), expected)


@pytest.mark.parametrize(("metric", "problem_type"), CASES)
def test_the_interval_holds_the_score_and_shrinks_with_rows(metric, problem_type):
    widths = []
    for n in (200, 5_000):
        y, P = table(problem_type, n)
        low, high = score_interval(metric, y, P)
        assert low <= score(metric, y, P) <= high
        assert (low, high) == score_interval(metric, y, P)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_intervals_cover_the_true_score():
    """Accuracy .7: of 200 tables of 150 rows, about 95 in 100 intervals must hold it."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        right = rng.random(150) < 0.7
        low, high = score_interval("accuracy", np.zeros(150, int), np.eye(2)[(~right).astype(int)])
        held += low <= 0.7 <= high
    assert 180 <= held <= 199


def test_many_rows_are_scored_in_parts(monkeypatch):
    y, P = table("multiclass", 1_000)
    whole = score_interval("roc_auc", y, P)
    monkeypatch.setattr("ensembles.bootstrap.CELLS_AT_ONCE", 7_000)
    assert CELLS_AT_ONCE > 7_000
    assert score_interval("roc_auc", y, P) == whole


def test_of_very_many_rows_some_stand_for_all(monkeypatch):
    y, P = table("binary", 20_000)
    whole = score_interval("log_loss", y, P)
    monkeypatch.setattr("ensembles.bootstrap.MOST_ROWS", 4_000)
    low, high = score_interval("log_loss", y, P)
    assert low < score("log_loss", y, P) < high
    assert 0.8 < (high - low) / (whole[1] - whole[0]) < 1.25


def test_a_pair_is_told_apart_better_than_two_single_scores():
    y, P = table("regression", 400)
    other = P + np.float32(1.5)
    low, high = difference_interval("rmse", y, (P, other))
    assert 0 < low < score("rmse", y, other) - score("rmse", y, P) < high
    single = score_interval("rmse", y, P)
    assert high - low < single[1] - single[0]
    assert difference_interval("rmse", y, (P, P)) == (0.0, 0.0)


def test_predictions_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="not finite"):
        score_interval("rmse", np.zeros(3), np.array([[1.0], [np.nan], [0.0]]))
