"""What makes an ensemble honest, learned from its out-of-fold predictions: calibration, coverage, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from configs.schema import ProblemType
from ensembles.calibration import calibrate, fit_calibration, floored
from ensembles.calibration import report as calibration_report
from ensembles.conformal import fit_intervals, fit_sets
from ensembles.thresholds import Goal, fit_threshold, never_positive
from ensembles.thresholds import report as threshold_report


@dataclass(frozen=True)
class Honesty:
    """What is stored beside the members.

    Attributes:
        calibration: See calibration.py; None: the mean is used as it is.
        conformal: See conformal.py.
        threshold: See thresholds.py; None: the likeliest class.
        report: Cross-validated figures: `calibration` and, where there is one, `threshold`; where no row is rightly
            called positive, `never_positive`: the highest probability, the threshold that F1 would choose, its F1.
    """

    calibration: dict[str, Any] | None
    conformal: dict[str, Any]
    threshold: dict[str, Any] | None
    report: dict[str, Any]


@dataclass(frozen=True)
class Validated:
    """The validated rows, as the ensemble's members predicted them out of fold.

    Shape: y (n_samples,); folds (n_samples,); members (n_members, n_samples, n_outputs); weights (n_members,),
        which sum to 1.
    """

    y: np.ndarray
    folds: np.ndarray
    members: Sequence[np.ndarray]
    weights: Sequence[float]

    @property
    def mean(self) -> np.ndarray:
        """The ensemble's answers, float64 (n_samples, n_outputs); rows of probabilities sum to 1."""
        mean = sum(w * P.astype(np.float64) for w, P in zip(self.weights, self.members, strict=True))
        return mean / mean.sum(axis=1, keepdims=True) if mean.shape[1] > 1 else mean


def learn_honesty(
    rows: Validated, problem_type: ProblemType, goal: Goal | None, n_train: int | None = None
) -> Honesty:
    """Learn calibration, conformal scores and threshold.

    Args:
        rows: The validated rows.
        problem_type: Of the target.
        goal: `ensemble.threshold`.
        n_train: Rows that are learned from; None: the validated ones.
    """
    if problem_type == "regression":
        members = np.stack([np.asarray(P) for P in rows.members])
        return Honesty(None, fit_intervals(rows.y, members, rows.weights, rows.folds), None, {})
    P = rows.mean
    calibration = fit_calibration(P, rows.y, rows.folds)
    report = {"calibration": calibration_report(P, rows.y, rows.folds, calibration)}
    calibration = floored(calibration, n_train or len(P), P.shape[1])
    P = calibrate(P, calibration)
    threshold = None
    if goal is not None:
        threshold = fit_threshold(P, rows.y, goal)
        report["threshold"] = threshold_report(P, rows.y, rows.folds, goal)
    elif never_positive(P, rows.y):
        found = {"threshold": fit_threshold(P, rows.y, "f1")["threshold"], "highest": float(P[:, 1].max())}
        report["never_positive"] = found | {"f1": threshold_report(P, rows.y, rows.folds, "f1")["after"]}
    return Honesty(calibration, fit_sets(P, rows.y), threshold, report)
