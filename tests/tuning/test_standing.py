"""Trials that can enter the ensemble go on, those that cannot stop; and which they are does not depend on timing."""

import random
import time
from functools import partial

import numpy as np
import optuna
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from configs.schema import SearchConfig
from data.metrics import METRICS, loss
from models.trials import FoldRecord, StoredTrial, running_means
from tests.tuning.test_scheduler import decide
from tuning.budget import Budget
from tuning.scheduler import make_scheduler
from tuning.searcher import FamilySearcher, SearchSetup
from tuning.spaces import FamilySpace
from tuning.standing import SweepStanding

N, N_FOLDS, N_TRIALS = 120, 3, 30
FOLDS = np.arange(N) % N_FOLDS
Y = np.random.default_rng(0).normal(size=N)
SPACES = {
    family: FamilySpace(family, {"x": FloatDistribution(0.0, 1.0)}, {}, ({"x": 0.5},))
    for family in ("lightgbm", "dnn")
}
RMSE = partial(loss, "rmse")
TOLD = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}


class Sweep:
    """A sweep of two slots without processes: its trials' predictions are on disk, its fits are a formula.

    Args:
        folder: Its run directory.
        total_s: Its time budget.
        earlier: The same sweep as a killed session left it.
    """

    def __init__(self, folder, total_s=None, earlier=None):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        name = "journal" if earlier is None else "resumed"
        setup = SearchSetup(
            SPACES, METRICS["rmse"], folder / name, "sweep", N_FOLDS, 0, N_TRIALS, 2, sampler="random"
        )
        self.journal = folder / name
        self.standing = SweepStanding(
            Y, FOLDS, np.arange(N), RMSE, lambda number, _family: folder / str(number), lagged=total_s is None
        )
        self.searcher = FamilySearcher(setup, Budget(time.time(), total_s), self.standing)
        self.race = make_scheduler(SearchConfig(), self.searcher, "min", N_FOLDS)
        self.configs, self.scores, self.state = {}, {}, {}
        self.running, self.fresh = {}, set()
        self.n_ids = 0
        if earlier is not None:
            self.configs, self.state = dict(earlier.configs), dict(earlier.state)
            self.scores = {number: list(scores) for number, scores in earlier.scores.items()}
            self.searcher.restore_trials([self.stored(number) for number in sorted(self.configs)])

    def stored(self, number):
        folds = tuple(FoldRecord(i, s, 0.1, 0.1) for i, s in enumerate(self.scores[number]))
        facts = {key: self.configs[number][key] for key in ("number", "family", "params", "seed", "origin")}
        return StoredTrial(self.folder, **facts, state=self.state[number], reason="", folds=folds)

    def predict(self, number, fold):
        """Out-of-fold predictions; the worse the further x is from .2, the same for the same params."""
        config = self.configs[number]
        x = config["params"]["x"]
        rng = np.random.default_rng([int(x * 1e9), fold, len(config["family"])])
        rows = fold == FOLDS
        return (Y[rows] + (0.1 + 2 * abs(x - 0.2)) * rng.normal(size=rows.sum())).astype(np.float32)

    def fails(self, number, fold):
        """Some fits do, and again whenever they are tried."""
        code = int(self.configs[number]["params"]["x"] * 1e9)
        return self.configs[number]["origin"] == "random" and code % 5 == 0 and code % N_FOLDS == fold

    def step(self, ray_id):
        """The next fold of a running trial, or what was finished of a resumed one."""
        number, error = self.running[ray_id], ""
        if not (ray_id in self.fresh and self.scores[number]):
            fold = len(self.scores[number])
            if self.fails(number, fold):
                error = "it diverged"
            else:
                self.fit(number, fold)
        self.fresh.discard(ray_id)
        means = running_means(self.scores[number])
        score = means[-1] if means else float("nan")
        result = {"scores": means, "score": score, "n_folds": len(means), "spent_s": 0.1, "error": error}
        self.searcher.on_trial_result(ray_id, result)
        asked = type("Asked", (), {"config": self.configs[number]})
        stops = self.race.on_trial_result(None, asked, result) == TrialScheduler.STOP
        if stops or error or len(means) == N_FOLDS:
            self.state[number] = "failed" if error else "stopped" if stops else "completed"
            self.searcher.on_trial_complete(ray_id, result)
            del self.running[ray_id]

    def fit(self, number, fold):
        """Predictions of a fold, on disk, and its score."""
        values = self.predict(number, fold)
        path = self.folder / str(number) / f"fold_{fold}"
        path.mkdir(parents=True)
        np.save(path / "oof.npy", values[:, None])
        self.scores[number].append(RMSE(Y[fold == FOLDS], values[:, None]))

    def run(self, order, most_steps=10**6):
        for _ in range(most_steps):
            while len(self.running) < 2:
                config = self.searcher.suggest(str(self.n_ids))
                if not isinstance(config, dict):
                    break
                self.configs[config["number"]] = config
                self.scores.setdefault(config["number"], [])
                self.state[config["number"]] = "running"
                self.running[str(self.n_ids)] = config["number"]
                self.fresh.add(str(self.n_ids))
                self.n_ids += 1
            if not self.running:
                assert config == Searcher.FINISHED
                self.searcher.finish()
                break
            self.step(order(sorted(self.running, key=int)))
        return self

    def ends(self):
        return {n: (self.state[n], len(self.scores[n]), c["params"]) for n, c in self.configs.items()}


