"""What may be asked of an ensemble, on runs made in seconds without a sweep."""

import shutil
import time

import numpy as np
import pandas as pd
import pytest

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from data.metrics import score
from ensembles.build import build_ensemble, summary
from ensembles.bundle import load_bundle, read_manifest
from ensembles.conformal import interval
from ensembles.scoring import predict_rows
from ensembles.spread import member_spread
from errors import ConfigError, TrainingError
from models.base import FitContext
from tests.quick import quick_model, write_table

FAMILIES = ("lightgbm", "xgboost", "dnn")
FACTS = {"name": "quick", "created": 0}
N = 900


def table(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 4))
    signal = X[:, 0] + np.abs(X[:, 1])
    frame = pd.DataFrame(X, columns=list("abcd"))
    if kind == "regression":
        return frame.assign(y=signal + 0.3 * np.exp(0.7 * X[:, 2]) * rng.normal(size=N))
    return frame.assign(y=np.where(signal + rng.logistic(size=N) > 2.2, "yes", "no"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One run for each problem type, a third of its rows withheld."""

    def make(kind):
        folder = tmp_path_factory.mktemp(kind)
        source = write_table(folder / "table.csv", table(kind))
        return quick_model(folder, source, families=FAMILIES, test_size=1 / 3)

    return {kind: make(kind) for kind in ("binary", "regression")}


@pytest.fixture
def unwritten(monkeypatch):
    """Ensembles are built without their bundles, which take the most time."""
    monkeypatch.setattr("ensembles.build.write_bundle", lambda path, contents: None)


def build(run, metric, context=None, **config):
    return build_ensemble(run, EnsembleConfig(**config), metric, FACTS, context or FitContext())


def rmse_on_test(ensemble, run):
    dataset = TabularDataset.load(run / "dataset")
    rows = (np.asarray(dataset.X_test), 1)
    answers = predict_rows(ensemble.members, ensemble.best_single, ensemble.honesty, dataset, rows)
    return answers, dataset, score("rmse", dataset.y_test, answers.mean)


def test_refitted_members_are_one_model_each_that_has_seen_all_rows(runs):
    free, refitted = (build(runs["regression"], "rmse", refit=refit) for refit in (False, True))
    assert all(m.refitted is None for m in free.members)
    assert [m.trial.name for m in refitted.members] == [m.trial.name for m in free.members]
    assert all(len(m.deployed.folds) == 1 for m in refitted.members)
    assert summary(refitted)["refitted"] == {"members": len(refitted.members), "kept": {}}
    before, after = (rmse_on_test(e, runs["regression"]) for e in (free, refitted))
    assert after[2] != before[2]
    assert after[2] < 1.1 * before[2]
    assert refitted.test["ensemble"]["rmse"] == pytest.approx(after[2])
    dataset = after[1]
    found = load_bundle(runs["regression"] / "bundle").predict_encoded(np.asarray(dataset.X_test))
    np.testing.assert_allclose(found.mean, after[0].mean, rtol=1e-4, atol=1e-4)


def test_without_time_members_keep_their_fold_models_and_the_reason_is_told(runs, unwritten):
    late = FitContext(deadline=time.monotonic())
    ensemble = build(runs["regression"], "rmse", late, refit=True)
    assert all(m.refitted is None for m in ensemble.members)
    kept = summary(ensemble)["refitted"]["kept"]
    assert set(kept) == {m.trial.name for m in ensemble.members}
    assert all("no time" in reason for reason in kept.values())


def test_a_fit_that_fails_keeps_the_fold_models(runs, monkeypatch, unwritten):
    def fails(trial, dataset, context):
        raise TrainingError("diverged")

    monkeypatch.setattr("ensembles.refit._fit", fails)
    kept = summary(build(runs["binary"], "log_loss", refit=True))["refitted"]["kept"]
    assert set(kept.values()) == {"diverged"}


def test_boosted_members_are_refitted_with_as_many_models_as_they_had(tmp_path):
    """Each with a seed of its own; where a seed changes nothing, one model is enough."""
    source = write_table(tmp_path / "table.csv", table("regression"))
    params = {"lightgbm": {"num_boost_round": 20, "bagging_fraction": 0.7}}
    run = quick_model(tmp_path, source, families=FAMILIES, params=params, test_size=1 / 3)
    kept, again, same = (build(run, "rmse", refit=how, fold_models="all") for how in (False, "auto", "auto"))
    assert summary(again)["refitted"]["kept"] == {}
    X = np.asarray(TabularDataset.load(run / "dataset").X_test)
    n_models = {}
    for old, new, other in zip(kept.members, again.members, same.members, strict=True):
        assert (old.trial.name, old.weight) == (new.trial.name, new.weight)
        assert len(old.deployed.folds) == 2
        n_models[new.trial.family] = len(new.loaded.models), new.refitted is not None
        np.testing.assert_array_equal(
            [m.predict(X).mean for m in new.loaded.models], [m.predict(X).mean for m in other.loaded.models]
        )
    known = {"lightgbm": (2, True), "xgboost": (1, True), "dnn": (2, False)}
    assert n_models.keys() >= {"lightgbm", "xgboost"}
    assert n_models.items() <= known.items()
    assert again.test["ensemble"]["rmse"] < 1.02 * kept.test["ensemble"]["rmse"]


def test_light_members_answer_with_fewer_fold_models(runs):
    whole, light = (
        build(runs["regression"], "rmse", fold_models=kind, refit=False) for kind in ("all", "weighted")
    )
    assert [m.weight for m in light.members] == [m.weight for m in whole.members]
    assert all(len(m.deployed.folds) == 2 for m in whole.members)
    assert [len(m.deployed.folds) for m in light.members] == [1 + (m.weight > 0.2) for m in light.members]
    manifest = read_manifest(runs["regression"] / "bundle")
    assert [m["n_models"] for m in manifest["members"]] == [len(m.deployed.folds) for m in light.members]
    answers, dataset, rmse = rmse_on_test(light, runs["regression"])
    assert light.test["ensemble"]["rmse"] == pytest.approx(rmse)
    assert rmse == pytest.approx(whole.test["ensemble"]["rmse"], rel=0.03)
    found = load_bundle(runs["regression"] / "bundle").predict_encoded(np.asarray(dataset.X_test))
    np.testing.assert_allclose(found.mean, answers.mean, rtol=1e-4, atol=1e-4)


def test_what_honesty_was_learned_is_stored_and_told(runs):
    ensemble = build(runs["binary"], "log_loss", threshold="f1")
    manifest = read_manifest(runs["binary"] / "bundle")
    assert manifest["calibration"] == ensemble.honesty.calibration
    assert manifest["threshold"] == ensemble.honesty.threshold
    scores = summary(ensemble)
    assert scores["calibration"]["log_loss_after"] <= scores["calibration"]["log_loss_before"]
    assert scores["threshold"]["for"] == "f1"
    assert scores["test_honesty"]["covered"] == pytest.approx(0.9, abs=0.06)
    assert 0 < scores["test_honesty"]["ece"] < 0.2
    assert scores["test_honesty"]["threshold"]["value"] > 0.4
    assert manifest["scores"]["test"] == scores["test"]


def test_intervals_of_the_deployed_model_cover_the_withheld_rows(runs, unwritten):
    ensemble = build(runs["regression"], "rmse")
    answers, dataset, _ = rmse_on_test(ensemble, runs["regression"])
    ends = interval(answers.mean, answers.members, ensemble.honesty.conformal, 0.8)
    y = dataset.y_test
    assert ((ends[:, 0] <= y) & (y <= ends[:, 1])).mean() == pytest.approx(0.8, abs=0.07)
    assert summary(ensemble)["test_honesty"]["covered"] == pytest.approx(0.9, abs=0.06)
    assert summary(ensemble)["test_honesty"]["mean_width"] > 0


@pytest.mark.parametrize(("refit", "least", "most"), [(False, 0.4, 1.3), ("auto", 0.0, 2.0)])
def test_the_spread_lost_by_averaging_is_made_up_for(runs, unwritten, refit, least, most):
    """With models on all rows the spread hardly changes, and the factor must not say much else."""
    run = runs["regression"]
    ensemble = build(run, "rmse", refit=refit)
    dataset = TabularDataset.load(run / "dataset")
    X, weights = np.asarray(dataset.X_test), [m.weight for m in ensemble.members]

    def spread(k):
        answers = [m.trial.load_model(k).predict(X).mean for m in ensemble.members]
        return np.log(member_spread(np.stack(answers), weights)).mean()

    answers, _, _ = rmse_on_test(ensemble, run)
    lost = np.mean([spread(0), spread(1)]) - np.log(member_spread(answers.members, weights)).mean()
    found = ensemble.honesty.conformal["spread_factor"]
    slack = 0.1 if refit else 0.0
    assert least * lost - slack < np.log(found) < most * lost + slack
    refitted = build(run, "rmse", refit=True)
    assert refitted.honesty.conformal["spread_factor"] == 1.0


def test_a_threshold_that_does_not_fit_is_refused(runs):
    with pytest.raises(ConfigError, match=r"ensemble\.threshold"):
        build(runs["regression"], "rmse", threshold="f1")
    with pytest.raises(ConfigError, match=r"2 classes \(no, yes\)"):
        build(runs["binary"], "log_loss", threshold=((0, 1, 1), (1, 0, 1), (1, 1, 0)))


@pytest.mark.parametrize(("kind", "metric"), [("binary", "log_loss"), ("regression", "rmse")])
def test_epistemic_uncertainty_rises_far_from_the_training_rows(runs, kind, metric):
    build(runs[kind], metric)
    bundle = load_bundle(runs[kind] / "bundle")
    X = np.array(TabularDataset.load(runs[kind] / "dataset").X_test)
    inside = np.median(bundle.predict_encoded(X).epistemic)
    far = X + 8 * np.where(np.random.default_rng(0).random(X.shape) < 0.5, -1, 1).astype(np.float32)
    assert np.median(bundle.predict_encoded(far).epistemic) > 2 * inside


def test_trials_whose_models_are_gone_are_no_candidates(tmp_path):
    source = write_table(tmp_path / "table.csv", table("regression"))
    run = quick_model(tmp_path, source, families=("lightgbm", "xgboost"))
    shutil.rmtree(run / "trials" / "0000-lightgbm" / "fold_1" / "model")
    assert [m.trial.family for m in build(run, "rmse").members] == ["xgboost"]
    shutil.rmtree(run / "trials" / "0001-xgboost" / "fold_0" / "model")
    with pytest.raises(TrainingError, match="no trial is complete"):
        build(run, "rmse")


def test_columns_have_an_importance_on_the_withheld_rows(runs):
    build(runs["binary"], "log_loss")
    manifest = read_manifest(runs["binary"] / "bundle")
    found = {row["column"]: row["loss"] for row in manifest["importance"]}
    assert set(found) == set(manifest["features"])
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert next(iter(found.values())) > 0
    assert "## Importance" in (runs["binary"] / "bundle" / "card.md").read_text("utf-8")
