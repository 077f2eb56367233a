"""Scores of predictions, in NumPy alone; equal to scikit-learn's wherever those are defined.

P has shape (n_samples, n_classes) and holds probabilities (binary: two columns), or (n_samples, 1) and holds
values; y holds class codes or values. Where only one class is present, roc_auc is 0.5: nothing can be ranked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from data.messages import did_you_mean
from errors import ConfigError, DataError

if TYPE_CHECKING:
    from configs.schema import ProblemType

ScoreFunction = Callable[[np.ndarray, np.ndarray], float]

CLASSES: tuple[ProblemType, ...] = ("binary", "multiclass")
VALUES: tuple[ProblemType, ...] = ("regression",)
EPS = float(np.finfo(np.float64).eps)
BINARY = 2


@dataclass(frozen=True)
class Metric:
    """One way to score predictions.

    Attributes:
        name: Name in the configuration.
        mode: Whether lower ("min") or higher ("max") is better.
        problem_types: Where it is defined.
        fn: From y and P to the score.
    """

    name: str
    mode: Literal["min", "max"]
    problem_types: tuple[ProblemType, ...]
    fn: ScoreFunction

    def from_loss(self, value: float) -> float:
        """The score of which `loss` made this value."""
        return value if self.mode == "min" else -value


def roc_auc(y: np.ndarray, P: np.ndarray) -> float:
    """Area under the ROC curve; multiclass: mean of one class against the rest, over the classes present."""
    if P.shape[1] == BINARY:
        return _auc(y == 1, P[:, 1])
    present = np.unique(y)
    if len(present) == 1:
        return 0.5
    return float(np.mean([_auc(y == k, P[:, k]) for k in present]))


def _auc(positive: np.ndarray, p: np.ndarray) -> float:
    n_positive = int(np.count_nonzero(positive))
    n_pairs = n_positive * (len(positive) - n_positive)
    if n_pairs == 0:
        return 0.5
    order = np.argsort(p)
    p, positive = p[order], positive[order]
    last_of_tie = np.append(np.flatnonzero(p[1:] != p[:-1]), len(p) - 1)
    n_below_or_tied = np.cumsum(positive)[last_of_tie]
    n_positive_tied = np.diff(n_below_or_tied, prepend=0)
    n_negative_tied = np.diff(last_of_tie, prepend=-1) - n_positive_tied
    # A pair counts one where the positive row ranks above the negative one, and a half where they tie.
    n_wins_twice = n_negative_tied @ (2 * (n_positive - n_below_or_tied) + n_positive_tied)
    return float(n_wins_twice / (2 * n_pairs))


def log_loss(y: np.ndarray, P: np.ndarray) -> float:
    """Mean negative log-probability of the true class, in nats; rows are made to sum to 1, then clipped."""
    total = P.sum(axis=1, dtype=np.float64)
    p = P[np.arange(len(y)), y] / np.where(total > 0, total, 1.0)
    return float(-np.log(np.clip(p, EPS, 1 - EPS)).mean())


def accuracy(y: np.ndarray, P: np.ndarray) -> float:
    """Share of rows whose likeliest class (the first among equals) is the true one."""
    return float(np.mean(P.argmax(axis=1) == y))


def precision(y: np.ndarray, P: np.ndarray) -> float:
    """True among predicted; of class 1 (binary), or the mean over classes true or predicted. 0/0 is 0."""
    hit, predicted, true = _count(y, P)
    return _average(_ratio(hit, predicted), predicted + true)


def recall(y: np.ndarray, P: np.ndarray) -> float:
    """Found among true; of class 1 (binary), or the mean over classes true or predicted. 0/0 is 0."""
    hit, predicted, true = _count(y, P)
    return _average(_ratio(hit, true), predicted + true)


def f1(y: np.ndarray, P: np.ndarray) -> float:
    """Harmonic mean of precision and recall; of class 1 (binary), or the mean as there. 0/0 is 0."""
    hit, predicted, true = _count(y, P)
    return _average(_ratio(2 * hit, predicted + true), predicted + true)


def _count(y: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows per class that are hit, predicted, and true."""
    n_classes = P.shape[1]
    chosen = P.argmax(axis=1)
    hit = np.bincount(y[chosen == y], minlength=n_classes)
    return hit, np.bincount(chosen, minlength=n_classes), np.bincount(y, minlength=n_classes)


