"""How long one row takes, and an ensemble that keeps within a limit of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from data.metrics import METRICS
from ensembles.candidates import Candidates
from ensembles.graph import ExportMember, build_graph
from ensembles.member import Deployed, deploy, full_weight_of
from ensembles.selection import Limits, Selection, select
from ensembles.session import GraphSession
from models.base import Task
from models.boosting import TargetScale

PROBE_ROWS = 8
REPEATS = 40
WARM_UP = 5


def estimate_latency(found: Sequence[Deployed], dataset: TabularDataset) -> float:
    """Milliseconds that one encoded row takes in a graph of some trials' models, on one thread.

    Args:
        found: What the graph is made of.
        dataset: Rows to try it with, one at a time.
    """
    share = 1 / len(found)
    members = [
        ExportMember(one.trial.name, one.trial.family, share, 0.0, one.load(), one.n_shares) for one in found
    ]
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
) -> tuple[Selection, float, float]:
    """Select so that the estimated latency is within a limit.

    The free selection is kept where it fits. Otherwise one is made anew among its members and the best of each family,
    each of which is measured alone and with all its models; together they are a little faster, and light ones have
    fewer. Where none is fast enough, the fastest alone is taken, with one model of its own.

    Args:
        candidates: Out-of-fold predictions.
        y: Targets.
        metric: What selection optimises.
        limits: Of steps and members.
        config: Says how much a row may take, and whether members will be refitted: each is then measured as one model.
        dataset: The training rows.

    Returns: the selection, its latency in milliseconds, and the weight from which on members have all fold models.
    """

    def latency_of(weights: Mapping[int, float], full_weight: float) -> float:
        found = deploy(candidates.trials, weights, dataset, full_weight, METRICS[metric].mode).values()
        if config.refit:
            found = [Deployed(one.trial, one.folds[-1:], 1) for one in found]
        return estimate_latency(list(found), dataset)

    full_weight = full_weight_of(config)
    free = select(candidates, y, metric, limits)
    latency = latency_of(free.weights, full_weight)
    if latency <= config.max_latency_ms:
        return free, latency, full_weight
    pool = sorted({*free.weights, *_best_of_families(candidates, free.singles)})
    costs = [latency_of({i: 1.0}, 0.0) for i in pool]
    limits = replace(limits, costs=costs, max_cost=config.max_latency_ms)
    found = select([candidates[i] for i in pool], y, metric, limits)
    weights = {pool[place]: weight for place, weight in found.weights.items()}
    if full_weight and min(costs) > config.max_latency_ms:
        full_weight = float("inf")
    latency = latency_of(weights, full_weight)
    return replace(found, weights=weights, best=free.best, best_loss=free.best_loss), latency, full_weight


def _best_of_families(candidates: Candidates, singles: Sequence[float]) -> list[int]:
    best: dict[str, int] = {}
    for i, trial in enumerate(candidates.trials):
        if trial.family not in best or singles[i] < singles[best[trial.family]]:
            best[trial.family] = i
    return list(best.values())
