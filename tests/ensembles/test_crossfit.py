"""Scores of what was chosen: on rows that took no part in choosing, and of the classes that are answered."""

import numpy as np
import pandas as pd
import pytest

from configs.schema import EnsembleConfig
from data.blocks import blocks_of
from data.dataset import TabularDataset
from data.metrics import f1, roc_auc, score
from data.splits import Split
from ensembles.bootstrap import score_interval
from ensembles.build import build_ensemble, summary
from ensembles.bundle import load_bundle
from ensembles.choice import trial_scores
from ensembles.compare import compare_models
from ensembles.crossfit import cross_answer, cross_select
from ensembles.selection import Limits, select
from ensembles.thresholds import decide
from models.base import FitContext
from models.trials import read_trials
from tests.quick import quick_model, write_table


def noisy(n, m, quality, seed=0):
    """Candidates of m models that see the truth with errors of their own; quality 0: nothing of it."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * z))).astype(int)
    p = 1 / (1 + np.exp(-(quality * z + rng.normal(size=(m, n)))))
    return [np.column_stack([1 - one, one]).astype(np.float32) for one in p], y


def test_choosing_among_noise_is_seen_through():
    """What is chosen for its luck has none on rows that it was not chosen on."""
    candidates, y = noisy(300, 100, 0.0)
    folds = np.arange(300) % 5
    fitted = 1 + select(candidates, y, "roc_auc").loss - 1
    found = cross_select(candidates, y, folds, "roc_auc", Limits())
    assert -fitted > 0.6
    assert abs(roc_auc(y, found.ensemble) - 0.5) < 0.08
    assert abs(roc_auc(y, found.single) - 0.5) < 0.08


@pytest.mark.parametrize("folds", [np.arange(2000) % 4, np.zeros(2000, int)], ids=["folds", "one part"])
def test_what_is_good_everywhere_scores_as_it_is(folds):
    candidates, y = noisy(2000, 8, 1.0)
    found = cross_select(candidates, y, folds, "log_loss", Limits(), n_threads=2)
    plain = select(candidates, y, "log_loss")
    assert score("log_loss", y, found.ensemble) == pytest.approx(plain.loss, abs=0.01)
    assert score("log_loss", y, found.ensemble) < score("log_loss", y, found.single)
    np.testing.assert_allclose(found.ensemble.sum(axis=1), 1.0)
    again = cross_select(candidates, y, folds, "log_loss", Limits(), n_threads=1)
    np.testing.assert_array_equal(found.ensemble, again.ensemble)


def test_a_fold_is_decided_by_the_others():
    candidates, y = noisy(1000, 1, 1.0)
    folds = np.arange(1000) % 5
    P, chosen = cross_answer(candidates[0].astype(float), y, folds, None, 1000, "f1")
    flipped = np.where(folds == 0, 1 - y, y)
    _, again = cross_answer(candidates[0].astype(float), flipped, folds, None, 1000, "f1")
    np.testing.assert_array_equal(chosen[folds == 0], again[folds == 0])
    assert f1(y, np.eye(2)[chosen]) > f1(y, P) - 0.02


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """A run whose positive class is so rare that no probability of it reaches one half."""
    rng = np.random.default_rng(0)
    n = 1200
    x = rng.normal(size=n)
    y = np.where(rng.random(n) < 0.12 / (1 + np.exp(-1.5 * x)), "yes", "no")
    frame = pd.DataFrame({"x": x, "noise": rng.normal(size=n), "y": y})
    folder = tmp_path_factory.mktemp("rare")
    run = quick_model(folder, write_table(folder / "table.csv", frame), test_size=0.3)
    return run, frame


def test_scores_are_of_the_classes_that_are_answered(rare):
    run, frame = rare
    ensemble = build_ensemble(run, EnsembleConfig(threshold="f1"), "f1", {"name": "rare"}, FitContext())
    dataset = TabularDataset.load(run / "dataset")
    bundle = load_bundle(run / "bundle")
    chosen = decide(bundle.predict_encoded(np.asarray(dataset.X_test)).mean, bundle.threshold)
    own = f1(np.asarray(dataset.y_test), np.eye(2)[chosen])
    assert own > 0
    assert ensemble.test["ensemble"]["f1"] == pytest.approx(own, abs=1e-9)
    assert ensemble.test["ensemble"]["accuracy"] == pytest.approx((chosen == dataset.y_test).mean())
    assert ensemble.oof_score > 0
    low, high = ensemble.intervals["oof"]
    assert low <= ensemble.oof_score <= high
    low, high = ensemble.intervals["test"]["ensemble"]["f1"]
    assert low <= own <= high
    (f1_row,) = (m for m in compare_models(bundle, bundle, frame) if m.metric == "f1")
    of_file = decide(bundle.predict(frame).mean, bundle.threshold)
    assert (
        f1_row.first
        == f1_row.second
        == pytest.approx(f1((frame["y"] == "yes").astype(int).to_numpy(), np.eye(2)[of_file]))
    )


def test_an_ensemble_that_is_not_better_is_not_deployed(tmp_path):
    """Of a good model and a useless one nothing is to be mixed; whatever is deployed is no worse than the best."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(240, 2))
    frame = pd.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] + rng.normal(size=240) > 0, "u", "v")}
    )
    params = {"dnn": {"epochs": 2, "n_blocks": 1, "d_block": 8}, "xgboost": {"num_boost_round": 1}}
    families = ("lightgbm", "xgboost", "dnn")
    run = quick_model(tmp_path, write_table(tmp_path / "t.csv", frame), families=families, params=params)
    ensemble = build_ensemble(run, EnsembleConfig(), "log_loss", {"name": "q"}, FitContext())
    simpler = summary(ensemble).get("simpler")
    if simpler is None:
        assert len(ensemble.members) == 1 or ensemble.oof_score < ensemble.best_single_oof_score + 0.02
    else:
        assert len(ensemble.members) == 1
        assert simpler["ensemble"] >= simpler["best_single"]
    assert ensemble.members[0].trial in read_trials(run / "trials")


