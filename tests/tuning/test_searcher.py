import random
import time

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search import Searcher

from data.metrics import METRICS
from models.trials import FoldRecord, StoredTrial
from tuning.budget import Budget
from tuning.searcher import GIVE_UP_AFTER, FamilySearcher, SearchSetup
from tuning.spaces import FamilySpace

SPACES = {
    "lightgbm": FamilySpace(
        "lightgbm", {"lr": FloatDistribution(0.01, 0.5)}, {"leaves": 31}, ({"lr": 0.1}, {"lr": 0.3})
    ),
    "dnn": FamilySpace("dnn", {"lr": FloatDistribution(1e-4, 1e-1, log=True)}, {}, ({"lr": 1e-3},)),
}


def make(tmp_path, num_trials=12, spaces=SPACES, total_s=None, seed=0, name="study", **options):
    journal = tmp_path / f"{name}.log"
    setup = SearchSetup(spaces, METRICS["rmse"], journal, "sweep", 3, seed, num_trials, slots=2, **options)
    return FamilySearcher(setup, Budget(time.time(), total_s))


def told(tmp_path, family, name="study"):
    """The trials of a family as another process reads them from disk."""
    storage = JournalStorage(JournalFileBackend(str(tmp_path / f"{name}.log")))
    return optuna.load_study(study_name=f"sweep/{family}", storage=storage).trials


def result(scores, spent_s=0.1):
    return {"score": scores[-1] if scores else float("nan"), "scores": scores, "spent_s": spent_s}


def score_of(config, fold):
    return abs(config["params"]["lr"] - 0.2) + 0.01 * fold


def simulate(searcher, order):
    """Run proposals on two slots; `order` chooses which running trial finishes next."""
    proposed, running = [], {}
    while True:
        config = searcher.suggest(str(len(proposed)))
        if isinstance(config, dict):
            running[str(len(proposed))] = config
            proposed.append(config)
        if len(running) == 2 or config is None or (config == Searcher.FINISHED and running):
            ray_id = order(sorted(running))
            config_done = running.pop(ray_id)
            finish(searcher, ray_id, config_done)
        elif config == Searcher.FINISHED:
            return proposed


def finish(searcher, ray_id, config, n_folds=3):
    scores = [score_of(config, fold) for fold in range(n_folds)]
    for done in range(1, n_folds + 1):
        searcher.on_trial_result(ray_id, result(scores[:done], 0.1 * done))
    searcher.on_trial_complete(ray_id, result(scores, 0.1 * n_folds))


def plain(configs):
    return [(c["number"], c["family"], c["params"], c["origin"]) for c in configs]


def test_portfolio_first_one_default_of_each_family_in_turn(tmp_path):
    configs = simulate(make(tmp_path), min)
    assert [(c["family"], c["params"]) for c in configs[:3]] == [
        ("lightgbm", {"leaves": 31, "lr": 0.1}),
        ("dnn", {"lr": 1e-3}),
        ("lightgbm", {"leaves": 31, "lr": 0.3}),
    ]
    assert [c["origin"] for c in configs] == ["portfolio"] * 3 + ["tpe"] * 9


def test_proposals_do_not_depend_on_what_finishes_first(tmp_path):
    shuffled = random.Random(3)
    first = simulate(make(tmp_path, 30, name="a"), min)
    second = simulate(make(tmp_path, 30, name="b"), max)
    third = simulate(make(tmp_path, 30, name="c"), shuffled.choice)
    assert len(first) == 30
    assert plain(first) == plain(second) == plain(third)
    assert plain(simulate(make(tmp_path, 30, seed=1, name="d"), min)) != plain(first)


def test_optuna_is_told_each_trial_once_and_rightly(tmp_path):
    searcher = make(tmp_path, 6)
    outcomes = {}
    for number in range(6):
        config = searcher.suggest(str(number))
        kind = ("complete", "pruned", "failed")[number % 3]
        outcomes[number] = (config["family"], kind)
        if kind == "failed":
            searcher.on_trial_complete(str(number), None, error=True)
        else:
            finish(searcher, str(number), config, 3 if kind == "complete" else 1)
    searcher.finish()
    expected = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    for family in SPACES:
        trials = told(tmp_path, family)
        assert [t.state for t in trials] == [expected[kind] for f, kind in outcomes.values() if f == family]
        assert all(len(t.intermediate_values) == 3 for t in trials if t.state is TrialState.COMPLETE)
        assert [t.state for t in searcher.studies[family].study.trials] == [t.state for t in trials]


def test_search_learns(tmp_path):
    spaces = {"dnn": SPACES["dnn"]}
    configs = simulate(make(tmp_path, 60, spaces), min)
    early, late = configs[4:14], configs[-10:]
    assert sum(score_of(c, 0) for c in late) < sum(score_of(c, 0) for c in early)


def test_a_fixed_configuration_is_a_sweep_of_one_trial(tmp_path):
    fixed = {"dnn": FamilySpace("dnn", {}, {"lr": 0.1}, ({},))}
    configs = simulate(make(tmp_path, None, fixed), min)
    assert [c["params"] for c in configs] == [{"lr": 0.1}]


def test_a_finite_space_is_not_searched_for_ever(tmp_path):
    space = {"dnn": FamilySpace("dnn", {"n": CategoricalDistribution((1, 2, 3))}, {}, ({"n": 1},))}
    searcher = make(tmp_path, None, space)
    n = 0
    while isinstance(config := searcher.suggest(str(n)), dict):
        searcher.on_trial_result(str(n), result([config["params"]["n"]]))
        searcher.on_trial_complete(str(n), None)
        n += 1
    assert n == 3