def first(ids):
    return ids[0]


def last(ids):
    return ids[-1]


def test_the_same_trials_stop_whatever_finishes_first(tmp_path):
    runs = [
        Sweep(tmp_path / name).run(order)
        for name, order in (("a", first), ("b", last), ("c", random.Random(1).choice))
    ]
    ends = [run.ends() for run in runs]
    assert ends[0] == ends[1] == ends[2]
    states = [state for state, *_ in ends[0].values()]
    assert states.count("stopped") > 3
    assert states.count("completed") > 3
    assert states.count("failed") > 0
    reasons = " ".join(runs[0].race.reasons.values())
    assert "cannot enter the ensemble" in reasons


@settings(deadline=None, max_examples=15, derandomize=True)
@given(steps=st.integers(0, 70), seed=st.integers(0, 99))
def test_a_killed_and_resumed_sweep_stops_the_same_trials(tmp_path_factory, steps, seed):
    folder = tmp_path_factory.mktemp("sweeps")
    whole = Sweep(folder / "whole").run(first)
    killed = Sweep(folder / "killed").run(random.Random(seed).choice, most_steps=steps)
    resumed = Sweep(folder / "killed", earlier=killed).run(random.Random(seed + 1).choice)
    assert resumed.ends() == whole.ends()


@settings(deadline=None, max_examples=10, derandomize=True)
@given(seed=st.integers(0, 10**6), total_s=st.sampled_from([None, 600.0]))
def test_optuna_is_told_what_became_of_each_trial(tmp_path_factory, seed, total_s):
    sweep = Sweep(tmp_path_factory.mktemp("told") / "run", total_s).run(random.Random(seed).choice)
    storage = JournalStorage(JournalFileBackend(str(sweep.journal)))
    told = {
        int(t.user_attrs["trial"].split("-")[0]): t
        for family in SPACES
        for t in optuna.load_study(study_name=f"sweep/{family}", storage=storage).trials
    }
    assert sorted(told) == sorted(sweep.configs) == list(range(N_TRIALS))
    for number, (state, n_folds, params) in sweep.ends().items():
        assert told[number].state is TOLD[state]
        assert len(told[number].intermediate_values) == n_folds
        assert (n_folds == N_FOLDS) == (state == "completed")
        assert told[number].params == params
    for number in sweep.race.reasons:
        assert sweep.configs[number]["origin"] == "random"


