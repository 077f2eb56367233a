"""Uncertainty of the ensemble's predictions, split into what more data would and would not remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.base import Prediction

TINY = 1e-30
# Nats of either part added before an entropy is split: of what is nearly 0, rounding would decide the shares.
NOISE = 1e-3


@dataclass(frozen=True)
class EnsemblePrediction:
    """What the ensemble says of some rows.

    Attributes:
        mean: Class probabilities (n_samples, n_classes), or values (n_samples, 1); calibrated, where a bundle is.
        total, aleatoric, epistemic: (n_samples,). Classification: entropy of the mean, mean entropy of the
            single answers, and their difference (the mutual information), in nats; total is their sum.
            Regression: standard deviations in the target's unit; total^2 = aleatoric^2 + epistemic^2.
        members: Each member's own answer (n_members, n_samples, n_outputs), never calibrated; None where only sums
            were kept. Probabilities are float32, values float64 (float32 where 0.1.0 wrote the bundle).
    """

    mean: np.ndarray
    total: np.ndarray
    aleatoric: np.ndarray
    epistemic: np.ndarray
    members: np.ndarray | None = None

    def rows(self, start: int, stop: int) -> EnsemblePrediction:
        """The same of rows start to stop."""
        if stop - start == len(self.mean):
            return self
        parts = (self.mean, self.total, self.aleatoric, self.epistemic)
        members = None if self.members is None else self.members[:, start:stop]
        return EnsemblePrediction(*(part[start:stop] for part in parts), members)

    @staticmethod
    def joined(parts: Sequence[EnsemblePrediction]) -> EnsemblePrediction:
        """One prediction of all parts' rows; all parts have members' answers, or none has."""
        if len(parts) == 1:
            return parts[0]
        names = ("mean", "total", "aleatoric", "epistemic")
        rows = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
        if parts[0].members is None:
            return EnsemblePrediction(*rows)
        return EnsemblePrediction(*rows, np.concatenate([part.members for part in parts], axis=1))

    def calibrated(self, mean: np.ndarray) -> EnsemblePrediction:
        """The same with calibrated class probabilities: their entropy, split as that of the old ones was.

        Shape: mean (n_samples, n_classes).
        """
        total = entropy(mean)
        aleatoric = total * (self.aleatoric + NOISE) / (self.total + NOISE)
        return replace(self, mean=mean, total=total, aleatoric=aleatoric, epistemic=total - aleatoric)


class UncertaintySum:
    """Adds up weighted answers of members, folds and draws, keeping only sums.

    Source: Depeweg et al. 2018, "Decomposition of Uncertainty", eqs. 2-6.
    """

    def __init__(self, is_regression: bool) -> None:
        self.is_regression = is_regression
        self._weight = 0.0
        self._mean: np.ndarray | float = 0.0
        self._center: float | None = None
        self._square: np.ndarray | float = 0.0
        self._aleatoric: np.ndarray | float = 0.0

    def add(self, prediction: Prediction, weight: float, noise: float = 0.0) -> None:
        """Add one fitted model's answer.

        Args:
            prediction: Its answer; each draw counts as one answer of equal weight.
            weight: Weight of the model.
            noise: Variance of the target around the model's mean where the model has not learned one.
        """
        answers = prediction.mean[None] if prediction.draws is None else prediction.draws
        answers = answers.astype(np.float64)
        self._weight += weight
        self._mean += weight * answers.mean(0)
        if self.is_regression:
            if self._center is None:
                self._center = float(answers.mean())
            # Around some value of the target: squares of values far from zero would lose the digits that differ.
            self._square += weight * ((answers - self._center) ** 2).mean(0)[:, 0]
            self._aleatoric += weight * (noise if prediction.noise is None else prediction.noise)
        else:
            self._aleatoric += weight * entropy(answers).mean(0)

    def result(self, members: np.ndarray | None = None) -> EnsemblePrediction:
        """The weighted mean and its uncertainty; members' own answers are kept beside them."""
        mean = np.asarray(self._mean / self._weight)
        aleatoric = np.broadcast_to(self._aleatoric / self._weight, len(mean))
        if self.is_regression:
            square = (mean[:, 0] - self._center) ** 2
            epistemic = np.maximum(self._square / self._weight - square, 0.0)
            total = aleatoric + epistemic
            return EnsemblePrediction(mean, np.sqrt(total), np.sqrt(aleatoric), np.sqrt(epistemic), members)
        mean = mean / mean.sum(1, keepdims=True)
        total = entropy(mean)
        aleatoric = np.minimum(aleatoric, total)
        return EnsemblePrediction(mean, total, aleatoric, total - aleatoric, members)


def entropy(p: np.ndarray) -> np.ndarray:
    """Entropy over the last axis, in nats."""
    return -(p * np.log(np.maximum(p, TINY))).sum(-1)
