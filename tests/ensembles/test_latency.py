"""What a row is reckoned to take, and ensembles that keep within a limit of it."""

import time

import numpy as np
import pandas as pd
import pytest

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from ensembles import latency
from ensembles.candidates import Candidates
from ensembles.graph import ExportMember, build_graph
from ensembles.latency import Reckoner, select_fitting
from ensembles.member import Deployed
from ensembles.session import GraphSession
from ensembles.work import Work, total, work_of
from models.base import Task
from models.boosting import TargetScale
from models.families import FAMILIES
from models.trials import read_trials
from tests.quick import quick_model, write_table


class Spoilt(list):
    """Candidates whose predictions are given.

    Args:
        trials: The trials.
        predictions: What they predict, in their order.
    """

    def __init__(self, trials, predictions):
        super().__init__(predictions)
        self.trials = trials


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of all families."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    frame = pd.DataFrame(X, columns=list("abcd")).assign(
        y=X[:, 0] + np.abs(X[:, 1]) + rng.normal(size=600) / 3
    )
    folder = tmp_path_factory.mktemp("run")
    return quick_model(folder, write_table(folder / "table.csv", frame), families=tuple(FAMILIES))


@pytest.fixture(scope="module")
def dataset(run):
    return TabularDataset.load(run / "dataset")


@pytest.fixture(scope="module")
def candidates(run, dataset):
    return Candidates(read_trials(run / "trials"), np.asarray(dataset.folds))


def fitting(candidates, dataset, **config):
    return select_fitting(candidates, np.asarray(dataset.y), "rmse", EnsembleConfig(**config), dataset)


def test_more_models_are_more_work(candidates, dataset):
    """And a member that will be refitted counts with the models that it will have."""
    whole = [Deployed.whole(trial, dataset.split) for trial in candidates.trials]
    free, refitted = (Reckoner(dataset, EnsembleConfig(refit=refit)) for refit in (False, True))
    for one in whole:
        single = Deployed(one.trial, one.folds[:1], one.n_shares)
        assert 0 < free.row_ms([single]) < free.row_ms([one]) < free.row_ms(whole)
        assert refitted.row_ms([one]) == free.row_ms([single])


def test_work_adds_up():
    one, other = Work(1, 2, 3, 4, 5, 6.0, 7), Work(operators=10, nodes=20)
    assert total([one, other]) == Work(11, 2, 3, 4, 5, 6.0, 27)
    assert one.times(3) == Work(1, 6, 9, 12, 15, 18.0, 21)
    assert total([]).row_ms < one.row_ms
    near, far = Work(steps=1000.0, nodes=1000), Work(steps=1000.0, nodes=5_000_000)
    assert far.row_ms > 2 * near.row_ms  # trees that outgrow the cache


@pytest.mark.parametrize("family", list(FAMILIES))
def test_what_is_reckoned_is_of_the_order_of_what_a_row_takes(candidates, dataset, family):
    """Within a factor of ten of the processor time here, whatever machine this is."""
    trial = next(t for t in candidates.trials if t.family == family)
    models = (trial.load_model(0),)
    task = Task.of(dataset)
    units = TargetScale.of(np.asarray(dataset.y), task)
    graph = build_graph([ExportMember("x", family, 1.0, 0.0, models)], task, units, None)
    session = GraphSession(graph.SerializeToString())
    row, seconds = np.asarray(dataset.X[:1]), []
    for _ in range(200):
        start = time.process_time()
        session.predict(row)
        seconds.append(time.process_time() - start)
    assert 0.1 < work_of(models, task, units).row_ms / (1000 * np.median(seconds)) < 10


def test_what_is_read_of_models_is_counted(candidates, dataset):
    task = Task.of(dataset)
    units = TargetScale.of(np.asarray(dataset.y), task)
    found = {}
    for trial in candidates.trials:
        found[trial.family] = work_of([trial.load_model(0)], task, units)
    trees = [found[family] for family in ("lightgbm", "xgboost")]
    assert all(work.steps > 0 and work.nodes > 0 and work.products == 0 for work in trees)
    networks = [found[family] for family in ("dnn", "mc_dropout", "bnn")]
    assert all(work.steps == 0 and 0 < work.weights <= work.products for work in networks)
    assert found["mc_dropout"].products > 2 * found["mc_dropout"].weights  # its draws share weights
    assert found["bnn"].products == found["bnn"].weights  # and here they do not


def test_a_limit_is_kept_by_fewer_models_and_then_by_fewer_members(candidates, dataset):
    free = fitting(candidates, dataset, max_latency_ms=None, fold_models="all")
    assert len(free.selection.weights) > 1
    assert all(len(m.folds) == dataset.n_folds for m in free.models.values())
    generous = fitting(candidates, dataset, max_latency_ms=free.row_ms, fold_models="all")
    assert (generous.selection, generous.models) == (free.selection, free.models)
    tight = fitting(candidates, dataset, max_latency_ms=0.99 * free.row_ms, fold_models="all")
    assert tight.selection == free.selection
    assert tight.row_ms <= 0.99 * free.row_ms < free.row_ms
    n_models = [sum(len(m.folds) for m in found.models.values()) for found in (free, tight)]
    assert n_models[1] < n_models[0]
    least = min(latency.Reckoner(dataset, EnsembleConfig()).row_ms([m]) for m in tight.models.values())
    single = fitting(candidates, dataset, max_latency_ms=1.05 * least)
    assert single.row_ms <= 1.05 * least
    assert len(single.selection.weights) < len(free.selection.weights)
    assert single.selection.best_loss == free.selection.best_loss


def test_where_nothing_is_fast_enough_the_fastest_answers_with_one_model(candidates, dataset):
    found = fitting(candidates, dataset, max_latency_ms=1e-6)
    (models,) = found.models.values()
    assert len(models.folds) == 1
    assert found.row_ms > 1e-6


def test_unless_a_limit_is_given_three_models_answer_though_it_take_longer(candidates, dataset, monkeypatch):
    usual = fitting(candidates, dataset)
    assert usual.limit_ms == 1.0
    assert usual.fits
    monkeypatch.setattr(latency, "AUTO_MS", 1e-6)
    slow = fitting(candidates, dataset)
    assert not slow.fits
    assert slow.selection == usual.selection
    assert sum(len(m.folds) for m in slow.models.values()) == 3


def test_unless_a_limit_is_given_none_makes_the_ensemble_worse_than_the_best_trial(dataset, monkeypatch, run):
    """The best trial takes long, and the one that is fast enough predicts something else."""
    trials = read_trials(run / "trials")
    honest = Candidates(trials, np.asarray(dataset.folds))
    slow, quick = trials[0].name, trials[2].name
    y = np.asarray(dataset.y)
    worse = (honest[0] + 10 * y.std()).astype(np.float32)
    spoilt = Spoilt((trials[0], trials[2]), [honest[0], worse])
    monkeypatch.setattr(Reckoner, "_of", lambda _self, trial: Work(steps={slow: 1e6, quick: 1.0}[trial.name]))
    free, auto, kept = (
        select_fitting(spoilt, y, "rmse", EnsembleConfig(max_latency_ms=limit), dataset)
        for limit in (None, "auto", 1.0)
    )
    assert set(free.selection.weights) == set(auto.selection.weights) == {0}
    assert not auto.fits
    assert set(kept.selection.weights) == {1}
    assert kept.fits


def test_the_same_trials_make_the_same_ensemble(candidates, dataset):
    assert fitting(candidates, dataset) == fitting(candidates, dataset)
