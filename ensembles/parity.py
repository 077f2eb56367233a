"""Proof that the graph answers as the models it was made of."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset import TabularDataset
from ensembles.calibration import calibrate
from ensembles.graph import ExportMember
from ensembles.session import GraphSession
from ensembles.uncertainty import EnsemblePrediction, UncertaintySum
from errors import TrainingError
from models.base import FitContext, Model

# Of predictions and of uncertainties, as shares of max(1, spread of the target). Both stay below 1e-6 where seen; near
# certainty, logarithms make more of a prediction's difference.
LIMIT = 1e-5
SPREAD_LIMIT = 1e-4
# Without withheld rows, so many training rows.
MOST_ROWS = 2000
# Rows are compared so many at a time: after the first of them the time may end it.
STEP_ROWS = 200
# Rows times bytes of the graph, which say how long they take; no more where nothing else limits it.
MOST_WORK = 2e11
MISSING_ROWS = 32
MISSING_SHARE = 0.3
UNCERTAINTIES = ("total", "aleatoric", "epistemic")


@dataclass(frozen=True)
class Proof:
    """How far a graph was seen to be from its models.

    Attributes:
        difference: Largest difference of a prediction, as a share of max(1, spread of the target).
        spread_difference: The same of an uncertainty.
        n_rows: Rows that were compared.
    """

    difference: float
    spread_difference: float
    n_rows: int


def proof_rows(dataset: TabularDataset, n_bytes: int) -> np.ndarray:
    """Encoded rows to compare on: some with missing and unseen values, then all withheld rows, else training rows.

    Args:
        dataset: The training side's table.
        n_bytes: Size of the graph; a very large one is compared on fewer rows.

    Shape: -> float32 (n_samples, n_features).
    """
    rows = np.asarray(dataset.X if dataset.X_test is None else dataset.X_test)
    rng = np.random.default_rng(0)
    most = max(STEP_ROWS, int(MOST_WORK / n_bytes))
    n_rows = min(len(rows), most if dataset.X_test is not None else min(most, MOST_ROWS))
    rows = rows[rng.choice(len(rows), n_rows, replace=False)]
    holes = rows[rng.integers(0, n_rows, MISSING_ROWS)]
    # The encoder makes NaN of both, the missing and the never seen.
    holes[rng.random(holes.shape) < MISSING_SHARE] = np.nan
    holes[0] = np.nan
    return np.concatenate([holes, rows])


def prove(
    session: GraphSession,
    members: Sequence[ExportMember],
    dataset: TabularDataset,
    calibration: Mapping[str, Any] | None,
    X: np.ndarray,
    context: FitContext,
) -> Proof:
    """Compare the graph with its models, on encoded rows X (n_samples, n_features).

    Args:
        session: The graph.
        members: What it was made of.
        dataset: The training side's table.
        calibration: See ensembles.calibration, or None.
        X: See proof_rows.
        context: Threads of the models, and the deadline at which the rows compared so far must do.

    Raises: TrainingError: they differ by more than 1e-5, uncertainties by more than 1e-4 (times the spread of a
        regression target where that is above 1); names the member that differs most.
    """
    parts = [(member, member.parts) for member in members]
    scale, slack = _units(dataset)
    proof = Proof(0.0, 0.0, 0)
    for start in range(0, len(X), STEP_ROWS):
        if start and context.deadline is not None and time.monotonic() >= context.deadline:
            break
        rows = X[start : start + STEP_ROWS]
        found = session.predict(rows)
        expected, each = _reference(parts, dataset, rows, context.n_threads)
        if calibration is not None:
            expected = expected.calibrated(calibrate(expected.mean, calibration))
        difference = _worst(found.mean, expected.mean) / scale
        spreads = max(_worst(getattr(found, n), getattr(expected, n)) for n in UNCERTAINTIES) / scale
        if not (difference <= LIMIT + slack and spreads <= SPREAD_LIMIT + slack):
            gaps = [_worst(mine, its) / scale for mine, its in zip(found.members, each, strict=True)]
            worst = members[int(np.argmax(np.nan_to_num(gaps, nan=np.inf)))]
            raise TrainingError(
                f"export: the graph's predictions differ from the models' by {difference:.2e}, its uncertainties by "
                f"{spreads:.2e}; allowed {LIMIT:g} and {SPREAD_LIMIT:g}; furthest off is member {worst.name} "
                f"({worst.family}), by {max(gaps):.2e}"
            )
        proof = Proof(
            max(proof.difference, difference), max(proof.spread_difference, spreads), proof.n_rows + len(rows)
        )
    return proof


def _units(dataset: TabularDataset) -> tuple[float, float]:
    """What differences are divided by, and what float32 may add to them."""
    if dataset.problem_type != "regression":
        return 1.0, 0.0
    values = np.asarray(dataset.y)
    scale = max(1.0, float(values.std()))
    # Models answer in float32, whose last digit can be more than the limit where the target is far from zero.
    return scale, float(np.spacing(np.float32(np.abs(values).max()))) / scale


def _reference(
    members: Sequence[tuple[ExportMember, Sequence[Model]]],
    dataset: TabularDataset,
    X: np.ndarray,
    n_threads: int,
) -> tuple[EnsemblePrediction, list[np.ndarray]]:
    """The answer of the models themselves, and each member's own."""
    both = UncertaintySum(dataset.problem_type == "regression")
    each = []
    for member, parts in members:
        answers = [model.predict(X, n_threads) for model in parts]
        for answer in answers:
            both.add(answer, member.weight / len(answers), member.noise)
        each.append(np.mean([answer.mean.astype(np.float64) for answer in answers], axis=0))
    return both.result(), each


def _worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max())
