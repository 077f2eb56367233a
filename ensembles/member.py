"""A trial in the ensemble, and which of its models answer for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from configs.schema import EnsembleConfig, SplitKind
from data.dataset import TabularDataset
from ensembles.graph import ExportMember
from models.base import Model
from models.trials import StoredTrial

# Members of at least this weight answer with all their fold models, lighter ones with fewer as they are lighter.
FULL_WEIGHT = 0.4


@dataclass(frozen=True)
class Deployed:
    """The models that answer for a trial.

    Attributes:
        trial: The trial, or what it was refitted to.
        folds: The folds whose models they are.
        n_shares: In how many shares the draws of the trial's models are divided; each model has one.
    """

    trial: StoredTrial
    folds: tuple[int, ...]
    n_shares: int

    @classmethod
    def whole(cls, trial: StoredTrial, split: SplitKind) -> Deployed:
        """All models that a trial can answer with."""
        folds = tuple(record.fold for record in trial.final_folds(split))
        return cls(trial, folds, len(folds))

    @property
    def key(self) -> tuple[Path, tuple[int, ...]]:
        """Equal where the same models answer."""
        return self.trial.path, self.folds

    def load(self) -> tuple[Model, ...]:
        """The models, each with all its draws."""
        return tuple(self.trial.load_model(fold) for fold in self.folds)

    def predict_each(self, X: np.ndarray, n_threads: int) -> np.ndarray:
        """The mean answer of each model, with its share of the draws, as in a bundle.

        Shape: X (n_samples, n_features) -> float64 (n_models, n_samples, n_outputs).
        """
        parts = [model.part_of(index, self.n_shares) for index, model in enumerate(self.load())]
        return np.stack([part.predict(X, n_threads).mean.astype(np.float64) for part in parts])

    def predict_mean(self, X: np.ndarray, n_threads: int) -> np.ndarray:
        """The mean answer of the models.

        Shape: X (n_samples, n_features) -> float64 (n_samples, n_outputs).
        """
        return self.predict_each(X, n_threads).mean(axis=0)


@dataclass(frozen=True)
class Member:
    """A trial in the ensemble.

    Attributes:
        trial: The trial.
        weight: Its weight; weights sum to 1.
        noise: Variance of its out-of-fold errors (regression; 0 for classes).
        kept: Its fold models that answer.
        refitted: Where its models on all rows lie, as folds of a trial; None: its fold models answer.
    """

    trial: StoredTrial
    weight: float
    noise: float
    kept: Deployed
    refitted: StoredTrial | None = None

    @property
    def deployed(self) -> Deployed:
        """The models that answer."""
        if self.refitted is None:
            return self.kept
        numbers = tuple(record.fold for record in self.refitted.folds)
        return Deployed(self.refitted, numbers, len(numbers))

    @cached_property
    def loaded(self) -> ExportMember:
        """With the models that answer, read once."""
        models = self.deployed.load()
        return ExportMember(
            self.trial.name, self.trial.family, self.weight, self.noise, models, self.deployed.n_shares
        )


def full_weight_of(config: EnsembleConfig) -> float:
    """The weight from which on members have all their fold models, see deploy."""
    return FULL_WEIGHT if config.fold_models == "weighted" else 0.0


def order_of(trials: Sequence[StoredTrial], weights: Mapping[int, float]) -> list[int]:
    """The members' indices by falling weight."""
    return sorted(weights, key=lambda i: (-weights[i], trials[i].number))


def deploy(
    trials: Sequence[StoredTrial],
    weights: Mapping[int, float],
    dataset: TabularDataset,
    full_weight: float,
    mode: str,
) -> dict[int, Deployed]:
    """How many of their fold models answer for the members, and which.

    Averaging the folds of a light member changes the ensemble's answer by little, and each of its models costs as much
    as a heavy one's. So members have fold models in proportion to their weight, at least one: those whose score is
    nearest to the best that any trial has on the fold, among equal ones those that went furthest. A fit that was cut
    short is not among them if others were not.

    Args:
        trials: The candidates; all have finished every fold.
        weights: Candidate index -> weight, of the members.
        dataset: Says how the rows were divided.
        full_weight: Members of this weight or more have all their fold models; 0: every member has.
        mode: "max" or "min", the direction of the trials' scores.

    Returns: candidate index -> its models.
    """
    found = {}
    sign = 1.0 if mode == "min" else -1.0
    losses = sign * np.array([[record.score for record in trial.folds] for trial in trials])
    losses = np.where(np.isfinite(losses), losses, np.inf)
    best = losses.min(axis=0)
    for i, weight in weights.items():
        whole = Deployed.whole(trials[i], dataset.split)
        n = len(whole.folds)
        share = 1.0 if full_weight <= weight else weight / full_weight
        n_kept = int(np.clip(np.ceil(n * share - 1e-9), 1, n))
        behind = np.array([losses[i, fold] - best[fold] for fold in whole.folds])
        steps = np.array([trials[i].folds[fold].best_step for fold in whole.folds])
        places = np.sort(np.lexsort((-steps, np.nan_to_num(behind, nan=np.inf)))[:n_kept])
        found[i] = Deployed(whole.trial, tuple(whole.folds[place] for place in places), n)
    return found
