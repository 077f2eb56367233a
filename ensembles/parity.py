"""Proof that the graph answers as the models it was made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset import TabularDataset
from ensembles.graph import ExportMember
from ensembles.session import GraphSession
from ensembles.uncertainty import EnsemblePrediction, UncertaintySum
from errors import TrainingError

LIMIT = 1e-5
# Uncertainties are square roots and logarithms of differences.
SPREAD_LIMIT = 1e-3
MOST_ROWS, FEWEST_ROWS = 2000, 200
# Rows times bytes of the graph, which say how long a row takes.
MOST_WORK = 2e10
MISSING_ROWS = 32
MISSING_SHARE = 0.3


@dataclass(frozen=True)
class Proof:
    """How far a graph was seen to be from its models.

    Attributes:
        difference: Largest difference of a prediction, as a share of max(1, spread of the target).
        n_rows: Rows that were compared.
    """

    difference: float
    n_rows: int


def proof_rows(dataset: TabularDataset, n_bytes: int) -> np.ndarray:
    """Encoded rows to compare on: withheld ones, else training rows, and rows with missing and unseen values.

    Args:
        dataset: The training side's table.
        n_bytes: Size of the graph; the larger, the fewer rows.

    Shape: -> float32 (n_samples, n_features).
    """
    rows = np.asarray(dataset.X if dataset.X_test is None else dataset.X_test)
    rng = np.random.default_rng(0)
    n_rows = min(len(rows), int(np.clip(MOST_WORK / n_bytes, FEWEST_ROWS, MOST_ROWS)))
    rows = rows[np.sort(rng.choice(len(rows), n_rows, replace=False))]
    holes = rows[rng.integers(0, n_rows, MISSING_ROWS)]
    # The encoder makes NaN of both, the missing and the never seen.
    holes[rng.random(holes.shape) < MISSING_SHARE] = np.nan
    holes[0] = np.nan
    return np.concatenate([rows, holes])


def prove(
    session: GraphSession,
    members: Sequence[ExportMember],
    dataset: TabularDataset,
    calibration: Mapping[str, Any] | None,
    X: np.ndarray,
) -> Proof:
    """Compare the graph with its models, on encoded rows X (n_samples, n_features).

    Raises: TrainingError: they differ by more than 1e-5 (times the spread of a regression target where that is above
        1); names the member that differs most.
    """
    found = session.predict(X)
    expected, each = _reference(members, dataset, X)
    if calibration is not None:
        from ensembles.calibration import calibrate  # noqa: PLC0415 - not where nothing is calibrated

        expected = expected.calibrated(calibrate(expected.mean, calibration))
    scale, slack = 1.0, 0.0
    if dataset.problem_type == "regression":
        values = np.asarray(dataset.y)
        scale = max(1.0, float(values.std()))
        # Models answer in float32, whose last digit can be more than the limit where the target is far from zero.
        slack = float(np.spacing(np.float32(np.abs(values).max()))) / scale
    difference = _worst(found.mean, expected.mean) / scale
    spreads = max(
        _worst(getattr(found, n), getattr(expected, n)) for n in ("total", "aleatoric", "epistemic")
    )
    if not (difference <= LIMIT + slack and spreads / scale <= SPREAD_LIMIT + slack):
        gaps = [_worst(mine, its) / scale for mine, its in zip(found.members, each, strict=True)]
        worst = members[int(np.argmax(np.nan_to_num(gaps, nan=np.inf)))]
        raise TrainingError(
            f"export: the graph's predictions differ from the models' by {difference:.2e}, its uncertainties by "
            f"{spreads / scale:.2e}; allowed {LIMIT:g} and {SPREAD_LIMIT:g}; furthest off is member {worst.name} "
            f"({worst.family}), by {max(gaps):.2e}"
        )
    return Proof(difference, len(X))


def _reference(
    members: Sequence[ExportMember], dataset: TabularDataset, X: np.ndarray
) -> tuple[EnsemblePrediction, list[np.ndarray]]:
    """The answer of the models themselves, and each member's own."""
    both = UncertaintySum(dataset.problem_type == "regression")
    each = []
    for member in members:
        answers = [model.predict(X) for model in member.parts]
        for answer in answers:
            both.add(answer, member.weight / len(answers), member.noise)
        each.append(np.mean([answer.mean.astype(np.float64) for answer in answers], axis=0))
    return both.result(), each


def _worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max())
