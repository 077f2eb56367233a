"""What every family owes its users, on every problem type."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from errors import BundleError, ConfigError
from models.base import FitContext, Fold, Task
from models.families import FAMILIES, get_family
from tests.models.tables import CARDINALITIES, OUTPUTS, QUICK, make_fold, make_rows, make_task

CASES = [(family, problem_type) for family in FAMILIES for problem_type in OUTPUTS]
WITH_DRAWS = {"mc_dropout", "bnn"}
NETWORKS = {"dnn", "mc_dropout", "bnn"}


def fit(family, problem_type, fold=None, seed=0, **params):
    context = FitContext(seed=seed)
    fold = fold or make_fold(problem_type)
    return get_family(family).fit({**QUICK[family], **params}, make_task(problem_type), fold, context)


def same(one, other):
    pairs = [(one.mean, other.mean), (one.draws, other.draws), (one.noise, other.noise)]
    return all((a is None and b is None) or np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def fitted(request):
    family, problem_type = request.param
    return family, problem_type, fit(family, problem_type), make_rows(problem_type, 150, 2)


def test_shapes_and_ranges(fitted):
    family, problem_type, model, (X, _) = fitted
    prediction = model.predict(X)
    assert prediction.mean.shape == (len(X), OUTPUTS[problem_type])
    assert prediction.mean.dtype == (np.float64 if problem_type == "regression" else np.float32)
    assert np.isfinite(prediction.mean).all()
    assert model.has_draws == (family in WITH_DRAWS)
    if problem_type != "regression":
        assert (prediction.mean >= 0).all()
        np.testing.assert_allclose(prediction.mean.sum(axis=1), 1, atol=1e-5)


def test_draws_and_noise(fitted):
    family, problem_type, model, (X, _) = fitted
    prediction = model.predict(X)
    if family not in WITH_DRAWS:
        assert prediction.draws is None
        assert prediction.noise is None
        return
    assert prediction.draws.shape == (8, len(X), OUTPUTS[problem_type])
    np.testing.assert_allclose(prediction.draws.mean(axis=0), prediction.mean, rtol=1e-5, atol=1e-6)
    assert (prediction.draws.std(axis=0).max(axis=1) > 0).all()
    if problem_type == "regression":
        assert prediction.noise.shape == (len(X),)
        assert (prediction.noise > 0).all()
    else:
        np.testing.assert_allclose(prediction.draws.sum(axis=2), 1, atol=1e-5)
        assert prediction.noise is None


def test_learns(fitted):
    _, problem_type, model, (X, y) = fitted
    mean = model.predict(X).mean
    if problem_type == "regression":
        assert np.mean((mean[:, 0] - y) ** 2) < 0.35 * np.var(y)
    else:
        shares = np.bincount(y) / len(y)
        assert -np.log(mean[np.arange(len(y)), y] + 1e-9).mean() < 0.75 * -(shares * np.log(shares)).sum()


def test_save_and_load_predict_the_same(fitted, tmp_path):
    family, _, model, (X, _) = fitted
    model.save(tmp_path)
    loaded = get_family(family).load(tmp_path)
    assert same(model.predict(X), loaded.predict(X))
    assert loaded.history == model.history
    assert not list(tmp_path.rglob("*.pkl"))
    again = tmp_path / "again"
    again.mkdir()
    loaded.save(again)
    assert same(model.predict(X), get_family(family).load(again).predict(X))


def test_one_row_is_its_row_in_a_batch(fitted):
    _, problem_type, model, (X, y) = fitted
    unit = np.std(y) if problem_type == "regression" else 1.0
    batch = model.predict(X)
    for row in (0, 7, 149):
        alone = model.predict(X[row : row + 1])
        np.testing.assert_allclose(alone.mean[0] / unit, batch.mean[row] / unit, rtol=0, atol=1e-5)
        if batch.draws is not None:
            np.testing.assert_allclose(
                alone.draws[:, 0] / unit, batch.draws[:, row] / unit, rtol=0, atol=1e-5
            )


def test_missing_and_unseen_values(fitted):
    _, _, model, (X, _) = fitted
    X = X[:20].copy()
    X[:5, 0] = np.nan  # never missing in training
    X[5:10, 4] = np.nan
    X[10:15, 4] = 4  # a code no training row has
    X[15:, 5] = np.nan  # never missing in training
    X[18] = np.nan
    X[19, :4] = 1e30
    prediction = model.predict(X)
    assert np.isfinite(prediction.mean).all()


def test_history(fitted):
    _family, _, model, _ = fitted
    history = model.history
    assert len(history.train) == len(history.val) > 0
    assert history.best <= (len(history.val) - 1) * history.every + history.every - 1
    assert history.stop_reason in {"complete", "patience"}
    assert history.train[-1] < history.train[0]
    assert len(history.val) <= model.meta.params[model.steps_param]


def test_same_seed_same_answer_and_global_generator_untouched(fitted):
    family, problem_type, model, (X, _) = fitted
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    again = fit(family, problem_type)
    assert torch.equal(before, torch.random.get_rng_state())
    assert same(model.predict(X), again.predict(X))


@pytest.mark.parametrize("family", FAMILIES)
def test_another_seed_another_answer(family):
    params = {
        "lightgbm": {"bagging_fraction": 0.5},
        "xgboost": {"subsample": 0.5},
    }.get(family, {})
    X, _ = make_rows("binary", 50, 2)
    one, other = (fit(family, "binary", seed=seed, **params).predict(X).mean for seed in (0, 1))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("family", "problem_type"), CASES)
def test_deadline_in_the_past_leaves_a_usable_model(family, problem_type):
    fold = make_fold(problem_type)
    context = FitContext(deadline=time.monotonic() - 1)
    params = {
        name: value for name, value in QUICK[family].items() if name not in ("epochs", "num_boost_round")
    }
    model = get_family(family).fit(params, make_task(problem_type), fold, context)
    assert model.history.stop_reason == "deadline"
    assert len(model.history.val) == 1
    assert np.isfinite(model.predict(fold.X_val).mean).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_deadline_ends_a_long_fit(family):
    fold = make_fold("binary", 2000, 200)
    endless = {
        "lightgbm": {"num_boost_round": 100_000, "learning_rate": 1e-5},
        "xgboost": {"num_boost_round": 100_000, "learning_rate": 1e-5},
    } | {key: {"epochs": 10000, "n_cycles": 1, "patience": 10000, "lr": 1e-05} for key in NETWORKS}
    endless = endless.get(family, {get_family(family).steps_param: 10_000})
    start = time.monotonic()
    context = FitContext(deadline=start + 0.5)
    model = get_family(family).fit({**QUICK[family], **endless}, make_task("binary"), fold, context)
    assert time.monotonic() - start < 3
    assert model.history.stop_reason == "deadline"


@pytest.mark.parametrize("family", FAMILIES)
def test_deadline_that_does_not_bind_changes_nothing(family):
    X, _ = make_rows("binary", 50, 2)
    context = FitContext(deadline=time.monotonic() + 3600)
    model = get_family(family).fit(QUICK[family], make_task("binary"), make_fold("binary"), context)
    assert same(model.predict(X), fit(family, "binary").predict(X))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_number_of_steps_can_be_set(family):
    history = fit(family, "binary", **{get_family(family).steps_param: 3}).history
    assert (len(history.val), history.every) == (3, 1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_train", [1, 2, 30, 33])
def test_tiny_tables(family, n_train):
    fold = make_fold("regression", n_train, 5)
    params = {"batch_norm": True} if family in ("dnn", "mc_dropout") else {}
    prediction = fit(family, "regression", fold, **params).predict(fold.X_val)
    assert np.isfinite(prediction.mean).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("problem_type", OUTPUTS)
def test_one_value_of_the_target(family, problem_type):
    fold = make_fold(problem_type, 60, 20)
    constant = np.full_like(fold.y_train, fold.y_train.max())
    fold = replace(fold, y_train=constant)
    mean = fit(family, problem_type, fold).predict(fold.X_val).mean
    assert mean.shape == (20, OUTPUTS[problem_type])
    if problem_type == "regression":
        np.testing.assert_allclose(mean[:, 0], constant[0], rtol=0.01)
    else:
        assert (mean.argmax(axis=1) == constant[0]).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_class_absent_from_training_rows(family):
    fold = make_fold("multiclass")
    keep = fold.y_train != 1
    fold = replace(fold, X_train=fold.X_train[keep], y_train=fold.y_train[keep])
    mean = fit(family, "multiclass", fold).predict(fold.X_val).mean
    assert mean.shape == (len(fold.X_val), 4)
    assert mean[:, 1].mean() < 0.1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("cardinalities", [(0, 0), (3, 4)], ids=["numbers", "categories"])
def test_columns_of_one_kind(family, cardinalities):
    noise = np.random.default_rng(0)
    X = noise.integers(0, 3, (120, 2)).astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int64)
    fold = Fold(X[:80], y[:80], X[80:], y[80:])
    model = get_family(family).fit(QUICK[family], Task("binary", 2, cardinalities), fold, FitContext())
    assert (model.predict(X).mean.argmax(axis=1) == y).mean() > 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_target_far_from_zero(family):
    fold = make_fold("regression")
    shifted = replace(fold, y_train=fold.y_train + 1e9, y_val=fold.y_val + 1e9)
    plain, far = (fit(family, "regression", rows).predict(fold.X_val).mean[:, 0] for rows in (fold, shifted))
    np.testing.assert_allclose(far.astype(np.float64) - 1e9, plain, atol=0.2 * np.std(fold.y_val))


@pytest.mark.parametrize("family", FAMILIES)
def test_one_thread_is_one_thread(family):
    """CPU time of a one-thread fit and prediction can't exceed its wall clock by much."""
    fold = make_fold("multiclass", 3000, 1000)
    task, context = make_task("multiclass"), FitContext(n_threads=1)
    before = torch.get_num_threads(), threading.active_count()
    wall, cpu = time.perf_counter(), time.process_time()
    model = get_family(family).fit(QUICK[family], task, fold, context)
    model.predict(fold.X_val, n_threads=1)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert cpu < 1.3 * wall + 0.1
    assert (torch.get_num_threads(), threading.active_count()) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_unknown_parameter(family):
    valid = next(iter(get_family(family).check_params({})))
    typo = valid[:-2] + valid[:-3:-1]
    with pytest.raises(ConfigError) as error:
        fit(family, "binary", **{typo: 1})
    message = str(error.value)
    assert f"params.{family}: unknown parameter '{typo}'" in message
    assert f"did you mean '{valid}'?" in message
    assert "allowed: " in message


