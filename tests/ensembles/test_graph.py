"""The graph answers as the models it is made of: every family, problem and option that changes what is computed."""

from functools import cache

import numpy as np
import onnx
import pytest

from ensembles.graph import ExportMember, build_graph
from ensembles.session import CHUNK_ROWS, GraphSession
from ensembles.uncertainty import UncertaintySum
from errors import TrainingError
from models.base import FitContext, Fold, Task
from models.boosting import TargetScale
from models.families import FAMILIES, get_family
from tests.models.tables import OUTPUTS, QUICK, make_fold, make_rows, make_task

NETWORK = {"n_blocks": 2, "d_block": 8, "epochs": 2, "lr": 0.1}
TINY = {
    "lightgbm": {"num_boost_round": 12, "min_data_in_leaf": 3, "min_data_per_group": 5, "cat_smooth": 1.0},
    "xgboost": {"num_boost_round": 8, "max_cat_to_onehot": 2},
    "dnn": NETWORK,
    "mc_dropout": NETWORK | {"n_draws": 5},
    "bnn": NETWORK | {"n_draws": 5},
}
OPTIONS = [
    ("lightgbm", "multiclass", {"max_cat_threshold": 1, "num_leaves": 3}),
    ("xgboost", "regression", {"max_cat_to_onehot": 100, "max_depth": 2}),
    ("dnn", "multiclass", {"n_members": 3, "batch_norm": True, "activation": "selu"}),
    ("dnn", "regression", {"n_members": 3}),
    ("dnn", "regression", {"num_embedding": "none", "activation": "relu"}),
    ("mc_dropout", "multiclass", {"batch_norm": True, "activation": "gelu"}),
    ("bnn", "regression", {"activation": "relu", "num_embedding": "none"}),
    ("bnn", "multiclass", {"activation": "mish"}),
]


@cache
def fit_models(family, problem_type, n_models, options):
    """Models of different rows: the second has missing values where the first has none."""
    params = TINY.get(family, QUICK[family]) | dict(options)
    models = []
    for index in range(n_models):
        fold = make_fold(problem_type, 160, 60)
        if index == 0:
            fold = Fold(np.nan_to_num(fold.X_train), fold.y_train, fold.X_val, fold.y_val)
        models.append(get_family(family).fit(params, make_task(problem_type), fold, FitContext(seed=index)))
    return tuple(models)


def fit_member(family, problem_type, params=None, n_models=2, weight=1.0):
    models = fit_models(family, problem_type, n_models, tuple((params or {}).items()))
    noise = 300.0**2 if problem_type == "regression" else 0.0
    return ExportMember(f"{family}-{weight}", family, weight, noise, models)


def hard_rows(problem_type, n_rows=60):
    """Rows, a third of their values missing, and one without any value."""
    X, y = make_rows(problem_type, n_rows, 5)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    X[-1] = np.nan
    return X, y


def run_graph(members, problem_type, X, y, calibration=None):
    task = make_task(problem_type)
    graph = build_graph(members, task, TargetScale.of(y, task), calibration)
    onnx.checker.check_model(graph, full_check=True)
    return GraphSession(graph.SerializeToString()).predict(X)


def ask_models(members, problem_type, X):
    both = UncertaintySum(problem_type == "regression")
    for member in members:
        for model in member.parts:
            both.add(model.predict(X), member.weight / len(member.parts), member.noise)
    return both.result()


def assert_same(found, expected, unit):
    np.testing.assert_allclose(found.mean / unit, expected.mean / unit, rtol=0, atol=1e-5)
    for part in ("total", "aleatoric", "epistemic"):
        np.testing.assert_allclose(
            getattr(found, part) / unit, getattr(expected, part) / unit, rtol=0, atol=1e-4
        )


