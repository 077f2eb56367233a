"""Which ensemble is deployed: the selected one, where rows that took no part in choosing say that it is worth it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from data.metrics import METRICS, loss
from ensembles.candidates import Candidates, RowsOf
from ensembles.crossfit import cross_select
from ensembles.latency import Fitting, select_fitting
from models.trials import StoredTrial, read_oof_rows


@dataclass(frozen=True)
class Choice:
    """What is deployed.

    Attributes:
        fitting: Members, weights and the models that answer.
        crossed: What such a choice, made on the other folds, answers to each validated row; not calibrated.
        losses: What the cross-fitted ensemble, and the best single trial chosen as often, would lose.
        simpler: Whether the best single trial is deployed for an ensemble that is not better.
    """

    fitting: Fitting
    crossed: np.ndarray
    losses: tuple[float, float]
    simpler: bool


def choose(
    candidates: Candidates,
    y: np.ndarray,
    metric: str,
    config: EnsembleConfig,
    dataset: TabularDataset,
    n_threads: int = 1,
) -> Choice:
    """Select an ensemble, and the best single trial alone where the ensemble is not better out of selection.

    Args:
        candidates: Out-of-fold predictions.
        y: Targets of the validated rows.
        metric: What selection optimises.
        config: Limits of the selection.
        dataset: The training rows.
        n_threads: Selections at once.
    """
    fitting = select_fitting(candidates, y, metric, config, dataset)
    pool = RowsOf(candidates, slice(None), fitting.pool)
    folds = np.asarray(dataset.folds)
    crossed = cross_select(pool, y, folds[folds >= 0], metric, fitting.limits, n_threads)
    losses = (loss(metric, y, crossed.ensemble), loss(metric, y, crossed.single))
    if len(fitting.selection.weights) == 1:
        return Choice(fitting, crossed.ensemble, losses, simpler=False)
    if losses[0] < losses[1]:
        return Choice(fitting, crossed.ensemble, losses, simpler=False)
    alone = select_fitting(candidates, y, metric, config, dataset, alone=True)
    return Choice(alone, crossed.single, losses, simpler=True)


def trial_scores(trials: Sequence[StoredTrial], dataset: TabularDataset, metric: str) -> dict[str, float]:
    """Score of each trial over all rows that it has predicted, by name, as the score of an ensemble is taken.

    A search compares trials by the mean of their folds' scores, which of some metrics is another number.
    """
    folds, y = np.asarray(dataset.folds), np.asarray(dataset.y)
    scores = {}
    for trial in trials:
        rows = np.flatnonzero(np.isin(folds, [record.fold for record in trial.folds]))
        if len(rows):
            scores[trial.name] = METRICS[metric].from_loss(
                loss(metric, y[rows], read_oof_rows(trial.path, folds, rows))
            )
    return scores
