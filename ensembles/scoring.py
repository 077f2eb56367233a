"""The withheld rows: predicted once, when everything is chosen, and scored."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.dataset import TabularDataset
from data.metrics import METRICS, score
from ensembles.bootstrap import score_interval
from ensembles.calibration import calibrate, calibration_error
from ensembles.conformal import LEVEL, interval, prediction_set, within
from ensembles.honesty import Honesty
from ensembles.member import Deployed, Member
from ensembles.reference import answer
from ensembles.thresholds import Threshold, answered, decide, measure
from ensembles.uncertainty import EnsemblePrediction
from models.base import FitContext, Task
from models.baseline import predict_untuned_lightgbm
from models.trials import StoredTrial


@dataclass(frozen=True)
class Answers:
    """What an ensemble and the best single trial say of rows.

    Shape: mean, best_single (n_samples, n_outputs), the mean calibrated.

    Attributes:
        raw: The ensemble's answer by its models, before calibration.
        mean: The ensemble's predictions.
        best_single: Those of the best single trial.
    """

    raw: EnsemblePrediction
    mean: np.ndarray
    best_single: np.ndarray

    @property
    def members(self) -> np.ndarray:
        """Each member's own answer (n_members, n_samples, n_outputs)."""
        return self.raw.members


def predict_rows(
    members: tuple[Member, ...],
    best: StoredTrial,
    honesty: Honesty,
    dataset: TabularDataset,
    rows: tuple[np.ndarray, int],
) -> Answers:
    """Predict encoded rows with the models that are deployed, and with the fold models of the best single trial.

    Args:
        members: The ensemble.
        best: The best single trial.
        honesty: The ensemble's calibration.
        dataset: The training side's table.
        rows: X (n_samples, n_features), and threads to predict them with.
    """
    X, n_threads = rows
    raw = answer([m.loaded for m in members], X, n_threads)
    alone = Deployed.whole(best, dataset.split)
    known = [each for m, each in zip(members, raw.members, strict=True) if m.deployed.key == alone.key]
    single = known[0].astype(np.float64) if known else alone.predict_mean(X, n_threads)
    if dataset.problem_type == "regression":
        mean, single = (within(P, honesty.conformal["limits"]) for P in (raw.mean, single))
    else:
        mean = calibrate(raw.mean, honesty.calibration)
    return Answers(raw, mean, single)


@dataclass(frozen=True)
class TestLook:
    """What the withheld rows said; all empty without any.

    Attributes:
        scores: By who ("ensemble", "best_single", "untuned_lightgbm") and metric.
        intervals: 95 % intervals of the scores, by the same; empty also where there was no time for them.
        honesty: Coverage at 90 %, calibration error, and what the threshold was worth.
        raw: The ensemble's answers by its models, not calibrated; None without rows.
    """

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    intervals: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    honesty: dict[str, Any] = field(default_factory=dict)
    raw: EnsemblePrediction | None = None


def in_time(context: FitContext) -> bool:
    """Whether what can be left out may still be begun."""
    return context.deadline is None or time.monotonic() < context.deadline


def score_test(
    members: tuple[Member, ...],
    best: StoredTrial,
    honesty: Honesty,
    dataset: TabularDataset,
    context: FitContext,
    single_threshold: Threshold | None = None,
) -> TestLook:
    """Score the withheld rows, where there are any: the probabilities, and the classes as they would be answered.

    Args:
        members: The ensemble.
        best: The best single trial.
        honesty: What was learned from the ensemble's out-of-fold predictions.
        dataset: With the withheld rows.
        context: Threads and seed of the untuned model, and when it must be done.
        single_threshold: Which class the best single trial would answer; None: the likeliest.
    """
    if dataset.X_test is None or dataset.y_test is None:
        return TestLook()
    X_test, y_test = np.asarray(dataset.X_test), np.asarray(dataset.y_test)
    answers = predict_rows(members, best, honesty, dataset, (X_test, context.n_threads))
    by_who = {"ensemble": answers.mean, "best_single": answers.best_single}
    X, y = np.asarray(dataset.X), np.asarray(dataset.y)
    untuned = predict_untuned_lightgbm(Task.of(dataset), X, y, X_test, context)
    if untuned is not None:
        by_who["untuned_lightgbm"] = untuned
    decided = {"ensemble": honesty.threshold, "best_single": single_threshold}
    scored = {who: _by_metric(P, dataset, decided.get(who)) for who, P in by_who.items()}
    scores = {
        who: {metric: score(metric, y_test, P) for metric, P in each.items()} for who, each in scored.items()
    }
    blocks = dataset.test_blocks
    intervals = {
        who: {metric: list(score_interval(metric, y_test, P, blocks=blocks)) for metric, P in each.items()}
        for who, each in scored.items()
        if in_time(context)
    }
    return TestLook(scores, intervals, check_honesty(answers, y_test, honesty), answers.raw)


def _by_metric(P: np.ndarray, dataset: TabularDataset, threshold: Threshold | None) -> dict[str, np.ndarray]:
    names = [m.name for m in METRICS.values() if dataset.problem_type in m.problem_types]
    return {name: answered(name, P, threshold) for name in names}


def check_honesty(answers: Answers, y: np.ndarray, honesty: Honesty) -> dict[str, Any]:
    """Coverage and size of intervals or sets at 90 %; for classes also calibration error and decisions."""
    found: dict[str, Any] = {"level": LEVEL}
    if honesty.conformal["kind"] == "interval":
        if honesty.conformal["n"] * (1 - LEVEL) >= 1:
            ends = interval(answers.mean, answers.members, honesty.conformal, LEVEL)
            found["covered"] = float(((ends[:, 0] <= y) & (y <= ends[:, 1])).mean())
            found["mean_width"] = float((ends[:, 1] - ends[:, 0]).mean())
        return found
    P = answers.mean
    if honesty.conformal["n"] * (1 - LEVEL) >= 1:
        sets = prediction_set(P, honesty.conformal, LEVEL)
        found["covered"] = float(sets[np.arange(len(y)), y].mean())
        found["mean_set_size"] = float(sets.sum(axis=1).mean())
    found["ece"] = calibration_error(P, y)
    return found | _threshold_on(P, y, honesty.threshold)


def _threshold_on(P: np.ndarray, y: np.ndarray, threshold: Mapping[str, Any] | None) -> dict[str, Any]:
    if threshold is None:
        return {}
    goal = threshold["costs"] if "costs" in threshold else threshold["for"]
    value = measure(decide(P, threshold), y, goal, P.shape[1])
    return {"threshold": {"for": threshold["for"], "value": value}}