@pytest.mark.parametrize("problem_type", OUTPUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_two_folds_of_every_family(family, problem_type):
    X, y = hard_rows(problem_type)
    unit = np.std(y) if problem_type == "regression" else 1.0
    member = fit_member(family, problem_type)
    found, expected = run_graph([member], problem_type, X, y), ask_models([member], problem_type, X)
    assert_same(found, expected, unit)
    assert expected.mean.std(axis=0).max() / unit > 0.01, (
        "models that say the same of every row prove nothing"
    )
    assert found.members.shape == (1, len(X), OUTPUTS[problem_type])
    np.testing.assert_allclose(found.members[0] / unit, found.mean / unit, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("family", "problem_type", "params"), OPTIONS, ids=str)
def test_every_option_that_changes_the_network_or_the_trees(family, problem_type, params):
    X, y = hard_rows(problem_type)
    member = fit_member(family, problem_type, params)
    unit = np.std(y) if problem_type == "regression" else 1.0
    assert_same(run_graph([member], problem_type, X, y), ask_models([member], problem_type, X), unit)


@pytest.fixture(scope="module", params=OUTPUTS)
def mixed(request):
    families = ("lightgbm", "dnn", "xgboost", "bnn")
    members = [
        fit_member(f, request.param, weight=w) for f, w in zip(families, (0.4, 0.3, 0.2, 0.1), strict=True)
    ]
    return request.param, members, *hard_rows(request.param)


def test_members_of_all_kinds_are_weighted(mixed):
    problem_type, members, X, y = mixed
    unit = np.std(y) if problem_type == "regression" else 1.0
    found = run_graph(members, problem_type, X, y)
    assert_same(found, ask_models(members, problem_type, X), unit)
    weighted = np.tensordot([m.weight for m in members], found.members.astype(np.float64), 1)
    np.testing.assert_allclose(weighted / unit, found.mean / unit, rtol=0, atol=1e-5)
    for member, answer in zip(members, found.members, strict=True):
        np.testing.assert_allclose(
            answer / unit, ask_models([member], problem_type, X).mean / unit, rtol=0, atol=1e-5
        )


def test_rows_answer_alike_alone_and_in_any_batch(mixed):
    problem_type, members, X, y = mixed
    unit = np.std(y) if problem_type == "regression" else 1.0
    many = np.tile(X, (CHUNK_ROWS // len(X) + 2, 1))
    found = run_graph(members, problem_type, many, y)
    assert found.members.shape[1] == len(found.mean) == len(many)
    alone = run_graph(members, problem_type, many[-1:], y)
    np.testing.assert_allclose(alone.mean[0] / unit, found.mean[-1] / unit, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.mean[: len(X)] / unit, found.mean[len(X) : 2 * len(X)] / unit, atol=1e-6)


def test_targets_far_from_zero_keep_their_digits():
    fold = make_fold("regression", 160, 60)
    offset = 5e6
    fold = Fold(fold.X_train, fold.y_train + offset, fold.X_val, fold.y_val + offset)
    model = get_family("xgboost").fit(TINY["xgboost"], make_task("regression"), fold, FitContext())
    X, _ = hard_rows("regression")
    found = run_graph([ExportMember("x", "xgboost", 1.0, 1.0, (model, model))], "regression", X, fold.y_train)
    expected = model.predict(X).mean
    np.testing.assert_allclose(found.mean, expected, rtol=0, atol=np.spacing(np.float32(2 * offset)))
    np.testing.assert_array_equal(found.epistemic, 0.0)
    np.testing.assert_allclose(found.total, 1.0)


def test_a_number_of_draws_is_shared_by_the_folds():
    member = fit_member("mc_dropout", "binary", {"n_draws": 5}, n_models=3)
    X, y = hard_rows("binary")
    draws = [model.predict(X).draws for model in member.parts]
    assert [len(d) for d in draws] == [2, 2, 2]
    whole = [model.predict(X).draws for model in member.models]
    np.testing.assert_array_equal(draws[1], whole[1][[2, 3]])
    np.testing.assert_array_equal(draws[2], whole[2][[4, 0]])
    assert_same(run_graph([member], "binary", X, y), ask_models([member], "binary", X), 1.0)


@pytest.mark.parametrize(
    "calibration",
    [
        {"kind": "temperature", "temperature": 1.7},
        {"kind": "beta", "a": 1.3, "b": 0.4, "c": 0.2},
        {"kind": "isotonic", "x": [0.2, 0.3, 0.3, 0.5, 0.7], "y": [0.1, 0.15, 0.4, 0.4, 0.9]},
    ],
    ids=lambda c: c["kind"],
)
def test_calibration(calibration):
    member = fit_member("xgboost", "binary")
    X, y = hard_rows("binary")
    raw, found = (run_graph([member], "binary", X, y, c) for c in (None, calibration))
    p0, p1 = raw.mean.T
    expected = {
        "temperature": lambda: p1 ** (1 / 1.7) / (p0 ** (1 / 1.7) + p1 ** (1 / 1.7)),
        "beta": lambda: 1 / (1 + np.exp(-(1.3 * np.log(p1) - 0.4 * np.log(p0) + 0.2))),
        "isotonic": lambda: np.interp(p1, calibration["x"], calibration["y"]),
    }[calibration["kind"]]()
    assert np.abs(expected - p1).max() > 0.02
    np.testing.assert_allclose(found.mean, np.column_stack([1 - expected, expected]), rtol=0, atol=1e-9)
    same = raw.calibrated(found.mean)
    for part in ("total", "aleatoric", "epistemic"):
        np.testing.assert_allclose(getattr(found, part), getattr(same, part), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.aleatoric * raw.total, found.total * raw.aleatoric, atol=1e-3)
    np.testing.assert_array_equal(found.members, raw.members)


@pytest.mark.parametrize("kind", [{"kind": "identity"}, {"kind": "temperature", "temperature": 0.8}])
def test_a_floor_is_left_to_every_class(kind):
    member = fit_member("lightgbm", "multiclass")
    X, y = hard_rows("multiclass")
    bare, found = (run_graph([member], "multiclass", X, y, c).mean for c in (kind, kind | {"floor": 0.01}))
    n_classes = found.shape[1]
    np.testing.assert_allclose(found, 0.01 + (1 - 0.01 * n_classes) * bare, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)


def test_a_calibration_that_never_rises_and_one_that_is_unknown():
    member = fit_member("xgboost", "binary", n_models=1)
    X, y = hard_rows("binary")
    flat = {"kind": "isotonic", "x": [0.1, 0.9], "y": [0.3, 0.3]}
    np.testing.assert_allclose(run_graph([member], "binary", X, y, flat).mean[:, 1], 0.3)
    with pytest.raises(TrainingError, match="'magic'"):
        run_graph([member], "binary", X, y, {"kind": "magic"})


def test_calibration_keeps_small_probabilities():
    """Of two answers that both round to 1, a beta calibration can make different ones."""
    calibration = {"kind": "beta", "a": 1.0, "b": 0.3, "c": -4.0}
    noise = np.random.default_rng(0)
    X = noise.normal(size=(300, 1)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int64)
    params = {"num_boost_round": 150, "learning_rate": 1.0, "min_child_weight": 0.0, "reg_lambda": 0.0}
    model = get_family("xgboost").fit(params, Task("binary", 2, (0,)), Fold(X, y, X, y), FitContext())
    task = Task("binary", 2, (0,))
    member = ExportMember("x", "xgboost", 1.0, 0.0, (model,))
    graph = build_graph([member], task, TargetScale(), calibration).SerializeToString()
    found = GraphSession(graph).predict(X).mean[:, 1]
    p0, p1 = model.predict(X).mean.astype(np.float64).T
    assert p0.min() < 5e-8
    expected = 1 / (1 + np.exp(-(np.log(p1) - 0.3 * np.log(np.maximum(p0, 1e-12)) - 4.0)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