def test_a_trial_scores_over_its_rows_as_an_ensemble_does(tmp_path):
    """The root of a mean is not the mean of roots: folds with other errors tell them apart."""
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(size=150), 30 * rng.normal(size=10)])
    frame = pd.DataFrame({"x": rng.normal(size=160), "y": y})
    run = quick_model(tmp_path, write_table(tmp_path / "t.csv", frame))
    dataset = TabularDataset.load(run / "dataset")
    (trial,) = read_trials(run / "trials")
    found = trial_scores([trial], dataset, "rmse")[trial.name]
    assert found == pytest.approx(score("rmse", np.asarray(dataset.y), trial.oof(np.asarray(dataset.folds))))
    assert found > trial.score
    ensemble = build_ensemble(run, EnsembleConfig(), "rmse", {"name": "q"}, FitContext())
    assert ensemble.best_single_oof_score == pytest.approx(found)


def test_blocks_are_groups_or_stretches_of_time():
    rows = np.arange(400) >= 100
    groups = Split("group", np.zeros(400, int), np.arange(400) // 40)
    blocks = blocks_of(groups, rows)
    assert (blocks[:100] == -1).all()
    assert len(set(blocks[100:])) == 8
    moments = np.sort(np.random.default_rng(0).integers(0, 90, 400))
    stretches = blocks_of(Split("time", np.zeros(400, int), moments), rows)[100:]
    assert len(set(stretches)) <= 20
    assert (np.diff(stretches) >= 0).all()
    assert all(len(set(stretches[moments[100:] == m])) <= 1 for m in range(90))
    assert blocks_of(Split("random", np.zeros(400, int)), rows) is None


def test_the_interval_of_grouped_rows_holds_other_groups():
    """Rows of a group share an error: resampled row by row, the interval would be a third as wide."""

    def world(rng, n_groups, rows=50):
        blocks = np.repeat(np.arange(n_groups), rows)
        x = rng.normal(size=n_groups * rows)
        return x + rng.normal(size=n_groups)[blocks] + rng.normal(size=len(x)), x[:, None], blocks

    rng = np.random.default_rng(0)
    y, P, _ = world(rng, 2000)
    truth = score("rmse", y, P)
    held, by_row = 0, 0
    for _ in range(100):
        y, P, blocks = world(rng, 12)
        low, high = score_interval("rmse", y, P, blocks=blocks)
        held += low <= truth <= high
        low, high = score_interval("rmse", y, P)
        by_row += low <= truth <= high
    assert held >= 85
    assert by_row < 60
    assert score_interval("rmse", y, P, blocks=np.zeros(len(y))) == (score("rmse", y, P),) * 2


def test_an_interval_stays_within_what_a_metric_can_be():
    candidates, y = noisy(60, 1, 4.0)
    low, high = score_interval("roc_auc", y, candidates[0], blocks=np.arange(60) // 20)
    assert 0 <= low <= high <= 1
