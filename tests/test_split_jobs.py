"""Whole jobs whose rows are not divided into folds at random: one part to validate, and folds in time."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.dataset import TabularDataset
from data.metrics import score
from ensembles import load_bundle
from ensembles.bundle import read_manifest
from models.trials import read_trials
from tests.conftest import binary_table, tabularay

QUICK = ("families=[lightgbm]", "search.num_trials=2", "tracking=none", "params.lightgbm.num_boost_round=60")


def tune(folder, frame, *overrides):
    frame.to_csv(folder / "table.csv", index=False)
    source = ("data.source=table.csv", "data.target=target", "data.test_size=0.2")
    done = tabularay("tune", *source, *QUICK, "--json", *overrides, cwd=folder)
    result = json.loads(done.stdout)
    return result, Path(result["run"]), Path(folder, result["bundle"])


def predict(folder, frame, model="table"):
    frame.drop(columns="target").to_csv(folder / "new.csv", index=False)
    tabularay("predict", model, "--input", "new.csv", "--output", "out.csv", "--uncertainty", cwd=folder)
    return pd.read_csv(folder / "out.csv")


def test_one_part_validates_a_table_above_the_stated_size(tmp_path):
    frame = binary_table()
    result, run, bundle = tune(tmp_path, frame, "data.holdout_rows=300", "ensemble.refit=false")
    dataset = TabularDataset.load(run / "dataset")
    validated = dataset.folds == 0
    assert dataset.n_folds == 1
    assert validated.sum() == 91  # a fifth of 455, rounded up
    trials = read_trials(run / "trials")
    assert [(t.state, len(t.folds)) for t in trials] == [("completed", 1)] * 2
    answers = load_bundle(bundle).predict_encoded(np.asarray(dataset.X)[validated]).mean
    found = score("roc_auc", dataset.y[validated], answers)
    assert found == pytest.approx(result["scores"]["oof"], abs=1e-6)
    assert set(result["scores"]["test"]) == {"ensemble", "best_single", "untuned_lightgbm"}
    out = predict(tmp_path, frame)
    assert (out["prediction"] == frame["target"]).mean() > 0.9
    assert np.isfinite(out["uncertainty_total"]).all()
    again = tabularay("ensemble", run, "ensemble.max_members=1", "name=small", "--json", cwd=tmp_path)
    assert len(json.loads(again.stdout)["members"]) == 1


def rising_table(n_rows=900):
    rng = np.random.default_rng(0)
    days = np.sort(rng.integers(0, 300, n_rows))
    x = rng.normal(size=n_rows)
    when = (pd.Timestamp("2026-01-01") + pd.to_timedelta(days, "D")).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"day": days, "when": when, "x": x, "target": 10.0 * days + x})
    return frame.sample(frac=1, random_state=0)


def test_folds_in_time_learn_nothing_of_later_rows(tmp_path):
    frame = rising_table()
    _, run, bundle = tune(tmp_path, frame, "data.time=when", "data.n_folds=3", "data.ignore=[when]")
    dataset = TabularDataset.load(run / "dataset")
    assert (dataset.split, dataset.n_folds) == ("time", 3)
    assert dataset.y.max() < dataset.y_test.min() + 10
    folds = dataset.folds[dataset.folds >= 0]
    for trial in read_trials(run / "trials"):
        oof = trial.oof(dataset.folds)[:, 0]
        assert oof.shape == folds.shape
        for k in range(3):
            # Trees answer with means of what they were trained on: no more than the most they saw.
            assert oof[folds == k].max() <= dataset.y[dataset.folds < k].max() + 1
    # What answers new rows has been refitted with the latest ones.
    latest = dataset.folds == 2
    answers = load_bundle(bundle).predict_encoded(np.asarray(dataset.X)[latest]).mean
    assert answers.max() > dataset.y[dataset.folds < 2].max() + 300
    assert {member["n_models"] for member in read_manifest(bundle)["members"]} == {1}
    # Trees cannot follow a rise: no better than a constant on later rows, so that it is not in production by itself.
    assert len(predict(tmp_path, frame, "table@candidate")) == len(frame)
