"""How far off the ensemble will be on a row of numbers, learned from its out-of-fold errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)
RIDGE = 1e-3
# Below so many rows a curve over the predicted value is noise.
CURVE_ROWS = 500
SHAPES = ("constant", "spread", "curve")

Scale = Mapping[str, Any]


def member_spread(members: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Weighted standard deviation of the members' answers.

    Shape: members (n_members, n_samples, 1), weights (n_members,) -> (n_samples,).
    """
    values = members[:, :, 0].astype(np.float64)
    mean = np.tensordot(np.asarray(weights), values, 1)
    return np.sqrt(np.tensordot(np.asarray(weights), np.square(values - mean), 1))


def fit_scale(shape: str, mean: np.ndarray, spread: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    """Learn the size of errors: a constant, a power of the spread, or that times a curve over the predicted value.

    The logarithm of the absolute error is fitted by least squares, with a floor that keeps the smallest errors from
    mattering most. What is learned only shapes the intervals; that they cover is the work of the scores.

    Args:
        shape: One of SHAPES.
        mean: Predicted values, (n_samples,).
        spread: See member_spread.
        errors: Out-of-fold errors, (n_samples,).
    """
    size = np.abs(errors)
    typical = float(np.median(size)) or float(size.mean()) or 1.0
    floor = max(float(np.median(spread)), 1e-3 * typical)
    limits = (np.quantile(mean, [0.01, 0.99]), np.quantile(spread, [0.01, 0.99]))
    scale = {
        "shape": shape,
        "floor": 0.1 * floor,
        "mean_limits": limits[0].tolist(),
        "spread_limits": [float(limits[1][0]), float(3 * limits[1][1])],
        "knots": np.quantile(mean, KNOTS).tolist(),
        "centre": float(np.mean(mean)),
        "width": float(np.std(mean)) or 1.0,
    }
    terms = _terms(scale, mean, spread)
    logs = np.log(size + 0.1 * typical)
    ridge = RIDGE * len(logs) * np.diag([0.0] + [1.0] * (terms.shape[1] - 1))
    weights = np.linalg.solve(terms.T @ terms + ridge, terms.T @ logs)
    return scale | {"weights": weights.tolist()}


def apply_scale(scale: Scale, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Expected size of the error, up to a factor.

    Shape: (n_samples,), (n_samples,) -> (n_samples,), positive.
    """
    return np.exp(_terms(scale, mean, spread) @ np.asarray(scale["weights"]))


def _terms(scale: Scale, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Columns of the fit; beyond what was seen, they stay at the edge."""
    columns = [np.ones(len(mean))]
    if scale["shape"] != "constant":
        columns.append(np.log(np.clip(spread, *scale["spread_limits"]) + scale["floor"]))
    if scale["shape"] == "curve":
        x = np.clip(mean, *scale["mean_limits"])
        columns.append((x - scale["centre"]) / scale["width"])
        columns += [np.maximum(x - knot, 0.0) / scale["width"] for knot in scale["knots"]]
    return np.column_stack(columns)