def _average(rates: np.ndarray, seen: np.ndarray) -> float:
    return float(rates[1] if len(rates) == BINARY else rates[seen > 0].mean())


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


def rmse(y: np.ndarray, P: np.ndarray) -> float:
    """Root of the mean squared error, in units of the target."""
    return float(np.sqrt(np.mean(np.square(y - P[:, 0]))))


def mae(y: np.ndarray, P: np.ndarray) -> float:
    """Mean absolute error, in units of the target."""
    return float(np.mean(np.abs(y - P[:, 0])))


def r2(y: np.ndarray, P: np.ndarray) -> float:
    """Share of the target's variance explained; where y is constant, 1 for a perfect prediction, else 0."""
    residual = float(np.sum(np.square(y - P[:, 0])))
    spread = float(np.sum(np.square(y - y.mean())))
    if spread == 0.0:
        return float(residual == 0.0)
    return 1.0 - residual / spread


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", "max", CLASSES, roc_auc),
        Metric("log_loss", "min", CLASSES, log_loss),
        Metric("accuracy", "max", CLASSES, accuracy),
        Metric("precision", "max", CLASSES, precision),
        Metric("recall", "max", CLASSES, recall),
        Metric("f1", "max", CLASSES, f1),
        Metric("rmse", "min", VALUES, rmse),
        Metric("mae", "min", VALUES, mae),
        Metric("r2", "max", VALUES, r2),
    )
}
DEFAULTS: dict[ProblemType, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def default_metric(problem_type: ProblemType) -> str:
    """Name of the metric that is optimised when none is configured."""
    return DEFAULTS[problem_type]


def get_metric(name: str, problem_type: ProblemType) -> Metric:
    """The metric of that name.

    Raises: ConfigError: there is none, or it is not defined for the problem type; names the allowed ones.
    """
    allowed = [metric.name for metric in METRICS.values() if problem_type in metric.problem_types]
    if name in allowed:
        return METRICS[name]
    hint = "" if name in METRICS else did_you_mean(name, allowed)
    what = f"{name!r} is not defined for" if name in METRICS else f"unknown metric {name!r}{hint} for"
    raise ConfigError(f"metric: {what} a {problem_type} problem; allowed: {', '.join(allowed)}")


def score(name: str, y: np.ndarray, P: np.ndarray) -> float:
    """Score of the predictions by one metric.

    Shape: y (n_samples,), P (n_samples, n_outputs).
    Raises: DataError: predictions are NaN or infinite, or there are none.
    """
    return METRICS[name].fn(y, _check(y, P))


def loss(name: str, y: np.ndarray, P: np.ndarray) -> float:
    """The score turned so that lower is better: higher-is-better ones change their sign.

    Raises: DataError: see score.
    """
    value = score(name, y, P)
    return value if METRICS[name].mode == "min" else -value


def score_all(y: np.ndarray, P: np.ndarray, problem_type: ProblemType) -> dict[str, float]:
    """Score of the predictions by every metric defined for the problem type.

    Raises: DataError: see score.
    """
    P = _check(y, P)
    return {m.name: m.fn(y, P) for m in METRICS.values() if problem_type in m.problem_types}


def _check(y: np.ndarray, P: np.ndarray) -> np.ndarray:
    if P.ndim == 1:
        P = P[:, np.newaxis]
    if len(P) != len(y) or len(y) == 0:
        raise DataError(
            f"{len(P):,} predictions for {len(y):,} rows; a score needs one each, and one or more"
        )
    # NaN sorts last and would pass for a high score.
    if not np.isfinite(P.sum(dtype=np.float64)):
        n_bad = int(np.count_nonzero(~np.isfinite(P).all(axis=1)))
        raise DataError(f"predictions are not finite in {n_bad:,} of {len(P):,} rows; a score needs numbers")
    return P
