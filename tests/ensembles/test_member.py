"""Fold models go to members in proportion to their weight, and every fold is heard."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.member import FULL_WEIGHT, Deployed, deploy
from models.trials import FoldRecord, StoredTrial


def trial(number, n_folds):
    folds = tuple(FoldRecord(fold, 0.0, 0.1, 0.1) for fold in range(n_folds))
    return StoredTrial(Path(f"{number}"), number, "dnn", {}, 0, "tpe", "completed", "", folds)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(parts=st.lists(st.integers(1, 40), min_size=1, max_size=15), n_folds=st.integers(1, 10))
def test_each_member_has_its_share_of_models(parts, n_folds):
    weights = {i: part / sum(parts) for i, part in enumerate(parts)}
    trials = [trial(i, n_folds) for i in weights]
    found = deploy(trials, weights, "random", FULL_WEIGHT)
    assert set(found) == set(weights)
    for i, weight in weights.items():
        exact = n_folds * min(1.0, weight / FULL_WEIGHT)
        assert max(1, exact - 1e-6) <= len(found[i].folds) < exact + 1
        assert len(set(found[i].folds)) == len(found[i].folds)
        assert found[i].n_shares == n_folds
    heard = Counter(fold for models in found.values() for fold in models.folds)
    counts = [heard[fold] for fold in range(n_folds)]
    assert max(counts) - min(counts) <= 1


def test_all_or_one():
    trials, weights = [trial(i, 5) for i in range(3)], {0: 0.2, 2: 0.8}
    assert [len(m.folds) for m in deploy(trials, weights, "random", 0.0).values()] == [5, 5]
    assert [m.folds for m in deploy(trials, weights, "random", np.inf).values()] == [(0,), (1,)]


def test_in_time_the_last_model_answers_alone():
    models = deploy([trial(0, 4)], {0: 0.1}, "time", FULL_WEIGHT)[0]
    assert models == Deployed(trial(0, 4), (3,), 1)


@pytest.mark.parametrize("weights", [{0: 0.5, 1: 0.5}, {1: 0.5, 0: 0.5}])
def test_the_order_does_not_depend_on_how_weights_are_listed(weights):
    found = deploy([trial(i, 5) for i in range(2)], weights, "random", 1.0)
    assert (found[0].folds, found[1].folds) == ((0, 1, 2), (0, 3, 4))
