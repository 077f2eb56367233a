"""Fold models go to members in proportion to their weight, the best ones first."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.member import FULL_WEIGHT, Deployed, deploy
from models.trials import FoldRecord, StoredTrial

RANDOM, TIME = SimpleNamespace(split="random"), SimpleNamespace(split="time")


def trial(number, n_folds, scores=None):
    folds = tuple(FoldRecord(fold, (scores or [0.0] * n_folds)[fold], 0.1, 0.1) for fold in range(n_folds))
    return StoredTrial(Path(f"{number}"), number, "dnn", {}, 0, "tpe", "completed", "", folds)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(parts=st.lists(st.integers(1, 40), min_size=1, max_size=15), n_folds=st.integers(1, 10))
def test_each_member_has_its_share_of_models(parts, n_folds):
    weights = {i: part / sum(parts) for i, part in enumerate(parts)}
    trials = [trial(i, n_folds) for i in weights]
    found = deploy(trials, weights, RANDOM, FULL_WEIGHT, "min")
    assert set(found) == set(weights)
    for i, weight in weights.items():
        exact = n_folds * min(1.0, weight / FULL_WEIGHT)
        assert max(1, exact - 1e-6) <= len(found[i].folds) < exact + 1
        assert len(set(found[i].folds)) == len(found[i].folds)
        assert found[i].n_shares == n_folds


def test_all_or_one():
    trials, weights = [trial(i, 5) for i in range(3)], {0: 0.2, 2: 0.8}
    assert [len(m.folds) for m in deploy(trials, weights, RANDOM, 0.0, "min").values()] == [5, 5]
    assert [len(m.folds) for m in deploy(trials, weights, RANDOM, np.inf, "min").values()] == [1, 1]


def test_in_time_the_last_model_answers_alone():
    models = deploy([trial(0, 4)], {0: 0.1}, TIME, FULL_WEIGHT, "min")[0]
    assert models == Deployed(trial(0, 4), (3,), 1)


def test_where_a_trial_has_nothing_to_be_compared_with_its_longest_fits_stay():
    folds = tuple(
        FoldRecord(k, 0.1 * k, 0.1, 0.1, best_step=steps) for k, steps in enumerate((5, 50, 20, 50))
    )
    alone = replace(trial(0, 4), folds=folds)
    kept = [deploy([alone], {0: 1.0}, RANDOM, full, "min")[0].folds for full in (1.0, 1.3, 2.0, 4.0)]
    assert kept == [(0, 1, 2, 3), (0, 1, 2, 3), (1, 3), (1,)]


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_the_models_kept_are_the_best_for_their_fold(mode, sign):
    """Fold 1 is hard for all; the second trial's fit of fold 0 was cut short, and one of fold 2 has no score."""
    easy = [0.10, 0.50, 0.10, 0.10]
    light = [0.90, 0.51, float("nan"), 0.15]
    trials = [trial(i, 4, [sign * v for v in scores]) for i, scores in enumerate((easy, light))]
    kept = [deploy(trials, {0: 1 - w, 1: w}, RANDOM, 0.4, mode)[1].folds for w in (0.1, 0.2, 0.3, 0.4)]
    assert kept == [(1,), (1, 3), (0, 1, 3), (0, 1, 2, 3)]
