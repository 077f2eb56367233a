"""What an ensemble scores on rows that took no part in choosing it: selected anew for each fold, without its rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from ensembles.calibration import cross_calibrate, floored, validation_parts
from ensembles.candidates import RowsOf
from ensembles.objectives import sample_classes
from ensembles.selection import Limits, mean_of, select
from ensembles.thresholds import Goal, decide, fit_threshold

# Of more rows, a sample selects for a fold: what is measured is hardly another ensemble.
MOST_ROWS = 20_000


@dataclass(frozen=True)
class CrossFitted:
    """Answers to the validated rows by what the other folds selected.

    Shape: (n_validated, n_outputs), not calibrated; rows of probabilities sum to 1.

    Attributes:
        ensemble: By greedy selection.
        single: By the candidate that is best alone.
    """

    ensemble: np.ndarray
    single: np.ndarray


def cross_select(
    candidates: Sequence[np.ndarray],
    y: np.ndarray,
    folds: np.ndarray,
    metric: str,
    limits: Limits,
    n_threads: int = 1,
) -> CrossFitted:
    """Select once for each fold on the rows of the others, and answer the fold's rows with what was selected.

    Args:
        candidates: Out-of-fold predictions (n_validated, n_outputs) each.
        y: Targets (n_validated,).
        folds: (n_validated,); of a single one, five random parts.
        metric: What selection optimises.
        limits: Of each selection.
        n_threads: Folds at once.

    Source: Varma and Simon 2006, "Bias in error estimation when using cross-validation for model selection".
    """
    parts = validation_parts(folds)
    shape = (len(y), candidates[0].shape[1])
    found = CrossFitted(np.empty(shape), np.empty(shape))

    def fill(part: int) -> None:
        held = parts == part
        rest = np.flatnonzero(~held)
        classes = y[rest] if shape[1] > 1 else np.zeros(len(rest), np.int64)
        rows = rest[sample_classes(classes, MOST_ROWS)]
        chosen = select(RowsOf(candidates, rows), y[rows], metric, limits)
        members = RowsOf(candidates, held, sorted(chosen.weights))
        found.ensemble[held] = mean_of(
            members, dict(enumerate(map(chosen.weights.get, sorted(chosen.weights))))
        )
        found.single[held] = candidates[chosen.best][held]

    with ThreadPoolExecutor(max(1, n_threads)) as pool:
        list(pool.map(fill, np.unique(parts)))
    if shape[1] > 1:
        found = replace(found, ensemble=_to_one(found.ensemble), single=_to_one(found.single))
    return found


def cross_answer(
    P: np.ndarray, y: np.ndarray, folds: np.ndarray, kind: str | None, n_train: int, goal: Goal | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Cross-fitted probabilities as a bundle would answer: calibrated, and decided, by what the other folds teach.

    Args:
        P: Probabilities (n_validated, n_classes).
        y: Classes (n_validated,).
        folds: (n_validated,).
        kind: Of the calibration; None: there is none.
        n_train: Rows that the deployed model is trained on.
        goal: What classes are decided for; None: the likeliest is answered.

    Returns: calibrated probabilities, and the classes that are answered, where they are not the likeliest.
    """
    P = P if kind is None else cross_calibrate(P, y, folds, kind)
    floor = floored(None, n_train, P.shape[1])["floor"]
    P = floor + (1 - floor * P.shape[1]) * P
    if goal is None:
        return P, None
    chosen = np.empty(len(y), np.int64)
    parts = validation_parts(folds)
    for part in np.unique(parts):
        held = parts == part
        chosen[held] = decide(P[held], fit_threshold(P[~held], y[~held], goal))
    return P, chosen


def _to_one(P: np.ndarray) -> np.ndarray:
    return P / P.sum(axis=1, keepdims=True)
