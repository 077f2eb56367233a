"""How long one row takes, and an ensemble that keeps within a limit of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from ensembles.candidates import Candidates
from ensembles.graph import ExportMember, build_graph
from ensembles.member import load_models
from ensembles.selection import Limits, Selection, select
from ensembles.session import GraphSession
from models.base import Task
from models.boosting import TargetScale
from models.trials import StoredTrial

PROBE_ROWS = 8
REPEATS = 40
WARM_UP = 5


def estimate_latency(trials: Sequence[StoredTrial], dataset: TabularDataset) -> float:
    """Milliseconds that one encoded row takes in a graph of some trials, on one thread.

    Args:
        trials: Their fold models, or what they were refitted to, make the graph.
        dataset: Rows to try it with, one at a time.
    """
    share = 1 / len(trials)
    members = [ExportMember(t.name, t.family, share, 0.0, load_models(t, dataset.split)) for t in trials]
    task = Task.of(dataset)
    units = TargetScale.of(np.asarray(dataset.y), task)
    session = GraphSession(build_graph(members, task, units, None).SerializeToString())
    X = np.asarray(dataset.X[:PROBE_ROWS])
    seconds = []
    for i in range(WARM_UP + REPEATS):
        row = X[i % len(X)][None]
        start = time.perf_counter()
        session.predict(row)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds[WARM_UP:]))


def select_within(
    candidates: Candidates,
    y: np.ndarray,
    metric: str,
    limits: Limits,
    config: EnsembleConfig,
    dataset: TabularDataset,
) -> tuple[Selection, float]:
    """Select so that the estimated latency is within a limit.

    The free selection is kept where it fits. Otherwise one is made anew among its members and the best of each
    family, each of which is measured alone; together they are a little faster. Where none is fast enough, the
    fastest alone is taken.

    Args:
        candidates: Out-of-fold predictions.
        y: Targets.
        metric: What selection optimises.
        limits: Of steps and members.
        config: Says how much a row may take, and whether members will be refitted: each is then measured as one model.
        dataset: The training rows.

    Returns: the selection and its latency in milliseconds.
    """
    trials = [replace(t, folds=t.folds[-1:]) if config.refit else t for t in candidates.trials]
    free = select(candidates, y, metric, limits)
    latency = estimate_latency([trials[i] for i in free.weights], dataset)
    if latency <= config.max_latency_ms:
        return free, latency
    pool = sorted({*free.weights, *_best_of_families(candidates, free.singles)})
    costs = [estimate_latency([trials[i]], dataset) for i in pool]
    limits = replace(limits, costs=costs, max_cost=config.max_latency_ms)
    found = select([candidates[i] for i in pool], y, metric, limits)
    weights = {pool[place]: weight for place, weight in found.weights.items()}
    latency = estimate_latency([trials[i] for i in weights], dataset)
    return replace(found, weights=weights, best=free.best, best_loss=free.best_loss), latency


def _best_of_families(candidates: Candidates, singles: Sequence[float]) -> list[int]:
    best: dict[str, int] = {}
    for i, trial in enumerate(candidates.trials):
        if trial.family not in best or singles[i] < singles[best[trial.family]]:
            best[trial.family] = i
    return list(best.values())