def race_of(folder, members, trial, peers):
    """The race, asked by one trial that has finished its first fold, about an ensemble of members."""
    standing = SweepStanding(Y, FOLDS, np.arange(N), RMSE, lambda n, _f: folder / str(n), lagged=False)
    for number, values in enumerate(members):
        write(folder / str(number), values, N_FOLDS)
        standing.complete(number, "dnn")
    write(folder / "9", trial, 1)
    asked = type("Knows", (), {})()
    asked.rung = lambda _number, _n_folds: peers
    asked.entry = lambda number, n_folds: standing.entry(number, "dnn", n_folds)
    return make_scheduler(SearchConfig(), asked, "min", N_FOLDS)


def write(path, values, n_folds):
    for fold in range(n_folds):
        (path / f"fold_{fold}").mkdir(parents=True)
        np.save(path / f"fold_{fold}" / "oof.npy", values[fold == FOLDS, None].astype(np.float32))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(seed=st.integers(0, 10**6), opposed=st.floats(0.2, 35.0), worse=st.floats(2.0, 50.0))
def test_rank_stops_neither_what_can_enter_nor_saves_what_cannot(tmp_path_factory, seed, opposed, worse):
    rng = np.random.default_rng(seed)
    errors = rng.normal(size=N) * 0.3
    best, worst = [0.01, 0.02, 0.03], [9.0, 9.5, 9.9]
    # Its errors are the ensemble's the other way round, so that the two together have less, however bad it is alone;
    # up to 39 times as large, where even the smallest share turns them over.
    other = race_of(tmp_path_factory.mktemp("enters"), [Y + errors], Y - opposed * errors, best)
    assert decide(other, score=8.0) == TrialScheduler.CONTINUE
    # The ensemble's own errors, and more of them: no share of it helps.
    more = race_of(tmp_path_factory.mktemp("never"), [Y + errors], Y + worse * errors, worst)
    assert decide(more, score=0.001) == TrialScheduler.STOP
    assert "cannot enter the ensemble" in more.reasons[9]


def test_where_luck_would_decide_the_rank_does(tmp_path):
    errors = np.random.default_rng(1).normal(size=N) * 0.3
    same = race_of(tmp_path, [Y + errors], Y + errors, [0.2, 0.3, 0.4])
    assert decide(same, score=0.1) == TrialScheduler.CONTINUE
    assert decide(same, score=0.5) == TrialScheduler.STOP
    assert "no mix lowers" in same.reasons[9]


def test_without_an_ensemble_the_rank_alone_counts(tmp_path):
    race = race_of(tmp_path, [], Y, [0.2, 0.3, 0.4])
    assert decide(race, score=0.1) == TrialScheduler.CONTINUE
    assert decide(race, score=0.5) == TrialScheduler.STOP


def test_predictions_that_are_no_numbers_cannot_enter(tmp_path):
    race = race_of(tmp_path, [Y + 1.0], np.full(N, np.nan), [9.0, 9.5, 9.9])
    assert decide(race, score=0.1) == TrialScheduler.STOP


def test_a_starting_point_stops_only_where_it_cannot_enter(tmp_path):
    """Its rank never counts, nor does what may be luck."""
    hopeless = race_of(tmp_path / "hopeless", [Y], Y + 100.0, [9.0, 9.5, 9.9])
    assert decide(hopeless, score=0.1, origin="portfolio") == TrialScheduler.STOP
    assert "cannot enter the ensemble" in hopeless.reasons[9]
    errors = np.random.default_rng(1).normal(size=N) * 0.3
    same = race_of(tmp_path / "same", [Y + errors], Y + errors, [0.2, 0.3, 0.4])
    assert decide(same, score=0.5, origin="portfolio") == TrialScheduler.CONTINUE
    alone = race_of(tmp_path / "alone", [], Y + 100.0, [0.2, 0.3, 0.4])
    assert decide(alone, score=0.5, origin="portfolio") == TrialScheduler.CONTINUE
