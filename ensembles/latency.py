"""An ensemble that keeps within a limit of the time that one row takes, as reckoned by ensembles/work.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from data.metrics import METRICS
from ensembles.candidates import Candidates
from ensembles.member import Deployed, deploy, full_weight_of
from ensembles.refit import n_answering
from ensembles.selection import Limits, Selection, select
from ensembles.work import Work, total, work_of
from models.base import Task
from models.boosting import TargetScale
from models.trials import StoredTrial

# Light members lose models first: the weight from which on members have all of theirs grows by this factor.
THINNER = 1.25
# With `auto`: milliseconds a row, and the models that answer nevertheless, as one alone is much worse than a few.
AUTO_MS = 1.0
AUTO_MODELS = 3


@dataclass(frozen=True)
class Fitting:
    """An ensemble within the limit.

    Attributes:
        selection: Members and weights.
        models: Candidate index -> its fold models that answer.
        row_ms: What one row is reckoned to take.
        limit_ms: What it may take; None: anything.
        pool: The candidates that it was selected among.
        limits: The limits of the selection, of the pool's candidates.
    """

    selection: Selection
    models: dict[int, Deployed]
    row_ms: float
    limit_ms: float | None
    pool: Sequence[int]
    limits: Limits

    @property
    def fits(self) -> bool:
        """Whether it is within the limit."""
        return self.limit_ms is None or self.row_ms <= self.limit_ms


@dataclass
class Reckoner:
    """What answers of a run's trials cost.

    Args:
        dataset: The training rows.
        config: Says which members will be refitted, and so answer with how many models.
    """

    dataset: TabularDataset
    config: EnsembleConfig
    _known: dict[str, Work] = field(default_factory=dict)

    def row_ms(self, models: Sequence[Deployed]) -> float:
        """Milliseconds that one row is reckoned to take with some members."""
        return total(self._of(one.trial).times(n_answering(one, self.config.refit)) for one in models).row_ms

    def _of(self, trial: StoredTrial) -> Work:
        """Of one model of a trial, with its part of the draws; the others are taken to be like it."""
        if trial.name not in self._known:
            task = Task.of(self.dataset)
            units = TargetScale.of(np.asarray(self.dataset.y), task)
            whole = Deployed.whole(trial, self.dataset.split)
            model = trial.load_model(whole.folds[-1]).part_of(0, whole.n_shares)
            self._known[trial.name] = work_of([model], task, units)
        return self._known[trial.name]


def select_fitting(
    candidates: Candidates,
    y: np.ndarray,
    metric: str,
    config: EnsembleConfig,
    dataset: TabularDataset,
    alone: bool = False,
) -> Fitting:
    """Select, and have as many fold models answer as the limit allows.

    The free selection is kept where it fits, if need be with fewer models of the lighter members. Otherwise one is made
    anew among its members and the best of each family, each of which counts with all its models. Where none is fast
    enough alone, the fastest is taken, with as few models of its own as may be; with `auto` the free selection, if the
    one within the limit is worse on the validated rows than the best single trial.

    Args:
        candidates: Out-of-fold predictions.
        y: Targets.
        metric: What selection optimises.
        config: The limit, and limits of steps and members.
        dataset: The training rows.
        alone: Whether the best single trial is all that is selected.
    """
    reckoner = Reckoner(dataset, config)
    limits = Limits(1 if alone else config.max_steps, config.max_members)
    everyone: Sequence[int] = range(len(candidates))
    limit_ms = AUTO_MS if config.max_latency_ms == "auto" else config.max_latency_ms
    least = AUTO_MODELS if config.max_latency_ms == "auto" else 1

    def fitted(selection: Selection, pool: Sequence[int], limits: Limits) -> Fitting:
        found: Fitting | None = None
        for full_weight in _ladder(selection, full_weight_of(config), dataset.n_folds):
            models = deploy(candidates.trials, selection.weights, dataset, full_weight, METRICS[metric].mode)
            if found is not None and sum(len(m.folds) for m in models.values()) < least:
                break
            row_ms = reckoner.row_ms(list(models.values()))
            found = Fitting(selection, models, row_ms, limit_ms, pool, limits)
            if found.fits:
                break
        return found

    free = select(candidates, y, metric, limits)
    found = fitted(free, everyone, limits)
    if found.fits:
        return found
    pool = sorted({*free.weights, *_best_of_families(candidates, free.singles)})
    costs = [reckoner.row_ms([Deployed.whole(candidates.trials[i], dataset.split)]) for i in pool]
    costly = replace(limits, costs=costs, max_cost=limit_ms)
    again = select([candidates[i] for i in pool], y, metric, costly)
    weights = {pool[place]: weight for place, weight in again.weights.items()}
    again = replace(again, weights=weights, best=free.best, best_loss=free.best_loss)
    if config.max_latency_ms == "auto" and again.loss > free.best_loss:
        return found
    return fitted(again, pool, costly)


def _ladder(selection: Selection, full_weight: float, n_folds: int) -> Iterator[float]:
    """Weights from which on members have all their models, rising until every member has one."""
    yield full_weight
    full_weight = full_weight or min(selection.weights.values())
    while full_weight < max(selection.weights.values()) * n_folds:
        full_weight *= THINNER
        yield full_weight


def _best_of_families(candidates: Candidates, singles: Sequence[float]) -> list[int]:
    best: dict[str, int] = {}
    for i, trial in enumerate(candidates.trials):
        if trial.family not in best or singles[i] < singles[best[trial.family]]:
            best[trial.family] = i
    return list(best.values())
