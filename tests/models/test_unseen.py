"""A class that a model was not shown is never impossible to it, nor to the graph."""

import numpy as np
import pytest

from data.metrics import log_loss
from ensembles.graph import ExportMember, build_graph
from ensembles.reference import answer
from ensembles.session import GraphSession
from models.base import FitContext, Fold, Task
from models.baseline import predict_untuned_lightgbm
from models.boosting import TargetScale
from models.families import get_family
from models.unseen import ALL_SEEN, Unseen, rows_to_stop_on
from tests.models.tables import QUICK, make_rows, make_task

FAMILIES = ["lightgbm", "xgboost", "dnn", "mc_dropout", "bnn"]


def make_fold(problem_type, lacks=True):
    """The last class is in the validation rows only."""
    X, y = make_rows(problem_type, 400, 1)
    kept = y < y.max() if lacks else np.full(len(y), True)
    return Fold(X[kept], y[kept], *make_rows(problem_type, 150, 2))


@pytest.mark.parametrize("problem_type", ["binary", "multiclass"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_class_without_a_row_is_rare_and_not_impossible(family, problem_type, tmp_path):
    task = make_task(problem_type)
    models = []
    for lacks in (True, False):
        fold = make_fold(problem_type, lacks)
        models.append(get_family(family).fit(QUICK[family], task, fold, FitContext()))
    P = models[0].predict(fold.X_val).mean
    last = fold.y_val == task.n_outputs - 1
    assert P.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert log_loss(fold.y_val[last], P[last]) < 4
    assert log_loss(fold.y_val[~last], P[~last]) < 0.8
    assert models[1].meta.unseen == ALL_SEEN
    models[0].save(tmp_path)
    np.testing.assert_array_equal(get_family(family).load(tmp_path).predict(fold.X_val).mean, P)
    members = [ExportMember(family, family, 1.0, 0.0, tuple(models))]
    found = GraphSession(build_graph(members, task, TargetScale(), None).SerializeToString()).predict(
        fold.X_val
    )
    expected = answer(members, fold.X_val)
    for name in ("mean", "members", "total", "aleatoric", "epistemic"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=2e-6, err_msg=name)


def test_members_with_and_without_it_agree_with_the_graph():
    task = make_task("multiclass")
    members = []
    for place, family in enumerate(FAMILIES):
        folds = [make_fold("multiclass", lacks=(place + k) % 2 == 0) for k in range(2)]
        models = tuple(get_family(family).fit(QUICK[family], task, fold, FitContext()) for fold in folds)
        members.append(ExportMember(family, family, 0.2, 0.0, models))
    X = folds[0].X_val
    found = GraphSession(build_graph(members, task, TargetScale(), None).SerializeToString()).predict(X)
    np.testing.assert_allclose(found.mean, answer(members, X).mean, atol=2e-6)
    np.testing.assert_allclose(found.members, answer(members, X).members, atol=2e-6)


def test_nothing_is_kept_back_where_every_class_is_there():
    y = np.array([0, 1, 2, 2])
    assert Unseen.of(y, Task("multiclass", 3, (0,))) == ALL_SEEN
    assert Unseen.of(y * 1.5, Task("regression", 1, (0,))) == ALL_SEEN
    P = np.eye(3, dtype=np.float32)
    assert ALL_SEEN.apply(P) is P


def test_what_is_kept_back_is_shared_by_the_classes_that_lack():
    unseen = Unseen.of(np.zeros(81, dtype=np.int64), Task("multiclass", 3, (0,)))
    assert unseen == Unseen((1, 2), 0.1)
    P = unseen.apply(np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))
    assert pytest.approx(np.array([[0.9, 0.05, 0.05], [0.45, 0.5, 0.05]])) == P


def test_a_fit_is_not_stopped_by_classes_it_was_not_shown():
    fold = make_fold("multiclass")
    task = make_task("multiclass")
    kept = rows_to_stop_on(fold, task)
    assert set(kept.y_val) == {0, 1, 2}
    assert len(kept.X_val) == len(kept.y_val)
    only = Fold(fold.X_train, fold.y_train, fold.X_val[fold.y_val == 3], fold.y_val[fold.y_val == 3])
    assert rows_to_stop_on(only, task) is only


def test_the_baseline_keeps_back_as_much():
    fold, task = make_fold("multiclass"), make_task("multiclass")
    P = predict_untuned_lightgbm(task, fold.X_train, fold.y_train, fold.X_val, FitContext())
    last = fold.y_val == task.n_outputs - 1
    assert log_loss(fold.y_val[last], P[last]) < 4
