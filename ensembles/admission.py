"""Whether a new version may go into production by itself, told from what its bundle says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.examination import Examination
from data.messages import show_list, show_score
from data.metrics import METRICS, score
from ensembles.registry import AUTO, CANDIDATE, PRODUCTION

# A search takes the luckiest of many trials: to be better than chance, a score must be so by three standard errors.
SURE = 1.5


@dataclass(frozen=True)
class Admission:
    """Where a new version is registered.

    Attributes:
        alias: What points at it; None: nothing does.
        doubts: Why it should not be in production before somebody has looked, a line each.
    """

    alias: str | None
    doubts: tuple[str, ...]


def admit(manifest: Mapping[str, Any], alias: str | None, promote: bool = False) -> Admission:
    """Where a version goes: what was asked for; by itself, production unless there is a doubt.

    Args:
        manifest: The manifest of its bundle.
        alias: As configured; see configs.schema.JobConfig.
        promote: Whether it is to be compared with the model in production first.
    """
    found = doubts(manifest)
    if alias == AUTO:
        alias = CANDIDATE if found or promote else PRODUCTION
    return Admission(alias, found)


def doubts(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Why a version should not go into production by itself; bundles that do not say are not doubted."""
    found = (_leak(manifest), _no_better_than_constant(manifest), _worse_on_test(manifest))
    return tuple(reason for reason in found if reason)


def constant_score(metric: str, y: np.ndarray, n_classes: int) -> float:
    """Score of the constant that suits the metric best: shares of the classes, mean, or median.

    Shape: y (n_samples,).

    Args:
        metric: Name of a metric.
        y: Class codes or values.
        n_classes: 0 for regression.
    """
    if n_classes:
        row = np.bincount(y.astype(np.int64), minlength=n_classes) / len(y)
    else:
        row = np.array([np.median(y) if metric == "mae" else np.mean(y)])
    return score(metric, y, np.tile(row, (len(y), 1)))


def _leak(manifest: Mapping[str, Any]) -> str:
    if "examined" not in manifest:
        return ""
    leaks = Examination.from_json(manifest["examined"]).leaks
    many = len(leaks) > 1
    return f"{show_list(leaks)} {'are' if many else 'is'} suspected to give the target away" if leaks else ""


def _no_better_than_constant(manifest: Mapping[str, Any]) -> str:
    scores, metric = manifest.get("scores", {}), manifest.get("metric", "")
    if "constant" not in scores or "oof" not in scores:
        return ""
    constant, own = scores["constant"], scores["oof"]
    low, high = (own + SURE * (end - own) for end in scores.get("intervals", {}).get("oof") or (own, own))
    if (low > constant) if METRICS[metric].mode == "max" else (high < constant):
        return ""
    within = f" [{show_score(low)}, {show_score(high)} at 99.7 %]" if low < high else ""
    return (
        f"out-of-fold {metric} {show_score(own)}{within} is not surely better than {show_score(constant)}, which "
        "the same answer for every row scores"
    )


def _worse_on_test(manifest: Mapping[str, Any]) -> str:
    scores, metric = manifest.get("scores", {}), manifest.get("metric", "")
    interval = scores.get("intervals", {}).get("test", {}).get("ensemble", {}).get(metric)
    if not interval or "oof" not in scores:
        return ""
    (low, high), own = interval, scores["oof"]
    if (high >= own) if METRICS[metric].mode == "max" else (low <= own):
        return ""
    return (
        f"test {metric} lies within [{show_score(low)}, {show_score(high)}], worse than {show_score(own)} out of "
        "fold: rows of the test differ from those that were learned from"
    )
