"""The replay keeps to its virtual time, and loses what would end after it."""

from functools import partial

import numpy as np
import pytest

from benchmarks.search import Replay, Tape, Taped
from data.metrics import get_metric, loss

N, N_FOLDS = 60, 2


def tape(*trials):
    made = object.__new__(Tape)
    made.metric, made.loss = get_metric("rmse", "regression"), partial(loss, "rmse")
    made.n_folds, made.folds = N_FOLDS, np.arange(N) % N_FOLDS
    made.y, made.y_test = np.arange(N) / N, np.arange(N) / N
    made.X_test, made.trials = np.zeros((N, 1)), list(trials)
    made.families = tuple(dict.fromkeys(t.family for t in trials))
    return made


def trial(family, seconds, error, origin="random"):
    P = (np.arange(N) / N + error)[:, None].astype(np.float32)
    return Taped(family, origin, (seconds, seconds), (abs(error), abs(error)), P, P)


def play(made, seconds, choice="turns", scheduler="none"):
    return Replay(made, made.shuffled(0), choice, scheduler, seconds)


def test_only_what_ends_in_time_counts():
    made = tape(trial("a", 1.0, 0.5, "portfolio"), trial("b", 4.0, 0.01, "portfolio"))
    assert play(made, 7.9).run() == pytest.approx(0.5)
    assert play(made, 8.0).run() == pytest.approx(0.01)
    assert np.isnan(play(made, 1.9).run())


def test_a_stopped_trial_frees_its_slot_for_the_next():
    start = [trial("a", 1.0, 0.1, "portfolio") for _ in range(3)]
    bad = [trial("a", 1.0, 0.9) for _ in range(20)]
    none, race = (play(tape(*start, *bad), 10.0, scheduler=s) for s in ("none", "race"))
    none.run(), race.run()
    assert race.ledger.n_searched > none.ledger.n_searched
    assert len(race.complete) < len(none.complete)


def test_turns_alternate_and_time_prefers_the_quick():
    quick = [trial("a", 1.0, 0.5, "portfolio")] + [trial("a", 1.0, 0.5) for _ in range(20)]
    slow = [trial("b", 5.0, 0.5, "portfolio")] + [trial("b", 5.0, 0.5) for _ in range(20)]
    counts = {}
    for choice in ("turns", "time"):
        replay = play(tape(*quick, *slow), 40.0, choice)
        replay.run()
        counts[choice] = [replay.ledger.families[f].n_proposed for f in "ab"]
    ahead = {choice: quick - slow for choice, (quick, slow) in counts.items()}
    assert ahead["time"] > 2 * ahead["turns"]
