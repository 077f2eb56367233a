"""Greedy ensemble selection on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Loss = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Selection:
    """Which candidates the ensemble uses.

    Attributes:
        weights: Candidate index -> weight; weights sum to 1.
        loss: Loss of the weighted mean.
        path: Loss after each greedy step.
    """

    weights: dict[int, float]
    loss: float
    path: tuple[float, ...]


def select(
    candidates: Sequence[np.ndarray], y: np.ndarray, loss: Loss, max_steps: int = 40, max_members: int = 15
) -> Selection:
    """Add, with replacement, the candidate that helps the mean most; keep the best prefix of the steps.

    The first step takes the best single candidate, so the result is never worse than it on these rows.

    Shape: candidates float32 (n_samples, n_outputs) each; y (n_samples,).

    Args:
        candidates: Out-of-fold predictions.
        y: Targets, as `loss` takes them.
        loss: loss(y, predictions), lower is better.
        max_steps: Greedy steps.
        max_members: Different candidates that may enter.

    Raises: ValueError: no candidates.
    Source: Caruana et al. 2004, "Ensemble Selection from Libraries of Models"; ties go to the earlier one.
    """
    if not candidates:
        raise ValueError("no candidates to select from")
    total = np.zeros(candidates[0].shape, np.float64)
    chosen: list[int] = []
    path: list[float] = []
    for step in range(max_steps):
        members = set(chosen)
        allowed = sorted(members) if len(members) >= max_members else range(len(candidates))
        losses = [loss(y, (total + candidates[i]) / (step + 1)) for i in allowed]
        best = int(np.argmin(losses))
        chosen.append(allowed[best])
        path.append(losses[best])
        total += candidates[chosen[-1]]
        if len(candidates) == 1:
            break
    n_steps = int(np.argmin(path)) + 1
    kept = chosen[:n_steps]
    weights = {i: kept.count(i) / n_steps for i in sorted(set(kept))}
    return Selection(weights, path[n_steps - 1], tuple(path))
