import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from data.metrics import METRICS, default_metric, get_metric, loss, score, score_all
from errors import ConfigError, DataError

CLASS_METRICS = ["roc_auc", "log_loss", "accuracy", "precision", "recall", "f1"]
VALUE_METRICS = ["rmse", "mae", "r2"]


def probabilities(n_rows, n_classes, seed, decimals=None):
    """Random probabilities; those of few decimals tie often and hold zeros."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(n_classes) * 0.7, n_rows)
    if decimals is not None:
        P = rng.multinomial(10**decimals, P) / 10**decimals
    return rng.integers(0, n_classes, n_rows), P


def of_sklearn(name, y, P):
    n_classes = P.shape[1]
    labels = np.arange(n_classes)
    chosen = P.argmax(axis=1)
    average = {"average": "binary" if n_classes == 2 else "macro", "zero_division": 0}
    if name == "roc_auc" and n_classes == 2:
        return sk.roc_auc_score(y, P[:, 1])
    return {
        "roc_auc": lambda: sk.roc_auc_score(y, P, multi_class="ovr", labels=labels),
        "log_loss": lambda: sk.log_loss(y, y_proba=P, labels=labels),
        "accuracy": lambda: sk.accuracy_score(y, chosen),
        "precision": lambda: sk.precision_score(y, chosen, **average),
        "recall": lambda: sk.recall_score(y, chosen, **average),
        "f1": lambda: sk.f1_score(y, chosen, **average),
    }[name]()


@pytest.mark.parametrize("decimals", [None, 2, 1])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("n_rows", [20, 1_000])
@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_class_metrics_are_scikit_learns(n_classes, n_rows, seed, decimals):
    y, P = probabilities(n_rows, n_classes, seed, decimals)
    y[:n_classes] = np.arange(n_classes)
    ours = score_all(y, P, "binary" if n_classes == 2 else "multiclass")
    assert list(ours) == CLASS_METRICS
    for name, value in ours.items():
        assert value == pytest.approx(of_sklearn(name, y, P), abs=1e-9), name
        assert value == score(name, y, P)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_value_metrics_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    y, p = rng.normal(50, 5, 500), rng.normal(50, 5, 500)
    expected = {
        "rmse": sk.root_mean_squared_error(y, p),
        "mae": sk.mean_absolute_error(y, p),
        "r2": sk.r2_score(y, p),
    }
    assert score_all(y, p[:, None], "regression") == pytest.approx(expected, abs=1e-9)
    assert score("rmse", y, p) == score("rmse", y, p[:, None])


def test_a_class_that_is_absent():
    y, P = probabilities(200, 4, 0)
    y[y == 3] = 0
    ours = score_all(y, P, "multiclass")
    for name in CLASS_METRICS[1:]:
        assert ours[name] == pytest.approx(of_sklearn(name, y, P), abs=1e-9), name
    unseen = P * [1, 1, 1, 1e-3]  # class 3 is neither true nor predicted
    for name in CLASS_METRICS[2:]:
        assert score(name, y, unseen) == pytest.approx(of_sklearn(name, y, unseen), abs=1e-9), name
    each = [sk.roc_auc_score(y == k, P[:, k]) for k in range(3)]
    assert ours["roc_auc"] == pytest.approx(np.mean(each), abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("only", [0, 1])
def test_a_single_class_present(n_classes, only):
    _, P = probabilities(50, n_classes, 0)
    y = np.full(50, only)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = score_all(y, P, "binary" if n_classes == 2 else "multiclass")
    assert ours["roc_auc"] == 0.5
    for name in CLASS_METRICS[1:]:
        assert ours[name] == pytest.approx(of_sklearn(name, y, P), abs=1e-9), name


def test_all_tied_and_perfect_ranking():
    y = np.array([0, 1, 0, 1, 1])
    tied = np.full((5, 2), 0.5)
    assert score("roc_auc", y, tied) == 0.5
    perfect = np.stack([1.0 - y, y], axis=1)
    assert score("roc_auc", y, perfect) == 1.0
    assert score("roc_auc", 1 - y, perfect) == 0.0


def test_certain_and_wrong_is_a_finite_loss():
    P = np.array([[1.0, 0.0], [0.0, 1.0]])
    y = np.array([1, 1])
    assert score("log_loss", y, P) == pytest.approx(sk.log_loss(y, y_proba=P, labels=[0, 1]), abs=1e-9)
    assert score("log_loss", y, P.astype(np.float32)) == score("log_loss", y, P)
    assert 10 < score("log_loss", y, P) < 20


def test_rows_are_made_to_sum_to_one():
    y, P = probabilities(100, 3, 0)
    scaled = P * np.linspace(0.5, 2.0, 100)[:, None]
    assert score("log_loss", y, scaled) == pytest.approx(score("log_loss", y, P), abs=1e-12)
    assert np.isfinite(score("log_loss", y, np.zeros((100, 3))))


def test_float32_predictions_score_as_their_values():
    y, P = probabilities(1_000, 2, 0)
    P = P.astype(np.float32)
    for name in CLASS_METRICS:
        assert score(name, y, P) == pytest.approx(score(name, y, P.astype(np.float64)), abs=1e-12)


def test_a_constant_target_of_a_regression():
    y = np.full(5, 2.0)
    assert score("r2", y, y[:, None]) == sk.r2_score(y, y) == 1.0
    assert score("r2", y, y[:, None] + 1) == sk.r2_score(y, y + 1) == 0.0


def test_nothing_predicted_positive_is_zero():
    y, P = np.array([1, 0, 1]), np.tile([0.9, 0.1], (3, 1))
    assert score("precision", y, P) == score("recall", y, P) == score("f1", y, P) == 0.0


@pytest.mark.parametrize("name", CLASS_METRICS)
def test_loss_of_classes_falls_as_predictions_improve(name):
    y, P = probabilities(500, 3, 0)
    better = 0.5 * P + 0.5 * np.eye(3)[y]
    assert loss(name, y, better) < loss(name, y, P)
    assert abs(loss(name, y, P)) == abs(score(name, y, P))


@pytest.mark.parametrize("name", VALUE_METRICS)
def test_loss_of_values_falls_as_predictions_improve(name):
    y = np.arange(10.0)
    assert loss(name, y, y[:, None] + 0.1) < loss(name, y, y[:, None] + 1)


def test_defaults_and_lookup():
    names = {t: default_metric(t) for t in ("binary", "multiclass", "regression")}
    assert names == {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
    for problem_type, name in names.items():
        assert get_metric(name, problem_type) is METRICS[name]
        assert METRICS[name].name == name


@pytest.mark.parametrize(
    ("name", "problem_type", "found"),
    [
        ("rmse", "binary", "'rmse' is not defined for a binary problem; allowed: roc_auc, log_loss"),
        ("f1", "regression", "'f1' is not defined for a regression problem; allowed: rmse, mae, r2"),
        ("acuracy", "multiclass", r"unknown metric 'acuracy' \(did you mean 'accuracy'\?\)"),
    ],
)
def test_a_metric_that_does_not_fit(name, problem_type, found):
    with pytest.raises(ConfigError, match=found):
        get_metric(name, problem_type)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", list(METRICS))
def test_predictions_that_are_no_numbers_never_pass_for_a_score(name, bad):
    P = np.full((4, 2), 0.5)
    P[2, 1] = bad
    with pytest.raises(DataError, match="not finite in 1 of 4 rows"):
        score(name, np.array([0, 1, 0, 1]), P)


def test_lengths_that_differ():
    with pytest.raises(DataError, match="3 predictions for 4 rows"):
        score("accuracy", np.zeros(4, dtype=int), np.ones((3, 2)))
    with pytest.raises(DataError, match="0 predictions for 0 rows"):
        score("accuracy", np.zeros(0, dtype=int), np.ones((0, 2)))
