"""A trial in the ensemble, and the models that answer for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from configs.schema import SplitKind
from models.base import Model
from models.trials import StoredTrial


@dataclass(frozen=True)
class Member:
    """A trial in the ensemble.

    Attributes:
        trial: The trial.
        weight: Its weight; weights sum to 1.
        noise: Variance of its out-of-fold errors (regression; 0 for classes).
        refitted: Where its one model on all rows lies, as a trial of one fold; None: its fold models answer.
    """

    trial: StoredTrial
    weight: float
    noise: float
    refitted: StoredTrial | None = None

    @property
    def deployed(self) -> StoredTrial:
        """The trial whose models answer."""
        return self.refitted or self.trial


def load_models(trial: StoredTrial, split: SplitKind) -> tuple[Model, ...]:
    """The models that answer for a trial."""
    return tuple(trial.load_model(record.fold) for record in trial.final_folds(split))


def predict_mean(trial: StoredTrial, split: SplitKind, X: np.ndarray, n_threads: int) -> np.ndarray:
    """The mean answer of a trial's models, which share their draws as in a bundle.

    Shape: X (n_samples, n_features) -> float64 (n_samples, n_outputs).
    """
    final = trial.final_folds(split)
    total: np.ndarray | float = 0.0
    for index, record in enumerate(final):
        model = trial.load_model(record.fold).part_of(index, len(final))
        total = total + model.predict(X, n_threads).mean.astype(np.float64)
    return np.asarray(total) / len(final)
