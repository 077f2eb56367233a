"""Proof that the graph answers as the models it was made of."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset import TabularDataset
from ensembles.calibration import calibrate
from ensembles.graph import ExportMember
from ensembles.reference import answer
from ensembles.session import GraphSession
from ensembles.uncertainty import EnsemblePrediction
from errors import TrainingError

Pair = tuple[np.ndarray, EnsemblePrediction]

# Of predictions and of uncertainties: of probabilities, or as shares of the target's spread. Both stay below 1e-6 where
# seen; near certainty, logarithms make more of a prediction's difference.
LIMIT = 1e-5
SPREAD_LIMIT = 1e-4
# Without withheld rows, so many training rows.
MOST_ROWS = 2000
# Rows are compared so many at a time: after any of them the time may end it.
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
        difference: Largest difference of a prediction: of a probability, or as a share of the target's spread.
        spread_difference: The same of an uncertainty.
        n_rows: Rows that were compared.
    """

    difference: float
    spread_difference: float
    n_rows: int


def proof_pairs(
    dataset: TabularDataset,
    members: Sequence[ExportMember],
    tested: EnsemblePrediction | None,
    n_bytes: int,
    n_threads: int = 1,
) -> Iterator[Pair]:
    """Encoded rows and what the models answer, some rows at a time.

    First rows with missing and unseen values, then every withheld row; where none is withheld, some training rows.

    Args:
        dataset: The training side's table.
        members: The ensemble.
        tested: The models' answers to the withheld rows, where they are known.
        n_bytes: Size of the graph; a very large one is compared on fewer training rows.
        n_threads: Threads of each model.
    """
    rng = np.random.default_rng(0)
    rows = np.asarray(dataset.X if dataset.X_test is None else dataset.X_test, np.float32)
    holes = rows[rng.integers(0, len(rows), MISSING_ROWS)]
    # The encoder makes NaN of both, the missing and the never seen.
    holes[rng.random(holes.shape) < MISSING_SHARE] = np.nan
    holes[0] = np.nan
    yield holes, answer(members, holes, n_threads)
    if dataset.X_test is None:
        n_rows = min(len(rows), MOST_ROWS, max(STEP_ROWS, int(MOST_WORK / n_bytes)))
        rows = rows[rng.choice(len(rows), n_rows, replace=False)]
    for start in range(0, len(rows), STEP_ROWS):
        X = rows[start : start + STEP_ROWS]
        known = dataset.X_test is not None and tested is not None
        yield X, tested.rows(start, start + len(X)) if known else answer(members, X, n_threads)


def prove(
    session: GraphSession,
    pairs: Iterable[Pair],
    names: Sequence[str],
    units: tuple[float, float],
    calibration: Mapping[str, Any] | None = None,
    deadline: float | None = None,
) -> Proof:
    """Compare the graph with its models.

    Args:
        session: The graph.
        pairs: See proof_pairs.
        names: What the members are called in messages.
        units: See units_of.
        calibration: See ensembles.calibration, or None.
        deadline: time.monotonic() at which the rows compared so far must do; the first two pairs always are.

    Raises: TrainingError: they differ by more than 1e-5, uncertainties by more than 1e-4 (times the spread of a
        regression target); names the member that differs most.
    """
    scale, slack = units
    proof = Proof(0.0, 0.0, 0)
    for n_done, (X, expected) in enumerate(pairs):
        found = session.predict(X)
        each = expected.members
        if calibration is not None:
            expected = expected.calibrated(calibrate(expected.mean, calibration))  # noqa: PLW2901
        difference = _worst(found.mean, expected.mean) / scale
        spreads = max(_worst(getattr(found, n), getattr(expected, n)) for n in UNCERTAINTIES) / scale
        if not (difference <= LIMIT + slack and spreads <= SPREAD_LIMIT + slack):
            gaps = [_worst(mine, its) / scale for mine, its in zip(found.members, each, strict=True)]
            worst = names[int(np.argmax(np.nan_to_num(gaps, nan=np.inf)))]
            raise TrainingError(
                f"export: the graph's predictions differ from the models' by {difference:.2e}, its uncertainties by "
                f"{spreads:.2e}; allowed {LIMIT:g} and {SPREAD_LIMIT:g}; furthest off is member {worst}, "
                f"by {max(gaps):.2e}"
            )
        proof = Proof(
            max(proof.difference, difference), max(proof.spread_difference, spreads), proof.n_rows + len(X)
        )
        if n_done and deadline is not None and time.monotonic() >= deadline:
            break
    return proof


def units_of(dataset: TabularDataset) -> tuple[float, float]:
    """What differences are divided by, and what rounding may add to them."""
    if dataset.problem_type != "regression":
        return 1.0, 0.0
    values = np.asarray(dataset.y, np.float64)
    scale = float(values.std()) or 1.0
    # The graph reckons in float32 units of the spread, whose last digit can be more than the limit at an outlier.
    furthest = np.float32(np.abs(values - values.mean()).max() / scale)
    return scale, float(np.spacing(furthest)) + 4 * float(np.spacing(np.abs(values).max())) / scale


def _worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max())