def test_a_family_that_always_fails_is_given_up(tmp_path):
    searcher = make(tmp_path, None, {"dnn": SPACES["dnn"]}, total_s=600)
    n = 0
    while isinstance(searcher.suggest(str(n)), dict):
        searcher.on_trial_complete(str(n), None, error=True)
        n += 1
    assert n == GIVE_UP_AFTER


def test_no_trial_is_proposed_that_cannot_end_in_time(tmp_path):
    searcher = make(tmp_path, None, {"dnn": SPACES["dnn"]}, total_s=60)
    config = searcher.suggest("0")
    searcher.on_trial_result("0", result([1.0], 30.0))
    searcher.on_trial_complete("0", result([1.0, 1.0, 1.0], 90.0))
    assert config["limit_s"] == pytest.approx(60 - 4.8, abs=1)
    assert searcher.suggest("1") == Searcher.FINISHED


def test_time_goes_to_the_family_with_the_least_of_it(tmp_path):
    searcher = make(tmp_path, None, total_s=600)
    for number in range(3):
        config = searcher.suggest(str(number))
        spent = 50.0 if config["family"] == "dnn" else 1.0
        searcher.on_trial_complete(str(number), result([1.0, 1.0, 1.0], spent))
    assert [searcher.suggest(str(n))["family"] for n in range(3, 8)] == ["lightgbm"] * 5


@pytest.mark.parametrize("choice", ["time", "gain", "turns"])
def test_under_a_time_budget_every_family_is_tried(tmp_path, choice):
    searcher = make(tmp_path, 12, total_s=600, choice=choice)
    families = [c["family"] for c in simulate(searcher, min)]
    assert len(families) == 12
    assert set(families) == set(SPACES)
    assert families[:2] == ["lightgbm", "dnn"]


def test_the_family_that_helps_the_ensemble_most_per_second_is_next(tmp_path):
    searcher = make(tmp_path, None, total_s=600, choice="gain")
    searcher.standing.complete = lambda _number, family: 0.1 if family == "dnn" else 0.0
    configs = []
    for number in range(10):
        configs.append(searcher.suggest(str(number)))
        searcher.on_trial_complete(str(number), result([1.0, 1.0, 1.0], 2.0))
    families = [c["family"] for c in configs]
    assert families.count("dnn") > 6
    assert "per second" in configs[-1]["why"]


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp", "cmaes"])
def test_every_sampler_proposes_inside_the_space_and_the_same_again(tmp_path, sampler):
    first = simulate(make(tmp_path, 16, sampler=sampler, name="a"), min)
    assert plain(first) == plain(simulate(make(tmp_path, 16, sampler=sampler, name="b"), max))
    assert {c["origin"] for c in first} == {"portfolio", sampler}
    assert all(SPACES[c["family"]].space["lr"]._contains(c["params"]["lr"]) for c in first)


def test_a_study_that_is_cut_down_still_learns_and_still_records_everything(tmp_path, monkeypatch):
    monkeypatch.setattr("tuning.studies.MOST", 60)
    monkeypatch.setattr("tuning.studies.KEPT", 40)
    searcher = make(tmp_path, 100, {"dnn": SPACES["dnn"]})
    configs = simulate(searcher, min)
    searcher.finish()
    assert len(searcher.studies["dnn"].study.trials) <= 61
    assert len(told(tmp_path, "dnn")) == 100
    assert sum(score_of(c, 0) for c in configs[-30:]) < sum(score_of(c, 0) for c in configs[1:31])


def stored(tmp_path, config, state, n_folds):
    folds = tuple(
        FoldRecord(k, 2 * score_of(config, k) - score_of(config, 0), 0.1, 0.1) for k in range(n_folds)
    )
    path = tmp_path / f"{config['number']:04d}-{config['family']}"
    facts = {key: config[key] for key in ("number", "family", "params", "seed", "origin")}
    return StoredTrial(path=path, **facts, state=state, reason="", folds=folds)


def mean_scores(config):
    folds = [2 * score_of(config, k) - score_of(config, 0) for k in range(3)]
    return [sum(folds[: k + 1]) / (k + 1) for k in range(3)]


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    killed_after=st.integers(0, 19), in_flight=st.integers(0, 2), lost=st.sets(st.integers(0, 5), max_size=3)
)
def test_a_resumed_sweep_proposes_what_an_undisturbed_one_does(
    tmp_path_factory, killed_after, in_flight, lost
):
    """Whatever was in flight, and though some of the last trials were proposed and never begun."""
    folder = tmp_path_factory.mktemp("resumed")

    def run(searcher, n):
        configs = []
        for _ in range(n):
            config = searcher.suggest(str(len(configs)))
            if not isinstance(config, dict):
                break
            configs.append(config)
            searcher.on_trial_complete(str(len(configs) - 1), result(mean_scores(config)))
        return configs

    whole = run(make(folder, 20, name="whole"), 20)
    before = run(make(folder, 20, name="killed"), killed_after)
    n_ended = max(0, len(before) - in_flight)
    trials = [
        stored(folder, c, "completed" if i < n_ended else "running", 3 if i < n_ended else 1)
        for i, c in enumerate(before)
        if len(before) - 1 - i not in lost
    ]
    ended = {trial.number for trial in trials if trial.state == "completed"}
    resumed = make(folder, 20, name="resumed")
    resumed.restore_trials(trials)
    after = run(resumed, 20)
    expected = [c for c in whole if c["number"] not in ended]
    assert [c["number"] for c in after] == [c["number"] for c in expected]
    assert plain(after) == plain(expected)
    resumed.finish()
    names = [t.user_attrs["trial"] for f in SPACES for t in told(folder, f, "resumed")]
    assert len(names) == len(set(names)) == 20
