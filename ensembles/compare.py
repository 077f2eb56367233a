"""Two models on the same rows: scores, and whether their difference is more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.given import check_frame
from data.metrics import METRICS, score
from ensembles.bootstrap import difference_interval, score_interval
from ensembles.bundle import Bundle
from ensembles.thresholds import answered
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MetricDifference:
    """Two models' scores by one metric.

    Attributes:
        metric: The metric.
        mode: Whether lower ("min") or higher ("max") is better.
        first, second: Their scores.
        first_interval, second_interval: Where each score may lie (95 %).
        difference: The second's score less the first's.
        interval: Where it may lie (95 %), both models scored on the same resamples of the rows.
    """

    metric: str
    mode: str
    first: float
    second: float
    first_interval: tuple[float, float]
    second_interval: tuple[float, float]
    difference: float
    interval: tuple[float, float]

    @property
    def verdict(self) -> str:
        """first, second, or neither where the interval holds 0."""
        low, high = self.interval
        if low <= 0 <= high:
            return "neither"
        return "second" if (self.difference > 0) == (self.mode == "max") else "first"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "better": self.verdict}


def compare_models(first: Bundle, second: Bundle, frame: pd.DataFrame) -> list[MetricDifference]:
    """Score two models on the rows of a table that has their target.

    Raises: DataError: the models do not predict the same, the table has no target, or a value does not fit.
    """
    _check_alike(first, second)
    y = true_values(first, frame)
    means = [bundle.predict(frame).mean for bundle in (first, second)]
    problem_type = first.target.problem_type
    names = [m.name for m in METRICS.values() if problem_type in m.problem_types]

    def pair_of(metric: str) -> tuple[np.ndarray, np.ndarray]:
        scored = [answered(metric, P, b.threshold) for P, b in zip(means, (first, second), strict=True)]
        return scored[0], _in_order(first, second, scored[1])

    return [_compare(name, y, pair_of(name)) for name in names]


def true_values(bundle: Bundle, frame: pd.DataFrame) -> np.ndarray:
    """The target column of a table, encoded as the model's.

    Raises: DataError: there is no such column, or a label is none of the model's.
    """
    check_frame(frame)
    name = bundle.target.name
    if name not in frame.columns:
        raise DataError(
            f"the table has no column '{name}', which the model predicts; there is: "
            f"{', '.join(map(str, frame.columns))}"
        )
    return bundle.target.encode(frame[name])


def _compare(metric: str, y: np.ndarray, pair: tuple[np.ndarray, np.ndarray]) -> MetricDifference:
    first, second = (score(metric, y, P) for P in pair)
    intervals = [score_interval(metric, y, P) for P in pair]
    between = difference_interval(metric, y, pair)
    mode = METRICS[metric].mode
    return MetricDifference(metric, mode, first, second, *intervals, second - first, between)


def _check_alike(first: Bundle, second: Bundle) -> None:
    a, b = first.target, second.target
    if (a.name, a.problem_type) != (b.name, b.problem_type):
        raise DataError(
            f"the models do not predict the same: '{a.name}' ({a.problem_type}) and '{b.name}' ({b.problem_type})"
        )
    if set(map(str, a.classes)) != set(map(str, b.classes)):
        raise DataError(
            f"the models know different classes: {', '.join(map(str, a.classes))}, and "
            f"{', '.join(map(str, b.classes))}"
        )
    if a.positive != b.positive:
        raise DataError(f"the models have different positive classes: {a.positive!r} and {b.positive!r}")


def _in_order(first: Bundle, second: Bundle, P: np.ndarray) -> np.ndarray:
    """The second model's probabilities, with its classes in the first one's order."""
    if first.target.problem_type == "regression":
        return P
    places = {str(label): i for i, label in enumerate(second.target.classes)}
    return P[:, [places[str(label)] for label in first.target.classes]]
