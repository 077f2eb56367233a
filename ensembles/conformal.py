"""Prediction intervals and prediction sets that cover, from out-of-fold predictions; NumPy alone.

A conformal dict holds what JSON can:

    {"kind": "interval", "n": ..., "scores": [...], "rms": ..., "weights": [...], "scale": {...},
     "spread_factor": ..., "limits": [low, high]}
    {"kind": "set", "n": ..., "scores": [...], "score": "lac" | "raps", "penalty": ...}

`scores` are n sorted nonconformity scores, or as many of them at even ranks as are kept; so any level can be asked
for later. `rms`, their root mean square, makes a standard deviation of the size of error that a row lets expect;
`limits` are the least and the largest value that the target can take, None where there is no such value. What 0.1.0
wrote has neither. The share of new rows that is covered is at least the level, as far as they are like the validated
ones and the deployed model is as good as those of the folds; that it averages them makes it a little better.

Source: Vovk et al. 2005; Lei et al. 2018, arXiv 1604.04173 (normalised residuals); Sadinle et al. 2019 (least
ambiguous sets, "lac"); Angelopoulos et al. 2021, arXiv 2009.14193 ("raps", here without randomisation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ensembles.calibration import validation_parts
from ensembles.spread import CURVE_ROWS, SHAPES, apply_scale, fit_scale, member_spread
from ensembles.uncertainty import EnsemblePrediction
from errors import ConfigError, PredictionError

MAX_SCORES = 4_000
LEVEL = 0.9
# A more intricate interval must be narrower by this share to be worth it.
WORTH = 0.005
MOST_CELLS = 2_000_000
PENALTIES = (0.01, 0.1)

Conformal = Mapping[str, Any]
Limits = tuple[float | None, float | None]
NO_LIMITS: Limits = (None, None)


def fit_intervals(
    y: np.ndarray, members: np.ndarray, weights: Sequence[float], folds: np.ndarray
) -> dict[str, Any]:
    """Learn intervals from out-of-fold predictions of the members.

    A row's error is divided by the size of error that the other folds let expect for it, so that no row shapes the
    interval that it is scored with. The shape is the one with the narrowest intervals at 90 %. Where the deployed
    members' spread is smaller than out of fold, `spread_factor` makes up for it; see shrinkage.py.

    Shape: y (n_samples,); members (n_members, n_samples, 1), their weights (n_members,); folds (n_samples,).
    """
    limits = limits_of(y)
    mean = within(np.tensordot(np.asarray(weights), members.astype(np.float64), 1)[:, 0], limits)
    spread, errors = member_spread(members, weights), y - mean
    shapes = SHAPES if len(y) >= CURVE_ROWS else SHAPES[:2]
    best, best_scores, best_width = "", np.empty(0), np.inf
    for shape in shapes:
        scales = _cross_scale(shape, mean, spread, errors, validation_parts(folds))
        scores = np.abs(errors) / scales
        width = float(np.quantile(scores, LEVEL) * scales.mean())
        if width < best_width * (1 - WORTH):
            best, best_scores, best_width = shape, scores, width
    return {
        "kind": "interval",
        **_kept(best_scores),
        "rms": float(np.sqrt(np.mean(np.square(best_scores)))),
        "limits": list(limits),
        "weights": [float(w) for w in weights],
        "scale": fit_scale(best, mean, spread, errors),
        "spread_factor": 1.0,
    }


def interval(mean: np.ndarray, members: np.ndarray, conformal: Conformal, level: float) -> np.ndarray:
    """Lower and upper ends that hold the true value in a share `level` of rows.

    Shape: mean (n_samples, 1), members (n_members, n_samples, 1) -> (n_samples, 2).
    Raises: PredictionError: too few validated rows for the level. ConfigError: it is not in (0, 1).
    """
    limits = conformal.get("limits", NO_LIMITS)
    values = within(mean[:, 0].astype(np.float64), limits)
    half = quantile(conformal, level) * _sizes(values, members, conformal)
    return within(np.column_stack([values - half, values + half]), limits)


def settle(prediction: EnsemblePrediction, conformal: Conformal) -> EnsemblePrediction:
    """The prediction as its intervals have it: values that the target can take, and standard deviations to match.

    Members' spread tells which rows are hard, but not how far off they are: that is told by out-of-fold errors. The
    parts keep their shares of the variance. Classes, and models of 0.1.0, stay as they are.
    """
    if "rms" not in conformal or prediction.members is None:
        return prediction
    mean = within(prediction.mean, conformal["limits"])
    total = conformal["rms"] * _sizes(mean[:, 0].astype(np.float64), prediction.members, conformal)
    known = prediction.total > 0
    factor = total / np.where(known, prediction.total, 1.0)
    aleatoric = np.where(known, factor * prediction.aleatoric, total)
    return replace(
        prediction, mean=mean, total=total, aleatoric=aleatoric, epistemic=factor * prediction.epistemic
    )


def limits_of(y: np.ndarray) -> Limits:
    """What a numeric target can be, as its training values tell: counts and prices are not below 0, shares not above 1.

    Shape: y (n_samples,).
    """
    low, high = float(y.min()), float(y.max())
    return (0.0 if low >= 0 else None, 1.0 if low >= 0 and high == 1 else 0.0 if high <= 0 else None)


def within(values: np.ndarray, limits: Limits | Sequence[float | None]) -> np.ndarray:
    """Values moved to the limits where they are beyond."""
    return values if tuple(limits) == NO_LIMITS else np.clip(values, *limits)


def _sizes(values: np.ndarray, members: np.ndarray, conformal: Conformal) -> np.ndarray:
    spread = conformal["spread_factor"] * member_spread(members, conformal["weights"])
    return apply_scale(conformal["scale"], values, spread)


def fit_sets(P: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Learn prediction sets from calibrated out-of-fold probabilities; the score with the smallest sets at 90 %.

    Of very many probabilities, those of some rows tell which.

    Shape: P (n_samples, n_classes), y int64 (n_samples,).
    """
    kinds = [{"score": "lac"}]
    if P.shape[1] > 2:  # noqa: PLR2004 - of two classes there is nothing to rank
        kinds += [{"score": "raps", "penalty": penalty} for penalty in PENALTIES]
    some = np.arange(len(y))
    if P.size > MOST_CELLS:
        some = np.random.default_rng(0).choice(len(y), max(1, MOST_CELLS // P.shape[1]), replace=False)

    def learn(kind: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
        scores = class_scores(P[rows], kind)[np.arange(len(rows)), y[rows]]
        return {"kind": "set", **kind, **_kept(scores)}

    best, best_size = kinds[0], np.inf
    for kind in kinds if len(kinds) > 1 and _reachable(len(some), LEVEL) else []:
        size = float(prediction_set(P[some], learn(kind, some), LEVEL).sum(axis=1).mean())
        if size < best_size * (1 - WORTH):
            best, best_size = kind, size
    return learn(best, np.arange(len(y)))


def prediction_set(P: np.ndarray, conformal: Conformal, level: float) -> np.ndarray:
    """Which classes belong to sets that hold the true one in a share `level` of rows.

    The likeliest class always belongs to them. So where the model is right more often than `level`, more rows than
    that are covered.

    Shape: P (n_samples, n_classes), calibrated -> bool (n_samples, n_classes).
    Raises: PredictionError: see interval.
    """
    held = class_scores(P, conformal) <= quantile(conformal, level)
    held[np.arange(len(P)), P.argmax(axis=1)] = True
    return held


def class_scores(P: np.ndarray, kind: Conformal) -> np.ndarray:
    """How ill each class would fit.

    Shape: (n_samples, n_classes) -> the same.
    """
    P = P.astype(np.float64)
    if kind["score"] == "lac":
        return 1.0 - P
    order = np.argsort(-P, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(P, order, axis=1), axis=1)
    sums += kind["penalty"] * np.arange(P.shape[1])
    out = np.empty_like(P)
    np.put_along_axis(out, order, sums, axis=1)
    return out


def quantile(conformal: Conformal, level: float) -> float:
    """The score that a share `level` of new rows stays below, corrected for the finite number of rows.

    Raises: PredictionError: too few validated rows for the level. ConfigError: it is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ConfigError(f"interval level: got {level:g}; allowed: above 0 and below 1, such as 0.9")
    n, scores = conformal["n"], conformal["scores"]
    if not _reachable(n, level):
        raise PredictionError(
            f"interval level: got {level:g}; the model was validated on {n:,} rows, "
            f"which allow at most {n / (n + 1):.4f}"
        )
    rank = int(np.ceil((n + 1) * level - 1e-9))
    return float(scores[int(np.searchsorted(_ranks(n), rank))])


def _reachable(n: int, level: float) -> bool:
    return np.ceil((n + 1) * level - 1e-9) <= n


def _ranks(n: int) -> np.ndarray:
    """Ranks, from 1, of the scores that are kept."""
    return np.round(np.linspace(1, n, min(n, MAX_SCORES))).astype(np.int64)


def _kept(scores: np.ndarray) -> dict[str, Any]:
    return {"n": len(scores), "scores": np.sort(scores)[_ranks(len(scores)) - 1].tolist()}


def _cross_scale(
    shape: str, mean: np.ndarray, spread: np.ndarray, errors: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    out = np.empty(len(mean))
    for part in np.unique(parts):
        held = parts == part
        scale = fit_scale(shape, mean[~held], spread[~held], errors[~held])
        out[held] = apply_scale(scale, mean[held], spread[held])
    return out
