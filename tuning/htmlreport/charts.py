"""The report's own figures, as plain plotly JSON: score over time, loss curves, workers.

Colours that depend on the theme are names the page replaces: $ink, $muted, $scale (see report.js).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from models.trials import StoredTrial
from tuning.htmlreport.view import RunView

Figure = dict[str, Any]

SHOWN_CURVES = 30
CURVE_POINTS = 150
LOG_FROM = 30.0
WIDEST = 3.0
LANE_PX = 34


def score_range(scores: Iterable[float], mode: str) -> list[float] | None:
    """The part of the score axis worth showing: a few trials far off must not flatten all others.

    Returns: None when everything fits.
    """
    finite = np.array([s for s in scores if math.isfinite(s)])
    if len(finite) == 0:
        return None
    sign = 1 if mode == "max" else -1
    loss = -sign * finite
    best, usual, worst = loss.min(), np.quantile(loss, 0.75), loss.max()
    limit = best + WIDEST * (usual - best)
    if usual == best or worst <= limit:
        return None
    pad = 0.05 * (limit - best)
    return sorted([-sign * (best - pad), -sign * limit])


def n_outside(scores: Iterable[float], shown: Sequence[float] | None) -> int:
    """How many scores an axis leaves out."""
    return 0 if shown is None else sum(not shown[0] <= s <= shown[1] for s in scores if math.isfinite(s))


def time_unit(seconds: float) -> tuple[float, str]:
    """Seconds of the unit that suits a length of time, and its name."""
    for unit_s, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 5 * unit_s:
            return unit_s, name
    return 1.0, "s"


def timed_trials(view: RunView) -> list[StoredTrial]:
    """Trials with a score and a time at which they got it."""
    return [t for t in view.trials if t.number in view.history.scored_s and math.isfinite(t.score)]


def progress(view: RunView) -> Figure | None:
    """Trials by family over time, the best so far, and the running ensemble; None without a scored trial."""
    timed = timed_trials(view)
    if not timed:
        return None
    unit_s, unit = time_unit(view.history.used_s)
    at = {t.number: view.history.scored_s[t.number] / unit_s for t in timed}
    end = max(view.history.used_s / unit_s, *at.values())
    traces = [_points(view, family, timed, at) for family in view.families]
    traces += [_best_so_far(view, timed, at, end), _ensemble(view, unit_s, end)]
    shown = score_range((t.score for t in timed), view.metric.mode)
    if shown and traces[-1]["y"]:
        shown = [min(shown[0], *traces[-1]["y"]), max(shown[1], *traces[-1]["y"])]
    return {
        "data": [t for t in traces if t["x"]],
        "layout": {
            "height": 460,
            "xaxis": {"title": {"text": f"time used ({unit})"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": view.metric.name}, "range": shown, "exponentformat": "power"},
            "hovermode": "closest",
        },
    }


def _points(view: RunView, family: str, timed: Sequence[StoredTrial], at: dict[int, float]) -> Figure:
    mine = [t for t in timed if t.family == family]
    marker, opened = view.markers[family], view.markers[family] + "-open"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(family),
        "x": [at[t.number] for t in mine],
        "y": [t.score for t in mine],
        "customdata": [[escape(t.name), view.state_of(t), len(t.folds)] for t in mine],
        "marker": {
            "color": view.colours[family],
            "size": 10,
            "symbol": [marker if t.state == "completed" else opened for t in mine],
            "line": {"width": 1.5},
        },
        "hovertemplate": "%{customdata[0]}: %{y:.5g}<br>%{customdata[1]}, folds: %{customdata[2]}<extra></extra>",
    }


def _best_so_far(view: RunView, timed: Sequence[StoredTrial], at: dict[int, float], end: float) -> Figure:
    better = max if view.metric.mode == "max" else min
    x: list[float] = []
    y: list[float] = []
    for trial in sorted((t for t in timed if t.state == "completed"), key=lambda t: at[t.number]):
        x.append(at[trial.number])
        y.append(better([*y[-1:], trial.score]))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best trial so far",
        "x": [*x, end] if x else [],
        "y": [*y, *y[-1:]],
        "line": {"shape": "hv", "color": "$muted", "width": 1.5, "dash": "dot"},
        "hovertemplate": "best so far: %{y:.5g}<extra></extra>",
    }


def _ensemble(view: RunView, unit_s: float, end: float) -> Figure:
    points = [(e.at_s / unit_s, e.score, e.n_members) for e in view.history.ensembles]
    if "scores" in view.manifest:
        points.append((end, view.manifest["scores"]["oof"], len(view.manifest["members"])))
    points = sorted(p for p in points if math.isfinite(p[1]))
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "ensemble",
        "cliponaxis": False,
        "x": [p[0] for p in points],
        "y": [p[1] for p in points],
        "customdata": [p[2] for p in points],
        "line": {"shape": "hv", "color": "$ink", "width": 2},
        "marker": {
            "symbol": "star",
            "size": [*(5 for _ in points[1:]), 12],
            "opacity": 1,
            "line": {"width": 0},
        },
        "hovertemplate": "ensemble of %{customdata}: %{y:.5g}<extra></extra>",
    }


def losses(view: RunView, family: str) -> Figure | None:
    """Losses of the first fold of a family's best trials; None when it has no curve."""
    sign = 1 if view.metric.mode == "max" else -1
    mine = [t for t in view.trials if t.family == family and t.folds and t.folds[0].val_loss]
    mine.sort(key=lambda t: -math.inf if math.isnan(t.score) else sign * t.score, reverse=True)
    traces = [
        _curve(trial, which, view.colours[family], best=i == 0)
        for i, trial in enumerate(mine[:SHOWN_CURVES])
        for which in ("val", "train")
    ]
    values = [v for t in traces for v in t["y"] if v is not None]
    if not values:
        return None
    wide = min(values) > 0 and max(values) > LOG_FROM * min(values)
    return {
        "data": [t for t in traces if t["x"]],
        "layout": {
            "height": 300,
            "xaxis": {"title": {"text": "step"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "loss"}, "type": "log" if wide else "linear"},
            "showlegend": False,
            "hovermode": "closest",
        },
    }


