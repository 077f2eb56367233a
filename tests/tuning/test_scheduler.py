from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from tuning.scheduler import FoldRace, rungs


class Scores:
    """Stands where the searcher is asked what a trial is compared with."""

    def __init__(self, peers):
        self.peers = peers

    def rung(self, number, family, n_folds):
        return self.peers.get((family, n_folds), [])


def decide(race, score, n_folds=1, family="dnn", origin="tpe"):
    trial = SimpleNamespace(config={"number": 9, "family": family, "origin": origin})
    return race.on_trial_result(None, trial, {"score": score, "n_folds": n_folds})


@pytest.mark.parametrize(
    ("n_folds", "factor", "expected"), [(5, 3, {1, 3}), (10, 3, {1, 3, 9}), (2, 3, {1}), (8, 2, {1, 2, 4})]
)
def test_rungs_are_powers_of_the_reduction_factor(n_folds, factor, expected):
    assert rungs(n_folds, factor) == expected


@pytest.mark.parametrize("mode", ["max", "min"])
def test_only_the_best_third_of_the_family_goes_on(mode):
    sign = 1 if mode == "max" else -1
    race = FoldRace(Scores({("dnn", 1): [sign * s for s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]}), mode, 5, 3)
    assert decide(race, sign * 0.8) == TrialScheduler.CONTINUE
    assert decide(race, sign * 0.2) == TrialScheduler.STOP
    assert "fold race" in race.reasons[9]


def test_portfolio_other_families_and_first_trials_are_never_stopped():
    race = FoldRace(Scores({("dnn", 1): [0.7, 0.8, 0.9]}), "max", 5, 3)
    assert decide(race, 0.1, origin="portfolio") == TrialScheduler.CONTINUE
    assert decide(race, 0.1, family="bnn") == TrialScheduler.CONTINUE
    assert decide(race, 0.1, n_folds=2) == TrialScheduler.CONTINUE
