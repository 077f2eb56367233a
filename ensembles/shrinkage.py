"""What averaging fold models does to an ensemble: members come closer to each other, and probabilities get softer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.dataset import TabularDataset
from ensembles.calibration import LEAST_ERRORS, Calibration, calibrate, sharpened
from ensembles.member import Deployed, Member
from ensembles.spread import member_spread
from ensembles.uncertainty import entropy

PROBE_ROWS = 512
JITTER = 0.05
# Powers that are looked at; and how far from 1 one must be to be worth an operator.
POWERS = (0.5, 2.0)
POWER_STEPS = 20
LEAST_POWER = 0.02
PRIOR_ERRORS = 20


@dataclass(frozen=True)
class Both:
    """Answers to the same rows by the deployed members and by those of each fold.

    Shape: deployed (n_members, n_samples, n_outputs); each fold's the same over the rows that are named beside it.
    """

    deployed: np.ndarray
    folds: list[tuple[np.ndarray, np.ndarray]]


def spread_factor(members: tuple[Member, ...], dataset: TabularDataset, n_threads: int) -> float:
    """Mean ratio of the spread of members of one fold to that of the deployed ones.

    Out of fold, a member is one model, and all are of one fold; deployed, it is the mean of several, of another fold
    than the next, or was fitted on all rows, and the spread that intervals are stretched by differs for no better
    reason. The ratio needs rows that no model was fitted on but no labels: training rows whose numbers are moved by a
    twentieth of their standard deviation. That tells most of what truly new rows would (california housing: a factor
    of 1.29 and 1.32 for 1.39 and 1.49). Models on all rows know each of these rows; beside them, those of a fold are
    asked about the rows that they know as well.

    Args:
        members: What is deployed.
        dataset: The training rows.
        n_threads: Threads to predict with.
    """
    found = _answers(members, dataset, n_threads) if len(members) > 1 else None
    if found is None:
        return 1.0
    weights = [m.weight for m in members]
    deployed = member_spread(found.deployed, weights)
    logs = np.log(_floored(deployed, deployed))
    lost = [
        np.mean(np.log(_floored(member_spread(answers, weights), deployed)) - logs[rows])
        for answers, rows in found.folds
    ]
    return float(np.exp(np.mean(lost)))


def sharpness(
    members: tuple[Member, ...],
    dataset: TabularDataset,
    calibration: Calibration | None,
    n_errors: int,
    n_threads: int,
) -> float:
    """The power of the deployed members' probabilities that are as certain as those of one fold.

    What was calibrated, and what sets were learned with, are answers of single models; their mean over folds is softer,
    and more so where they are sure of different classes. So probabilities are raised to a power (and normalised) with
    which their mean entropy is that of the folds' answers, on rows as in spread_factor. Letter: 1.08, where its
    withheld rows tell 1.07; tables of two classes: 1.00 to 1.01. Where hardly a row is wrong, certainty is next to
    nothing to compare; so the power is drawn to 1 as if by PRIOR_ERRORS wrong rows, and 1 without LEAST_ERRORS.

    Args:
        members: What is deployed.
        dataset: The training rows.
        calibration: Learned out of fold.
        n_errors: Validated rows whose likeliest class was wrong.
        n_threads: Threads to predict with.
    """
    found = _answers(members, dataset, n_threads) if n_errors >= LEAST_ERRORS else None
    if found is None:
        return 1.0
    weights = np.array([m.weight for m in members])

    def mean_of(answers: np.ndarray) -> np.ndarray:
        return calibrate(np.tensordot(weights, answers.astype(np.float64), 1), calibration)

    deployed = mean_of(found.deployed)
    target = np.mean([entropy(mean_of(answers)).mean() for answers, _ in found.folds])

    def certainty(power: float) -> float:
        P = calibrate(deployed, sharpened(None, power))
        return float(np.mean([entropy(P[rows]).mean() for _, rows in found.folds]))

    low, high = POWERS
    for _ in range(POWER_STEPS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if certainty(middle) > target else (low, middle)
    power = float((low * high) ** (0.5 * n_errors / (n_errors + PRIOR_ERRORS)))
    return power if abs(power - 1) >= LEAST_POWER else 1.0


def _answers(members: tuple[Member, ...], dataset: TabularDataset, n_threads: int) -> Both | None:
    """None where what is deployed answers as the models of a fold do."""
    if all(m.refitted is not None and len(m.deployed.folds) == 1 for m in members):
        return None
    X, held = _probe(dataset)
    answers = [Deployed.whole(m.trial, dataset.split).predict_each(X, n_threads) for m in members]
    n_models = max(len(a) for a in answers)
    if n_models == 1:
        return None
    deployed = [_as_deployed(m, a, X, n_threads) for m, a in zip(members, answers, strict=True)]
    is_refitted = any(m.refitted is not None for m in members)
    folds = []
    for k in range(n_models):
        rows = held != k if is_refitted else np.full(len(X), True)
        folds.append((np.stack([a[k % len(a)] for a in answers])[:, rows], rows))
    return Both(np.stack(deployed), folds)


def _as_deployed(member: Member, of_folds: np.ndarray, X: np.ndarray, n_threads: int) -> np.ndarray:
    """The member's answer, where need be from those of its fold models."""
    if member.refitted is not None:
        return member.deployed.predict_mean(X, n_threads)
    whole = [record.fold for record in member.trial.folds[-len(of_folds) :]]
    return of_folds[[whole.index(fold) for fold in member.deployed.folds]].mean(axis=0)


def _probe(dataset: TabularDataset) -> tuple[np.ndarray, np.ndarray]:
    """Training rows, moved a little, and the fold that each is validated in."""
    rng = np.random.default_rng(0)
    X = np.array(dataset.X, np.float32)
    numbers = [i for i, size in enumerate(dataset.encoder.cardinalities) if not size]
    spread = np.nan_to_num(np.nanstd(X[:, numbers].astype(np.float64), axis=0))
    chosen = np.sort(rng.choice(len(X), min(PROBE_ROWS, len(X)), replace=False))
    rows = X[chosen]
    rows[:, numbers] += (JITTER * spread * rng.standard_normal((len(rows), len(numbers)))).astype(np.float32)
    return rows, np.asarray(dataset.folds)[chosen]


def _floored(spread: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """Spreads that a logarithm can be taken of."""
    return np.maximum(spread, max(1e-3 * float(np.median(typical)), 1e-300))
