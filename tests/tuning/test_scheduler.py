from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from configs.schema import SearchConfig
from tuning.scheduler import FoldRace, halving_rungs, make_scheduler


class Scores:
    """Stands where the searcher is asked what a trial is compared with."""

    def __init__(self, peers):
        self.peers = peers

    def rung(self, number, n_folds):
        return self.peers.get(n_folds, [])

    def entry(self, number, n_folds):
        return None


def decide(race, score, n_folds=1, origin="tpe", error=""):
    trial = SimpleNamespace(config={"number": 9, "origin": origin})
    return race.on_trial_result(None, trial, {"score": score, "n_folds": n_folds, "error": error})


@pytest.mark.parametrize(
    ("n_folds", "factor", "expected"), [(5, 3, [1, 3]), (10, 3, [1, 3, 9]), (2, 3, [1]), (8, 2, [1, 2, 4])]
)
def test_rungs_are_powers_of_the_reduction_factor(n_folds, factor, expected):
    assert halving_rungs(n_folds, factor) == expected


@pytest.mark.parametrize("mode", ["max", "min"])
def test_only_the_best_third_of_the_family_goes_on(mode):
    sign = 1 if mode == "max" else -1
    race = FoldRace(Scores({1: [sign * s for s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]}), mode, [1, 3], 1 / 3)
    assert decide(race, sign * 0.8) == TrialScheduler.CONTINUE
    assert decide(race, sign * 0.2) == TrialScheduler.STOP
    assert "fold race" in race.reasons[9]


def test_portfolio_failed_and_first_trials_are_never_stopped():
    race = FoldRace(Scores({1: [0.7, 0.8, 0.9]}), "max", [1, 3], 1 / 3)
    assert decide(race, 0.1, origin="portfolio") == TrialScheduler.CONTINUE
    assert decide(race, 0.1, error="it broke") == TrialScheduler.CONTINUE
    assert decide(race, 0.1, n_folds=2) == TrialScheduler.CONTINUE


@pytest.mark.parametrize(
    ("kind", "stopped_at"), [("ensemble", [1, 3]), ("race", [1, 3]), ("median", [1, 2, 3, 4]), ("none", [])]
)
def test_the_configuration_names_the_scheduler(kind, stopped_at):
    scores = Scores({n: [0.5, 0.6, 0.7] for n in range(1, 6)})
    scheduler = make_scheduler(SearchConfig(scheduler=kind), scores, "max", 5)
    found = [n for n in range(1, 6) if decide(scheduler, 0.4, n_folds=n) == TrialScheduler.STOP]
    assert found == stopped_at


def test_the_median_rule_keeps_the_better_half():
    scheduler = make_scheduler(SearchConfig(scheduler="median"), Scores({1: [0.1, 0.2, 0.3]}), "min", 5)
    assert decide(scheduler, 0.19) == TrialScheduler.CONTINUE
    assert decide(scheduler, 0.21) == TrialScheduler.STOP
    assert scheduler.reasons[9].startswith("median rule")
