"""How long one row takes, and an ensemble that keeps within a limit of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from configs.schema import SplitKind
from ensembles.candidates import Candidates
from ensembles.member import load_models
from ensembles.selection import Limits, Selection, select
from models.base import Model

REPEATS = 15
WARM_UP = 3


def estimate_latency(models: Sequence[Model], X: np.ndarray) -> float:
    """Milliseconds that one row takes in a member's models, one after another on one thread.

    A graph of them all is faster: the limit is then kept with room to spare.

    Args:
        models: The models that answer for the member.
        X: Rows to try it with, (n_samples, n_features); one of them at a time.
    """
    return sum(_median_ms(model.part_of(i, len(models)), X) for i, model in enumerate(models))


def select_within(
    candidates: Candidates,
    y: np.ndarray,
    metric: str,
    limits: Limits,
    max_latency_ms: float,
    probe: tuple[np.ndarray, SplitKind],
) -> tuple[Selection, float]:
    """Select so that the members' estimated latency is within a limit.

    The free selection is kept where it fits. Otherwise one is made anew among its members and the best of each
    family, whose latencies are measured. Where none is fast enough, the fastest alone is taken.

    Args:
        candidates: Out-of-fold predictions.
        y: Targets.
        metric: What selection optimises.
        limits: Of steps and members.
        max_latency_ms: Most that a row may take.
        probe: Rows to measure with, and how the rows were divided.

    Returns: the selection and its members' latency in milliseconds.
    """
    X, split = probe
    free = select(candidates, y, metric, limits)
    costs = {i: estimate_latency(load_models(candidates.trials[i], split), X) for i in free.weights}
    total = sum(costs.values())
    if total <= max_latency_ms:
        return free, total
    for i in _best_of_families(candidates, free.singles):
        if i not in costs:
            costs[i] = estimate_latency(load_models(candidates.trials[i], split), X)
    pool = sorted(costs)
    limits = replace(limits, costs=[costs[i] for i in pool], max_cost=max_latency_ms)
    found = select([candidates[i] for i in pool], y, metric, limits)
    weights = {pool[place]: weight for place, weight in found.weights.items()}
    return replace(found, weights=weights, best=free.best, best_loss=free.best_loss), sum(
        costs[i] for i in weights
    )


def _best_of_families(candidates: Candidates, singles: Sequence[float]) -> list[int]:
    best: dict[str, int] = {}
    for i, trial in enumerate(candidates.trials):
        if trial.has_models and (trial.family not in best or singles[i] < singles[best[trial.family]]):
            best[trial.family] = i
    return list(best.values())


def _median_ms(model: Model, X: np.ndarray) -> float:
    seconds = []
    for i in range(WARM_UP + REPEATS):
        row = X[i % len(X)][None]
        start = time.perf_counter()
        model.predict(row, 1)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds[WARM_UP:]))
