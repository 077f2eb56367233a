"""Optuna's figures of a family's hyperparameters, made to follow the page's theme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuning.htmlreport.charts import Figure, score_range
from tuning.htmlreport.studies import FamilyStudy, evaluator
from tuning.htmlreport.view import RunView

MIN_SCORED = 3
MIN_FOR_IMPORTANCE = 5
ROW_PX = 24
AXIS_PX = 84


def importance_figure(family: FamilyStudy, colour: str) -> tuple[Figure | None, str]:
    """Optuna's importances; without a figure, the sentence says why."""
    scores = {t.score for t in family.trials}
    if not family.searched:
        return None, "No importance: no parameter of this family is searched."
    if len(family.trials) < MIN_FOR_IMPORTANCE:
        return None, f"No importance: {len(family.trials)} scored trials, at least {MIN_FOR_IMPORTANCE} needed."
    if len(scores) == 1:
        return None, "No importance: every trial has the same score."
    from optuna.visualization import plot_param_importances  # noqa: PLC0415 - plotly takes a second

    figure = _plain(
        plot_param_importances(family.study, evaluator=evaluator(), params=list(family.searched))
    )
    figure["layout"] = {
        "height": 90 + ROW_PX * len(family.searched),
        "xaxis": {"range": [0, 1.1], "title": {"text": "share of the explained score"}},
        "yaxis": {"automargin": True},
        "showlegend": False,
    }
    for trace in figure["data"]:
        trace["marker"] = {"color": colour}
    return figure, ""


def order_of(family: FamilyStudy, importance: Figure | None) -> list[str]:
    """Searched parameters, the most important first where that is known."""
    return list(reversed(importance["data"][0]["y"])) if importance else list(family.searched)


def slice_figures(view: RunView, family: FamilyStudy, order: Sequence[str]) -> dict[str, Figure]:
    """Optuna's slice of every searched parameter; empty with too few trials."""
    if len(family.trials) < MIN_SCORED:
        return {}
    from optuna.visualization import plot_slice  # noqa: PLC0415

    shown = score_range((t.score for t in family.trials), view.metric.mode)
    figures = {}
    for name in order:
        figure = _plain(plot_slice(family.study, params=[name], target_name=view.metric.name))
        layout = {k: v for k, v in figure["layout"].items() if k in ("xaxis", "yaxis")}
        layout["xaxis"]["title"] = {"text": name}
        layout["yaxis"]["range"] = shown
        margin = {"l": 56, "r": 12, "t": 8, "b": 56}
        figure["layout"] = layout | {"height": 230, "margin": margin, "showlegend": False}
        for trace in figure["data"]:
            _mark_trials(trace, family, view.colours[family.trials[0].family])
        figures[name] = figure
    return figures


def _mark_trials(trace: Figure, family: FamilyStudy, colour: str) -> None:
    """Name each point's trial, and leave those stopped early open."""
    trials = [family.trials[i] for i in trace["marker"]["color"]]
    trace["marker"] = {
        "color": colour,
        "size": 8,
        "symbol": ["circle" if t.state == "completed" else "circle-open" for t in trials],
        "line": {"width": 1.2},
    }
    trace["customdata"] = [t.name for t in trials]
    trace["hovertemplate"] = "%{customdata}<br>%{x}: %{y:.5g}<extra></extra>"


def parallel_figure(view: RunView, family: FamilyStudy) -> Figure | None:
    """Optuna's parallel coordinates, a line per trial, strong where the score is good."""
    if len(family.trials) < MIN_SCORED or not family.searched:
        return None
    from optuna.visualization import plot_parallel_coordinate  # noqa: PLC0415

    study, params = family.study, list(family.searched)
    figure = _plain(plot_parallel_coordinate(study, params=params, target_name=view.metric.name))
    low_is_good = view.metric.mode == "min"
    for trace in figure["data"]:
        if trace["mode"] == "lines":
            share = trace["y"][0]
            trace["line"]["color"] = f"$scale:{1 - share if low_is_good else share:.3f}"
            trace["opacity"] = 0.8
        else:
            trace["marker"] |= {"colorscale": "$scale", "reversescale": low_is_good}
    layout = figure["layout"]
    for annotation in layout["annotations"]:
        annotation["font"] = {"size": 10, "color": "$muted"}
    keep = ("xaxis", "yaxis", "annotations", "shapes", "hovermode")
    figure["layout"] = {k: layout[k] for k in keep} | {"height": 420, "showlegend": False}
    figure["min_width"] = AXIS_PX * (len(family.searched) + 2)
    return figure


def _plain(figure: Any) -> Figure:
    """A plotly figure as plain lists and dicts."""
    found: Figure = figure.to_dict()
    return {"data": [dict(trace) for trace in found["data"]], "layout": found["layout"]}
