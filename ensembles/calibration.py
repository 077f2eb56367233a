"""Calibration of class probabilities: learned on out-of-fold predictions, applied with NumPy alone.

A calibration is a dict that JSON holds:

    {"kind": "identity"}                            as they are
    {"kind": "temperature", "temperature": T}       p^(1/T), normalised
    {"kind": "beta", "a": a, "b": b, "c": c}        binary: p1 = sigmoid(a ln p1 - b ln(1 - p1) + c)
    {"kind": "isotonic", "x": [...], "y": [...]}    binary: p1 = linear interpolation between the points

Each may have a `floor`: the least probability of a class, to which all are mixed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ensembles.monotone import fit_isotonic

EPS = 1e-12
BINARY = 2
N_BINS = 15
N_PARTS = 5
TEMPERATURES = (0.1, 20.0)
# Of rows that are wrong, to learn from: a model that is hardly ever wrong says too little of how sure it may be.
LEAST_ERRORS = 10
# Standard deviation of the prior of a logarithm of 1/T, and of each weight of beta around what changes nothing.
PRIOR_STD = 0.5
# A row whose true class was thought impossible costs at most the logarithm of so many times the training rows.
FLOOR_ROWS = 10
MOST_FLOOR = 0.1
MOST_CELLS = 4_000_000
IDENTITY = np.array([1.0, 1.0, 0.0])  # of beta's a, b and c
Calibration = Mapping[str, Any]


def fit_calibration(P: np.ndarray, y: np.ndarray, folds: np.ndarray) -> dict[str, Any] | None:
    """The calibration with the lowest log-loss by cross-validation; None where none is surely better than nothing.

    A calibration must lower the log-loss by more than one standard error, and the two that have more freedom must
    do so against temperature too. Without LEAST_ERRORS rows whose likeliest class is wrong there is none.

    Shape: P (n_samples, n_classes), rows sum to 1; y int64 (n_samples,); folds (n_samples,): what is fitted together.
    Source: temperature: Guo et al. 2017, arXiv 1706.04599; beta: Kull et al. 2017; isotonic: see monotone.py.
    """
    if n_errors(P, y) < LEAST_ERRORS:
        return None
    kinds = ["temperature", "beta", "isotonic"] if P.shape[1] == BINARY else ["temperature"]
    best, best_loss = None, row_losses(P, y)
    for kind in kinds:
        losses = row_losses(cross_calibrate(P, y, folds, kind), y)
        if _surely_lower(losses, best_loss):
            best, best_loss = kind, losses
    return None if best is None else FITS[best](P, y)


def calibrate(P: np.ndarray, calibration: Calibration | None) -> np.ndarray:
    """Apply a calibration; None changes nothing.

    Shape: (n_samples, n_classes) -> (n_samples, n_classes), rows sum to 1.
    """
    if calibration is None:
        return P
    P = _curved(P.astype(np.float64), calibration)
    floor = calibration.get("floor", 0.0)
    return floor + (1 - floor * P.shape[1]) * P if floor else P


def floored(calibration: Calibration | None, n_rows: int, n_classes: int) -> dict[str, Any]:
    """A calibration after which no class is impossible: of n training rows, none would cost more than ln(10 n) nats.

    Args:
        calibration: What comes first; None: nothing.
        n_rows: Rows that the model was trained on.
        n_classes: Classes.
    """
    floor = min(1 / (FLOOR_ROWS * n_rows), MOST_FLOOR / n_classes)
    return {**(calibration or {"kind": "identity"}), "floor": floor}


def n_errors(P: np.ndarray, y: np.ndarray) -> int:
    """Rows whose likeliest class is not the true one."""
    return int((P.argmax(axis=1) != y).sum())


def _curved(P: np.ndarray, calibration: Calibration) -> np.ndarray:
    if calibration["kind"] == "identity":
        return P
    if calibration["kind"] == "temperature":
        scaled = np.log(np.maximum(P, EPS)) / calibration["temperature"]
        odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)
    if calibration["kind"] == "beta":
        z = _beta_terms(P) @ np.array([calibration["a"], calibration["b"], calibration["c"]])
        p1 = _sigmoid(z)
    elif calibration["kind"] == "isotonic":
        p1 = np.interp(P[:, 1], calibration["x"], calibration["y"])
    else:
        raise ValueError(f"unknown calibration kind {calibration['kind']!r}")
    return np.column_stack([1 - p1, p1])


def sharpened(calibration: Calibration | None, power: float) -> dict[str, Any] | None:
    """A calibration whose probabilities are raised to a power, and normalised, afterwards.

    An isotonic curve, which knows no power, stays what it is.

    Args:
        calibration: What comes first; None: nothing.
        power: Above 1: more certain.
    """
    if power == 1.0 or (calibration is not None and calibration["kind"] == "isotonic"):
        return None if calibration is None else dict(calibration)
    if calibration is None or calibration["kind"] == "identity":
        return dict(calibration or {}) | {"kind": "temperature", "temperature": 1 / power}
    if calibration["kind"] == "temperature":
        return dict(calibration) | {"temperature": calibration["temperature"] / power}
    return dict(calibration) | {name: power * calibration[name] for name in ("a", "b", "c")}


def cross_calibrate(P: np.ndarray, y: np.ndarray, folds: np.ndarray, kind: str) -> np.ndarray:
    """Every row calibrated by what the other folds taught; a single fold is cut in five at random.

    Shape: see fit_calibration.
    """
    parts = validation_parts(folds)
    out = np.empty(P.shape)
    for part in np.unique(parts):
        held = parts == part
        out[held] = calibrate(P[held], FITS[kind](P[~held], y[~held]))
    return out


def validation_parts(folds: np.ndarray) -> np.ndarray:
    """The folds, or five random parts where there is one fold only.

    Shape: (n_samples,) -> (n_samples,).
    """
    if len(np.unique(folds)) > 1:
        return folds
    return np.random.default_rng(0).permutation(len(folds)) % N_PARTS


def report(
    P: np.ndarray, y: np.ndarray, folds: np.ndarray, calibration: Calibration | None
) -> dict[str, Any]:
    """Log-loss and calibration error before and after, each row calibrated without having been looked at."""
    after = P if calibration is None else cross_calibrate(P, y, folds, calibration["kind"])
    return {
        "kind": None if calibration is None else calibration["kind"],
        "log_loss_before": float(row_losses(P, y).mean()),
        "log_loss_after": float(row_losses(after, y).mean()),
        "ece_before": calibration_error(P, y),
        "ece_after": calibration_error(after, y),
    }


def row_losses(P: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Negative log-probability of the true class, per row, in nats."""
    return -np.log(np.maximum(P[np.arange(len(y)), y], EPS))


