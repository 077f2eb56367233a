"""Greedy ensemble selection on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.metrics import loss
from ensembles.objectives import Objective, make_objective


@dataclass(frozen=True)
class Selection:
    """Which candidates the ensemble uses.

    Attributes:
        weights: Candidate index -> weight; weights sum to 1.
        loss: Loss of the weighted mean, by the metric, lower is better.
        best: The candidate that is best alone.
        best_loss: Its loss.
        singles: What the objective is for each candidate alone.
        path: What the objective was after each greedy step.
    """

    weights: dict[int, float]
    loss: float
    best: int
    best_loss: float
    singles: tuple[float, ...]
    path: tuple[float, ...]


@dataclass(frozen=True)
class Limits:
    """What may enter an ensemble.

    Attributes:
        max_steps: Greedy steps.
        max_members: Different candidates.
        costs: Cost of each candidate as a member, whatever its weight; None: costs do not matter.
        max_cost: Most that the members may cost together.
    """

    max_steps: int = 40
    max_members: int = 15
    costs: Sequence[float] | None = None
    max_cost: float = float("inf")


def select(
    candidates: Sequence[np.ndarray], y: np.ndarray, metric: str, limits: Limits | None = None
) -> Selection:
    """Add, with replacement, the candidate that helps the mean most; keep the best prefix of the steps.

    The first step takes the best single candidate, and what the metric finds worse than that one is given up for
    it: without a limit of cost the result is never worse than the best single candidate on these rows.

    Shape: candidates (n_samples, n_outputs) each; y (n_samples,).

    Args:
        candidates: Out-of-fold predictions.
        y: Targets, as the metric takes them.
        metric: Name of a metric of data/metrics.py.
        limits: Of steps, members and cost.

    Raises:
        ValueError: no candidates.
        DataError: predictions are not finite.
    Source: Caruana et al. 2004, "Ensemble Selection from Libraries of Models"; ties go to the earlier one.
    """
    limits = limits or Limits()
    if not len(candidates):
        raise ValueError("no candidates to select from")
    objective = make_objective(metric, candidates, y)
    singles = objective.losses(range(len(candidates)))
    best = int(np.argmin(singles))
    chosen, path = _steps(objective, len(candidates), limits)
    n_steps = int(np.argmin(path)) + 1
    kept = chosen[:n_steps]
    weights = {i: kept.count(i) / n_steps for i in sorted(set(kept))}
    found = loss(metric, y, mean_of(candidates, weights))
    best_loss = loss(metric, y, candidates[best])
    first_loss = best_loss if chosen[0] == best else loss(metric, y, candidates[chosen[0]])
    if found > first_loss:  # by rounding, where they are level
        weights, found = {chosen[0]: 1.0}, first_loss
    return Selection(weights, found, best, best_loss, tuple(singles.tolist()), tuple(path))


def mean_of(candidates: Sequence[np.ndarray], weights: dict[int, float]) -> np.ndarray:
    """The weighted mean of some candidates.

    Shape: -> float64 (n_samples, n_outputs).
    """
    total = np.zeros(candidates[0].shape)
    for i, weight in weights.items():
        total += weight * candidates[i]
    return total


def _steps(objective: Objective, n_candidates: int, limits: Limits) -> tuple[list[int], list[float]]:
    chosen: list[int] = []
    path: list[float] = []
    for _ in range(limits.max_steps):
        allowed = _allowed(set(chosen), n_candidates, limits)
        losses = objective.losses(allowed)
        place = int(np.argmin(losses))
        chosen.append(allowed[place])
        path.append(float(losses[place]))
        objective.add(allowed[place])
        if n_candidates == 1:
            break
    return chosen, path


def _allowed(members: set[int], n_candidates: int, limits: Limits) -> Sequence[int]:
    """Candidates that may be added; where none costs little enough, the one that costs least."""
    if len(members) >= limits.max_members:
        return sorted(members)
    if limits.costs is None:
        return range(n_candidates)
    left = limits.max_cost - sum(limits.costs[i] for i in members)
    affordable = [i for i in range(n_candidates) if i in members or limits.costs[i] <= left]
    return affordable or [int(np.argmin(limits.costs))]
