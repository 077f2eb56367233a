"""Intervals, sets and thresholds in the answers, and what is said where there are none."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from data.table_file import csv_text
from data.target import Target
from ensembles.answers import answer_frame, answer_rows
from ensembles.conformal import fit_intervals, fit_sets
from errors import ConfigError, PredictionError

MEMBERS = np.array([[[1.0], [5.0]], [[3.0], [5.0]]], np.float32)
PROBABILITIES = np.array([[0.55, 0.05, 0.4], [0.1, 0.1, 0.8]])


def prediction_of(mean, members):
    zeros = np.zeros(len(mean))
    return SimpleNamespace(mean=mean, members=members, total=zeros, aleatoric=zeros, epistemic=zeros)


def bundle_of(target, conformal, prediction, threshold=None):
    return SimpleNamespace(
        path="runs/x/bundle",
        target=target,
        conformal=conformal,
        threshold=threshold,
        predict=lambda frame, unreadable="error": prediction,
    )


@pytest.fixture
def number():
    rng = np.random.default_rng(0)
    members = rng.normal(size=(2, 400, 1)).astype(np.float32)
    y = members[:, :, 0].mean(0) + rng.normal(size=400)
    conformal = fit_intervals(y, members, (0.5, 0.5), np.arange(400) % 4)
    return bundle_of(Target("y", "regression"), conformal, prediction_of(MEMBERS.mean(0), MEMBERS))


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    P = rng.dirichlet((1, 1, 1), 3000)
    y = (P.cumsum(1) < rng.random((3000, 1))).sum(1)
    target = Target("y", "multiclass", (3, 7, "x"))
    return bundle_of(target, fit_sets(P, y), prediction_of(PROBABILITIES, PROBABILITIES[None]))


def test_numbers_get_an_interval_that_grows_with_the_level(number):
    prediction = number.predict(None)
    narrow, wide = (answer_rows(number, prediction, level) for level in (0.5, 0.95))
    for low, high in zip(narrow, wide, strict=True):
        assert high["interval"]["low"] < low["interval"]["low"] < low["predicted_value"]
        assert low["predicted_value"] < low["interval"]["high"] < high["interval"]["high"]
        assert (low["level"], high["level"]) == (0.5, 0.95)
    assert "interval" not in answer_rows(number, prediction)[0]
    json.dumps(narrow, allow_nan=False)


def test_classes_get_a_set_of_labels_in_their_own_type(classes):
    answers = answer_rows(classes, classes.predict(None), 0.9)
    assert answers[0]["prediction_set"] == [3, "x"]
    assert answers[1]["prediction_set"] == ["x"]
    assert answer_rows(classes, classes.predict(None), 0.999)[0]["prediction_set"] == [3, 7, "x"]
    json.dumps(answers, allow_nan=False)


def test_tables_get_columns(number, classes):
    rows = pd.DataFrame({"id": [8, 9]})
    frame = answer_frame(number, rows, level=0.9)
    assert list(frame) == ["prediction", "prediction_low", "prediction_high"]
    assert (frame["prediction_low"] < frame["prediction"]).all()
    frame = answer_frame(classes, rows, level=0.9)
    assert json.loads(frame.to_json(orient="records"))[0]["prediction_set"] == [3, "x"]
    assert '"[3, ""x""]"' in csv_text(frame)
    assert "prediction_set" not in answer_frame(classes, rows)


def test_a_threshold_decides_and_the_confidence_is_that_of_the_decision(classes):
    classes.threshold = {"for": "f1", "weights": [1.0, 1.0, 2.0]}
    answer = answer_rows(classes, classes.predict(None))[0]
    assert (answer["predicted_class"], answer["confidence"]) == ("x", 0.4)
    assert answer_frame(classes, pd.DataFrame({"a": [1, 2]}))["prediction"].tolist() == ["x", "x"]


def test_what_cannot_be_answered_says_why(number):
    prediction = number.predict(None)
    with pytest.raises(ConfigError, match=r"got 90; allowed: above 0 and below 1"):
        answer_rows(number, prediction, 90)
    with pytest.raises(PredictionError, match=r"validated on 400 rows, which allow at most 0\.9975"):
        answer_rows(number, prediction, 0.999)
    number.conformal = None
    with pytest.raises(PredictionError, match=r"runs/x/bundle.*tabularay ensemble RUN"):
        answer_rows(number, prediction, 0.9)
