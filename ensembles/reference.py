"""What the models of an ensemble answer themselves: withheld rows are scored with it, and the graph is held to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ensembles.graph import ExportMember
from ensembles.uncertainty import EnsemblePrediction, UncertaintySum
from models.base import Model

# Rows whose draws are in memory at once.
CHUNK_ROWS = 8000


def answer(members: Sequence[ExportMember], X: np.ndarray, n_threads: int = 1) -> EnsemblePrediction:
    """The ensemble's answer by its models, not calibrated.

    Shape: X float32 (n_samples, n_features), at least one row.

    Args:
        members: The ensemble.
        X: Encoded rows.
        n_threads: Threads of each model.
    """
    parts = [(member, member.parts) for member in members]
    starts = range(0, len(X), CHUNK_ROWS)
    return EnsemblePrediction.joined(
        [_answer(parts, X[start : start + CHUNK_ROWS], n_threads) for start in starts]
    )


def _answer(
    members: Sequence[tuple[ExportMember, Sequence[Model]]], X: np.ndarray, n_threads: int
) -> EnsemblePrediction:
    both = UncertaintySum(members[0][1][0].meta.task.is_regression)
    each = []
    for member, parts in members:
        answers = [model.predict(X, n_threads) for model in parts]
        for one in answers:
            both.add(one, member.weight / len(answers), member.noise)
        each.append(np.mean([one.mean.astype(np.float64) for one in answers], axis=0))
    return both.result(np.stack(each).astype(np.float64 if both.is_regression else np.float32))