def calibration_error(P: np.ndarray, y: np.ndarray, n_bins: int = N_BINS) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over bins of equally many rows.

    Two classes: of the probability of the second; more: of the likeliest class.
    Source: Nguyen and O'Connor 2015 (equal counts); Guo et al. 2017 (the likeliest class).
    """
    if P.shape[1] == BINARY:
        confidence, hit = P[:, 1], y == 1
    else:
        confidence, hit = P.max(axis=1), P.argmax(axis=1) == y
    order = np.argsort(confidence, kind="stable")
    bins = [rows for rows in np.array_split(order, n_bins) if len(rows)]
    gaps = [abs(float(confidence[rows].mean() - hit[rows].mean())) * len(rows) for rows in bins]
    return sum(gaps) / len(y)


def _surely_lower(losses: np.ndarray, than: np.ndarray) -> bool:
    gain = than - losses
    return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


def _fit_temperature(P: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Newton's method on 1/T, in which the log-loss is convex; near 1 by a normal prior of its logarithm.

    Of very many probabilities, those of some rows tell it as well.
    """
    if P.size > MOST_CELLS:
        rows = np.random.default_rng(0).choice(len(P), max(1, MOST_CELLS // P.shape[1]), replace=False)
        P, y = P[rows], y[rows]
    z = np.log(np.maximum(P, EPS))
    z -= z.max(axis=1, keepdims=True)
    true = z[np.arange(len(y)), y]
    beta, low, high = 1.0, 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    for _ in range(50):
        odds = np.exp(beta * z)
        odds /= odds.sum(axis=1, keepdims=True)
        mean = (odds * z).sum(axis=1)
        slope = float((mean - true).sum()) + np.log(beta) / (beta * PRIOR_STD**2)
        low, high = (beta, high) if slope < 0 else (low, beta)
        curvature = float(((odds * z * z).sum(axis=1) - mean**2).sum()) + 1 / (beta * PRIOR_STD) ** 2
        step = slope / curvature if curvature > 0 else np.inf
        after = beta - step
        after = after if low < after < high else 0.5 * (low + high)
        if abs(after - beta) < 1e-9 * beta:
            break
        beta = after
    return {"kind": "temperature", "temperature": float(1 / beta)}


def _beta_terms(P: np.ndarray) -> np.ndarray:
    p0, p1 = (np.maximum(P[:, k].astype(np.float64), EPS) for k in (0, 1))
    return np.column_stack([np.log(p1), -np.log(p0), np.ones(len(P))])


def _fit_beta(P: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Logistic regression; a negative slope would turn probabilities round and is left out, as the paper does.

    A normal prior keeps the weights near those that change nothing.
    """
    terms = _beta_terms(P)
    used = [0, 1, 2]
    while True:
        weights = np.zeros(3)
        weights[used] = _logistic(terms[:, used], y, IDENTITY[used])
        negative = [i for i in used[:-1] if weights[i] < 0]
        if not negative:
            break
        used.remove(min(negative, key=lambda i: weights[i]))
    a, b, c = weights.tolist()
    return {"kind": "beta", "a": a, "b": b, "c": c}


def _logistic(terms: np.ndarray, y: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Newton's method with a normal prior around some weights; steps are halved where they fail."""
    ridge = np.eye(terms.shape[1]) / PRIOR_STD**2
    weights = prior.copy()
    loss = _logistic_loss(terms, y, weights, prior)
    for _ in range(50):
        p = _sigmoid(terms @ weights)
        slope = terms.T @ (p - y) + ridge @ (weights - prior)
        step = np.linalg.solve((terms * (p * (1 - p))[:, None]).T @ terms + ridge, slope)
        for _ in range(30):
            after = _logistic_loss(terms, y, weights - step, prior)
            if after <= loss:
                break
            step /= 2
        if not after < loss - 1e-10 * abs(loss):
            break
        weights, loss = weights - step, after
    return weights


def _logistic_loss(terms: np.ndarray, y: np.ndarray, weights: np.ndarray, prior: np.ndarray) -> float:
    z = terms @ weights
    return float(np.logaddexp(0, z).sum() - z @ y + 0.5 * np.square((weights - prior) / PRIOR_STD).sum())


def _fit_isotonic(P: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    x, values = fit_isotonic(P[:, 1], y == 1)
    return {"kind": "isotonic", "x": x.tolist(), "y": values.tolist()}


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -700, 700)))


FITS: dict[str, Callable[[np.ndarray, np.ndarray], dict[str, Any]]] = {
    "temperature": _fit_temperature,
    "beta": _fit_beta,
    "isotonic": _fit_isotonic,
}
