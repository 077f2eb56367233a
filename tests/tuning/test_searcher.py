import random
import time

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from ray.tune.search import Searcher

from data.metrics import METRICS
from tuning.budget import Budget
from tuning.searcher import GIVE_UP_AFTER, FamilySearcher, SearchSetup
from tuning.spaces import FamilySpace

SPACES = {
    "lightgbm": FamilySpace(
        "lightgbm", {"lr": FloatDistribution(0.01, 0.5)}, {"leaves": 31}, ({"lr": 0.1}, {"lr": 0.3})
    ),
    "dnn": FamilySpace("dnn", {"lr": FloatDistribution(1e-4, 1e-1, log=True)}, {}, ({"lr": 1e-3},)),
}


def make(tmp_path, num_trials=12, spaces=SPACES, total_s=None, seed=0, name="study"):
    storage = f"sqlite:///{tmp_path / f'{name}.db'}"
    setup = SearchSetup(spaces, METRICS["rmse"], storage, "sweep", 3, seed, num_trials, slots=2)
    return FamilySearcher(setup, Budget(time.time(), total_s))


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
    for fold in range(n_folds):
        result = {"score": score_of(config, fold), "n_folds": fold + 1, "spent_s": 0.1 * (fold + 1)}
        searcher.on_trial_result(ray_id, result)
    searcher.on_trial_complete(ray_id, result if n_folds else None)


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
        study = optuna.load_study(study_name=f"sweep/{family}", storage=f"sqlite:///{tmp_path / 'study.db'}")
        found = [t.state for t in study.trials]
        assert found == [expected[kind] for f, kind in outcomes.values() if f == family]
        assert all(len(t.intermediate_values) == 3 for t in study.trials if t.state is TrialState.COMPLETE)


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
        searcher.on_trial_result(str(n), {"score": config["params"]["n"], "n_folds": 1, "spent_s": 0.1})
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
    searcher.on_trial_result("0", {"score": 1.0, "n_folds": 1, "spent_s": 30.0})
    searcher.on_trial_result("0", {"score": 1.0, "n_folds": 2, "spent_s": 60.0})
    searcher.on_trial_complete("0", {"score": 1.0, "n_folds": 3, "spent_s": 90.0})
    assert config["limit_s"] == pytest.approx(57, abs=1)
    assert searcher.suggest("1") == Searcher.FINISHED


def test_time_goes_to_the_family_with_the_least_of_it(tmp_path):
    searcher = make(tmp_path, None, total_s=600)
    for number in range(3):
        config = searcher.suggest(str(number))
        spent = 50.0 if config["family"] == "dnn" else 1.0
        for fold in range(3):
            searcher.on_trial_result(str(number), {"score": 1.0, "n_folds": fold + 1, "spent_s": spent})
        searcher.on_trial_complete(str(number), None)
    assert [searcher.suggest(str(n))["family"] for n in range(3, 8)] == ["lightgbm"] * 5