@pytest.mark.parametrize("family", FAMILIES)
def test_check_params_completes_and_is_stable(family):
    cls = get_family(family)
    full = cls.check_params(QUICK[family])
    assert full.items() >= QUICK[family].items()
    assert cls.check_params(full) == full
    assert json.loads(json.dumps(full)) == full


@pytest.mark.parametrize("family", FAMILIES)
def test_damaged_models_are_named(family, tmp_path):
    cls = get_family(family)
    with pytest.raises(BundleError, match=str(tmp_path)):
        cls.load(tmp_path)
    fit(family, "binary").save(tmp_path)
    (weights,) = (path for path in tmp_path.iterdir() if path.name != "meta.json")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(BundleError, match=str(tmp_path)):
        cls.load(tmp_path)
    weights.unlink()
    with pytest.raises(BundleError, match=str(tmp_path)):
        cls.load(tmp_path)


def test_a_model_of_another_family_is_refused(tmp_path):
    fit("dnn", "binary").save(tmp_path)
    with pytest.raises(BundleError, match="mc_dropout"):
        get_family("mc_dropout").load(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_its_own_library_is_imported(family):
    libraries = {"lightgbm": "lightgbm", "xgboost": "xgboost"} | dict.fromkeys(NETWORKS, "torch")
    others = set(libraries.values()) - {libraries.get(family)}
    code = f"import sys, models.{family}; print(*({others!r} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == ""


def test_tables_have_every_kind_of_column():
    X, _ = make_rows("binary", 400, 1)
    assert len(CARDINALITIES) == X.shape[1]
    assert np.isnan(X[:, 3]).all()
    assert np.nanstd(X[:, 2]) == 0
    assert np.nanmax(X[:, 4]) < CARDINALITIES[4] - 1
