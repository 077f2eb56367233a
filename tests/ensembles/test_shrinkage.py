"""What averaging fold models does to the certainty of probabilities, and how it is made up for."""

import numpy as np
import pandas as pd
import pytest

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from ensembles.build import build_ensemble, summary
from ensembles.calibration import calibrate
from ensembles.shrinkage import sharpness
from ensembles.uncertainty import entropy
from models.base import FitContext
from tests.quick import quick_model, write_table

FACTS = {"name": "quick", "created": 0}


def make(folder, **options):
    """Networks of 5 classes on a third of the rows each, which are sure of different ones."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 6))
    y = (X @ rng.normal(size=(6, 5)) + rng.gumbel(size=(900, 5))).argmax(axis=1)
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(y=[f"class {k}" for k in y])
    params = {"dnn": {"n_blocks": 2, "d_block": 64, "epochs": 30, "lr": 0.05, "patience": 30}}
    return quick_model(
        folder, write_table(folder / "table.csv", frame), families=("dnn",), params=params, **options
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make(tmp_path_factory.mktemp("run"), test_size=1 / 3)


def build(run, **config):
    return build_ensemble(run, EnsembleConfig(max_latency_ms=None, **config), "log_loss", FACTS, FitContext())


def test_the_mean_of_folds_is_as_certain_as_one_of_them(run):
    """Told by training rows, and so on rows that nobody has seen."""
    ensemble = build(run)
    power = summary(ensemble)["sharpness"]
    assert power > 1.02
    (member,) = ensemble.members
    X = np.asarray(TabularDataset.load(run / "dataset").X_test)
    each = [model.predict(X).mean.astype(float) for model in member.loaded.models]
    assert len(each) == 2
    report = ensemble.honesty.report["calibration"]["kind"]
    if report is None:
        learned = ensemble.honesty.calibration
        assert (learned["kind"], learned["temperature"]) == ("temperature", 1 / power)
    single = np.mean([entropy(calibrate(P, None)).mean() for P in each])
    soft = entropy(np.mean(each, axis=0)).mean()
    sharp = entropy(
        calibrate(np.mean(each, axis=0), {"kind": "temperature", "temperature": 1 / power})
    ).mean()
    assert single < soft
    assert abs(sharp - single) < 0.6 * (soft - single)


def test_what_answers_as_it_was_validated_is_left_alone(run, tmp_path):
    assert summary(build(run, refit=True))["sharpness"] == 1.0
    holdout = make(tmp_path, val_size=0.3)
    ensemble = build(holdout)
    assert summary(ensemble)["sharpness"] == 1.0
    dataset = TabularDataset.load(holdout / "dataset")
    assert sharpness(ensemble.members, dataset, ensemble.honesty.calibration, 100, 1) == 1.0