def _curve(trial: StoredTrial, which: str, colour: str, best: bool) -> Figure:
    record = trial.folds[0]
    y = record.val_loss if which == "val" else record.train_loss
    kept = sorted(set(np.linspace(0, len(y) - 1, min(len(y), CURVE_POINTS)).astype(int).tolist()))
    title = "validation" if which == "val" else "training"
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [i * record.every for i in kept],
        "y": [y[i] if math.isfinite(y[i]) else None for i in kept],
        "opacity": 1 if best else 0.45,
        "line": {
            "color": colour,
            "width": 3 if best else 1.2,
            "dash": "solid" if which == "val" else "dot",
        },
        "hovertemplate": f"{escape(trial.name)}, {title}: %{{y:.4g}}<extra></extra>",
    }


def timeline(view: RunView) -> Figure | None:
    """One lane per worker, one bar per fold; None when the events do not say where folds ran."""
    spans = view.history.spans
    if not spans:
        return None
    unit_s, unit = time_unit(view.history.used_s)
    family = {t.number: t.family for t in view.trials}
    name = {t.number: escape(t.name) for t in view.trials}
    lanes = lane_names(view)
    traces = []
    for key in view.families:
        mine = [s for s in spans if family.get(s.number) == key]
        bar = {
            "type": "bar",
            "orientation": "h",
            "name": escape(key),
            "y": [lanes[s.worker] for s in mine],
            "base": [s.began_s / unit_s for s in mine],
            "x": [s.total_s / unit_s for s in mine],
            "customdata": [[name[s.number], s.fold + 1, s.total_s, s.score] for s in mine],
            "marker": {"color": view.colours[key], "line": {"color": "$paper", "width": 0.6}},
            "hovertemplate": "%{customdata[0]}, fold %{customdata[1]}<br>%{customdata[2]:.2f} s, "
            "score %{customdata[3]:.5g}<extra></extra>",
        }
        traces += [bar] if mine else []
    return {
        "data": traces,
        "layout": {
            "height": 150 + LANE_PX * len(lanes),
            "barmode": "overlay",
            "bargap": 0.25,
            "xaxis": {"title": {"text": f"time used ({unit})"}, "rangemode": "tozero"},
            "yaxis": {
                "autorange": "reversed",
                "type": "category",
                "categoryorder": "array",
                "categoryarray": list(lanes.values()),
                "showgrid": False,
            },
            "hovermode": "closest",
        },
    }


def lane_names(view: RunView) -> dict[str, str]:
    """Worker -> the short name of its lane, in the order in which they began."""
    workers = dict.fromkeys(s.worker for s in sorted(view.history.spans, key=lambda s: s.began_s))
    return {worker: f"worker {i}" for i, worker in enumerate(workers, 1)}
