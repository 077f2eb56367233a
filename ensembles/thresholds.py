"""Deciding for a class: by the likeliest, or so that a metric is highest or the expected cost lowest.

A threshold is a dict that JSON holds; P are calibrated probabilities:

    {"for": "f1", "threshold": t}            binary: class 1 where p1 >= t
    {"for": "f1", "weights": [...]}          the class with the highest weight * probability
    {"for": "cost", "costs": [[...], ...]}   the class whose expected cost is lowest; costs[true][predicted]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data.metrics import f1
from ensembles.calibration import validation_parts
from errors import ConfigError

BINARY = 2
OF_CLASSES = ("accuracy", "precision", "recall", "f1")
# Classes are weighted by a power of how rare they are: 0 leaves them, 1 makes each count the same.
POWERS = tuple(i / 10 for i in range(13))

Goal = str | Sequence[Sequence[float]]
Threshold = Mapping[str, Any]


def decide(P: np.ndarray, threshold: Threshold | None = None) -> np.ndarray:
    """The class of each row.

    Shape: P (n_samples, n_classes) -> int64 (n_samples,).
    """
    if threshold is None:
        return P.argmax(axis=1)
    if "costs" in threshold:
        return (P @ np.asarray(threshold["costs"], np.float64)).argmin(axis=1)
    if "weights" in threshold:
        return (P * np.asarray(threshold["weights"])).argmax(axis=1)
    return (P[:, 1] >= threshold["threshold"]).astype(np.int64)


def answered(metric: str, P: np.ndarray, threshold: Threshold | None) -> np.ndarray:
    """What a metric scores: of those that count classes the classes that are answered, of others the probabilities.

    Shape: (n_samples, n_classes) -> the same.
    """
    if threshold is None or metric not in OF_CLASSES:
        return P
    return np.eye(P.shape[1])[decide(P, threshold)]


def never_positive(P: np.ndarray, y: np.ndarray) -> bool:
    """Whether the likeliest class of a binary problem is never rightly the positive one, so that F1 is 0.

    Shape: P (n_samples, n_classes), y int64 (n_samples,).
    """
    return P.shape[1] == BINARY and bool(y.any()) and not (decide(P)[y == 1] == 1).any()


def fit_threshold(P: np.ndarray, y: np.ndarray, goal: Goal) -> dict[str, Any]:
    """Choose how to decide, on calibrated out-of-fold probabilities.

    Shape: P (n_samples, n_classes), y int64 (n_samples,).

    Args:
        P: Probabilities.
        y: True classes.
        goal: f1, balanced_accuracy, accuracy, or what each mistake costs: costs[true][predicted].
    """
    if not isinstance(goal, str):
        return {"for": "cost", "costs": [[float(c) for c in row] for row in goal]}
    if P.shape[1] == BINARY:
        return {"for": goal, "threshold": _best_cut(P[:, 1], y, goal)}
    rarity = 1 / np.maximum(np.bincount(y, minlength=P.shape[1]) / len(y), 1 / len(y))
    candidates = [{"for": goal, "weights": (rarity**power).tolist()} for power in POWERS]
    values = [measure(decide(P, c), y, goal, P.shape[1]) for c in candidates]
    return candidates[int(np.argmax(values))]


def report(P: np.ndarray, y: np.ndarray, folds: np.ndarray, goal: Goal) -> dict[str, Any]:
    """What deciding so is worth, each row decided by what the other folds taught, beside the likeliest class.

    Returns: goal, and its value before and after; a cost is the mean over rows, lower is better.
    """
    chosen = np.empty(len(y), np.int64)
    parts = validation_parts(folds)
    for part in np.unique(parts):
        held = parts == part
        chosen[held] = decide(P[held], fit_threshold(P[~held], y[~held], goal))
    n_classes = P.shape[1]
    return {
        "for": goal if isinstance(goal, str) else "cost",
        "before": measure(decide(P), y, goal, n_classes),
        "after": measure(chosen, y, goal, n_classes),
    }


def measure(chosen: np.ndarray, y: np.ndarray, goal: Goal, n_classes: int) -> float:
    """The goal's value for decisions; the mean cost where the goal is costs."""
    if not isinstance(goal, str):
        return float(np.asarray(goal, np.float64)[y, chosen].mean())
    if goal == "accuracy":
        return float((chosen == y).mean())
    if goal == "f1":
        return f1(y, np.eye(n_classes)[chosen])
    n_true = np.bincount(y, minlength=n_classes)
    hit = np.bincount(y[chosen == y], minlength=n_classes)
    return float((hit[n_true > 0] / n_true[n_true > 0]).mean())


def check_goal(goal: Goal | None, classes: Sequence[Any]) -> None:
    """Check `ensemble.threshold` against the target's classes; there are none for regression.

    Raises: ConfigError: not classes, or a cost matrix of another size.
    """
    if goal is None:
        return
    if not classes:
        raise ConfigError(f"ensemble.threshold: got {goal!r}; it is for classes, and the target is a number")
    if isinstance(goal, str):
        return
    n = len(classes)
    if len(goal) != n or any(len(row) != n for row in goal):
        shape = " x ".join(map(str, [len(goal), *sorted({len(row) for row in goal})]))
        names = ", ".join(map(str, classes))
        raise ConfigError(
            f"ensemble.threshold: got costs of {shape}; the target has {n} classes ({names}), so {n} rows of "
            f"{n} numbers are needed, costs[true][predicted] in that order"
        )


def _best_cut(p: np.ndarray, y: np.ndarray, goal: str) -> float:
    """The threshold with the highest value, in the middle between the two probabilities that it parts.

    Among equals the one nearest to 1/2.
    """
    order = np.argsort(-p, kind="stable")
    above = np.concatenate([[1.0], p[order]])
    hits = np.concatenate([[0], np.cumsum(y[order] == 1)])
    n_true, n_chosen = int(hits[-1]), np.arange(len(p) + 1)
    if goal == "f1":
        values = 2 * hits / np.maximum(n_chosen + n_true, 1)
    else:
        misses = n_chosen - hits
        n_false = len(p) - n_true
        weights = (1 / max(n_true, 1), 1 / max(n_false, 1)) if goal == "balanced_accuracy" else (1, 1)
        values = weights[0] * hits - weights[1] * misses
    below = np.append(above[1:], 0.0)
    ends = below < above
    cuts, values = ((above + below) / 2)[ends], values[ends]
    best = np.flatnonzero(values >= values.max() - 1e-12 * abs(values.max()))
    return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5))]])
