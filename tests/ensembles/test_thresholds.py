import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from configs.schema import EnsembleConfig
from data.target import Target
from ensembles.answers import one_sided
from ensembles.honesty import Validated, learn_honesty
from ensembles.thresholds import check_goal, decide, fit_threshold, measure, never_positive, report
from errors import ConfigError
from tests.ensembles.test_calibration import softmax, truth

FOLDS = np.arange(6000) % 5


def rare(n_classes, seed=0):
    """Calibrated probabilities of classes of which the last are rare."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(6000, n_classes)) - 1.5 * np.arange(n_classes)
    P = softmax(z)
    return P, (P.cumsum(1) < rng.random((6000, 1))).sum(1)


@pytest.mark.parametrize("goal", ["f1", "balanced_accuracy"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_goal_rises_on_rows_that_were_not_looked_at(goal, n_classes):
    P, y = rare(n_classes)
    found = report(P, y, FOLDS, goal)
    assert found["for"] == goal
    assert found["after"] > found["before"] + 0.02
    threshold = json.loads(json.dumps(fit_threshold(P, y, goal)))
    P, y = rare(n_classes, seed=1)
    assert measure(decide(P, threshold), y, goal, n_classes) == pytest.approx(found["after"], abs=0.03)


def test_accuracy_needs_no_threshold_where_probabilities_are_right():
    P, y = rare(2)
    found = report(P, y, FOLDS, "accuracy")
    assert found["after"] == pytest.approx(found["before"], abs=0.01)


@pytest.mark.parametrize("goal", ["f1", "balanced_accuracy", "accuracy"])
def test_the_cut_is_the_best_of_all(goal):
    rng = np.random.default_rng(0)
    p = np.round(rng.random(300), 2)
    y = (rng.random(300) < p**2).astype(int)
    P = np.column_stack([1 - p, p])
    best = max(measure((p >= t).astype(int), y, goal, 2) for t in [*np.unique(p), 1.1])
    assert measure(decide(P, fit_threshold(P, y, goal)), y, goal, 2) == pytest.approx(best)


def test_costs_move_the_decision_to_where_mistakes_are_cheap():
    P, y = rare(2)
    costs = ((0.0, 1.0), (9.0, 0.0))
    threshold = fit_threshold(P, y, costs)
    np.testing.assert_array_equal(decide(P, threshold), (P[:, 1] > 0.1).astype(int))
    found = report(P, y, FOLDS, costs)
    assert found["after"] < 0.9 * found["before"]


def test_without_a_threshold_the_likeliest_class_is_it():
    z, _ = truth(4)
    np.testing.assert_array_equal(decide(softmax(z)), z.argmax(1))


def test_what_does_not_fit_the_target_is_refused_with_its_classes():
    check_goal(None, ())
    check_goal("f1", ("a", "b"))
    check_goal(((0, 1), (1, 0)), ("a", "b"))
    with pytest.raises(ConfigError, match="the target is a number"):
        check_goal("f1", ())
    with pytest.raises(ConfigError, match=r"costs of 2 x 2; the target has 3 classes \(a, b, c\)"):
        check_goal(((0, 1), (1, 0)), ("a", "b", "c"))
    with pytest.raises(ConfigError, match=r"2 x 1 x 2"):
        check_goal(((0, 1), (1,)), ("a", "b"))
    assert EnsembleConfig(threshold=[[0, 5], [1, 0]]).threshold == ((0, 5), (1, 0))


def test_where_f1_is_0_the_threshold_that_helps_is_told():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 12, 3000)
    y = (rng.random(3000) < p).astype(np.int64)
    p = np.minimum(p, 0.49)
    P = np.column_stack([1 - p, p])
    assert never_positive(P, y)
    rows = Validated(y, np.arange(3000) % 5, [P], [1.0])
    found = learn_honesty(rows, "binary", None).report["never_positive"]
    assert found["highest"] < 0.5
    assert 0 < found["threshold"] < found["highest"]
    assert found["f1"] > 0.1
    assert "never_positive" not in learn_honesty(rows, "binary", "f1").report
    assert not never_positive(P[:, ::-1], y)


def test_predictions_without_a_positive_row_say_so():
    target = Target("y", "binary", ("no", "yes"), "yes")
    scores = {"never_positive": {"threshold": 0.12, "highest": 0.2, "f1": 0.3}}
    bundle = SimpleNamespace(target=target, threshold=None, manifest={"scores": scores})
    answers = pd.DataFrame({"prediction": ["no", "no"], "probability_yes": [0.1, 0.2]})
    (note,) = one_sided(bundle, answers)
    assert "no row is called 'yes'; the highest probability is 0.2" in note
    assert "ensemble.threshold=f1 decides from 0.12 on (F1 0.3 out of fold)" in note
    assert one_sided(bundle, answers.assign(prediction=["no", "yes"])) == []
