"""Trees as plain arrays, and as operators: what the libraries do with values on the edge."""

import numpy as np
import onnxruntime
import pytest

from models import forest
from models.base import FitContext, Fold, Task
from models.families import get_family
from models.forest import Trees, add_forest, at_most
from models.graph import Graph
from models.lightgbm_trees import read_lightgbm
from models.xgboost_trees import read_xgboost

PARAMS = {
    "lightgbm": {"num_boost_round": 15, "min_data_in_leaf": 1, "min_data_per_group": 1, "cat_smooth": 0.1},
    "xgboost": {"num_boost_round": 15, "min_child_weight": 0.0},
}


def evaluate(models, X):
    graph = Graph(X.shape[1])
    graph.output("y", add_forest(graph, models), ["n", "outputs", "models"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), options)
    return session.run(None, {"X": X})[0]


def fit(family, X, y, cardinalities, problem_type="regression", **params):
    task = Task(problem_type, int(y.max()) + 1 if problem_type == "multiclass" else 1, cardinalities)
    n = len(X) // 4
    fold = Fold(X[n:], y[n:], X[:n], y[:n])
    return get_family(family).fit(PARAMS[family] | params, task, fold, FitContext())


def trees_of(model):
    n_outputs = model.meta.task.n_outputs
    return read_lightgbm(model.booster) if model.key == "lightgbm" else read_xgboost(model.booster, n_outputs)


def native(model, X):
    if model.key == "lightgbm":
        return model.booster.predict(X, raw_score=True).reshape(len(X), -1)
    return model.booster.inplace_predict(X, predict_type="margin").reshape(len(X), -1)


@pytest.mark.parametrize("strict", [False, True])
def test_rounded_thresholds_decide_as_before(strict):
    noise = np.random.default_rng(0)
    thresholds = np.concatenate([noise.normal(size=200), [0.0, 1e-35, -1e-35, 0.1, 1e300, -1e300, 3e38]])
    largest = np.finfo(np.float32).max
    near = np.clip(thresholds, -largest, largest).astype(np.float32)
    with np.errstate(over="ignore"):
        farther = np.clip(near * np.float32(1.0000002), -largest, largest)
    for x in (near, np.nextafter(near, np.float32(0)), farther):
        expected = x < thresholds if strict else x.astype(np.float64) <= thresholds
        np.testing.assert_array_equal(x <= at_most(thresholds, strict), expected)


@pytest.mark.parametrize("family", PARAMS)
def test_values_on_the_thresholds_and_missing_ones(family):
    """Rows of few distinct values, so that thresholds fall on or beside them; missing in training or not."""
    noise = np.random.default_rng(1)
    X = noise.choice(np.array([-1.1, 0.0, 0.1, 0.3, 2.0, 1e-40, 3e5], np.float32), size=(400, 3))
    X[noise.random(400) < 0.2, 0] = np.nan
    y = np.nan_to_num(X[:, 0]) + X[:, 1] * (X[:, 2] > 0.05) + 5 * np.isnan(X[:, 0])
    model = fit(family, X, y, (0, 0, 0))
    trees = trees_of(model)
    grid = np.unique(np.concatenate([trees.threshold, X[~np.isnan(X)]]))
    grid = np.concatenate([grid, np.nextafter(grid, np.float32(9e9)), [np.nan]]).astype(np.float32)
    rows = noise.choice(grid, size=(2000, 3))
    np.testing.assert_allclose(evaluate([trees], rows)[:, :, 0], native(model, rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", PARAMS)
@pytest.mark.parametrize("onehot", [False, True])
@pytest.mark.parametrize("cardinality", [3, 31, 33, 150])
def test_sets_of_categories(family, onehot, cardinality):
    """Every code, on either side of what ONNX Runtime turns into bits, and missing ones."""
    noise = np.random.default_rng(2)
    code = noise.integers(0, cardinality, 1500)
    effect = noise.normal(size=cardinality)
    X = np.column_stack([code, noise.normal(size=1500)]).astype(np.float32)
    X[noise.random(1500) < 0.1, 0] = np.nan
    y = np.where(np.isnan(X[:, 0]), 3.0, effect[code]) * 2 + X[:, 1]
    limits = {
        "lightgbm": {"max_cat_threshold": 1 if onehot else 64},
        "xgboost": {"max_cat_to_onehot": 200 if onehot else 1},
    }
    model = fit(family, X, y, (cardinality, 0), **limits[family])
    trees = trees_of(model)
    assert trees.set_size.max() == 1 or not onehot
    assert trees.set_size.max() > 1 or onehot or cardinality == 3
    codes = np.concatenate([np.arange(cardinality), [np.nan]]).astype(np.float32)
    rows = np.array([[c, x] for c in codes for x in (-1.0, 0.3, np.nan)], np.float32)
    np.testing.assert_allclose(evaluate([trees], rows)[:, :, 0], native(model, rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", PARAMS)
def test_trees_without_splits(family):
    X = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
    model = fit(family, X, np.full(80, 2.5), (0, 0))
    assert len(trees_of(model).feature) == 0
    np.testing.assert_allclose(evaluate([trees_of(model)], X)[:, 0, 0], native(model, X)[:, 0], atol=1e-6)


@pytest.mark.parametrize("part_nodes", [20, 150, 100_000])
def test_many_models_in_parts_of_any_size(monkeypatch, part_nodes):
    """Models smaller and larger than a part, of both libraries, with three classes."""
    monkeypatch.setattr(forest, "PART_NODES", part_nodes)
    noise = np.random.default_rng(3)
    X = np.column_stack([noise.normal(size=300), noise.integers(0, 6, 300)]).astype(np.float32)
    y = np.digitize(X[:, 0] + X[:, 1] / 3, [0.3, 1.2])
    models = [
        fit(family, X, y, (0, 6), "multiclass", num_boost_round=rounds)
        for family, rounds in (
            ("lightgbm", 1),
            ("lightgbm", 6),
            ("xgboost", 1),
            ("xgboost", 5),
            ("lightgbm", 1),
        )
    ]
    X[:50, 1] = np.nan
    found = evaluate([trees_of(model) for model in models], X)
    assert found.shape == (300, 3, 5)
    for index, model in enumerate(models):
        np.testing.assert_allclose(found[:, :, index], native(model, X), rtol=0, atol=1e-5)


def test_scaled_trees_answer_in_other_units():
    one_leaf = Trees(
        node_start=np.array([0, 0]),
        leaf_start=np.array([0, 1]),
        output=np.array([0]),
        feature=np.zeros(0, np.int64),
        yes=np.zeros(0, np.int64),
        no=np.zeros(0, np.int64),
        threshold=np.zeros(0, np.float32),
        missing_yes=np.zeros(0, bool),
        set_size=np.zeros(0, np.int64),
        set_codes=np.zeros(0, np.int64),
        leaf=np.array([2.0]),
        base=np.array([0.5]),
    )
    X = np.zeros((3, 1), np.float32)
    assert evaluate([one_leaf, one_leaf.scaled(10.0, 1.0)], X)[2, 0].tolist() == [2.5, 26.0]
