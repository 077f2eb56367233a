"""Optuna's figures of a family's hyperparameters, made to follow the page's theme."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

from tuning.htmlreport.charts import Figure, score_range
from tuning.htmlreport.overview import count
from tuning.htmlreport.studies import FamilyStudy, importances, within
from tuning.htmlreport.view import RunView

MIN_SCORED = 3
MIN_FOR_IMPORTANCE = 5
ROW_PX = 24
AXIS_PX = 84


def importance_figure(view: RunView, family: FamilyStudy) -> tuple[Figure | None, str]:
    """Bars of importance, the largest on top; without a figure, the sentence says why."""
    if not family.searched:
        return None, "No importance: no parameter of this family is searched."
    if len(family.trials) < MIN_FOR_IMPORTANCE:
        scored = count(len(family.trials), "scored trial")
        return None, f"No importance: {scored}, at least {MIN_FOR_IMPORTANCE} needed."
    if len({t.score for t in family.trials}) == 1:
        return None, "No importance: every trial has the same score."
    found = importances(family, _shown(view, family))
    if not found:
        return None, "No importance: no parameter is in every trial."
    colour = view.colours[family.trials[0].family]
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": list(found.values()),
        "y": list(found),
        "text": [f"{share:.2f}" for share in found.values()],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": colour},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    layout = {
        "height": 90 + ROW_PX * len(found),
        "xaxis": {
            "range": [0, 1.15 * max(found.values())],
            "title": {"text": "share of the explained score"},
        },
        "yaxis": {"automargin": True, "autorange": "reversed"},
        "showlegend": False,
    }
    return {"data": [bar], "layout": layout}, ""


def order_of(family: FamilyStudy, importance: Figure | None) -> list[str]:
    """Searched parameters, the most important first where that is known."""
    known = importance["data"][0]["y"] if importance else []
    return [*known, *(name for name in family.searched if name not in known)]


def slice_figures(view: RunView, family: FamilyStudy, order: Sequence[str]) -> dict[str, Figure]:
    """Optuna's slice of every searched parameter; empty with too few trials."""
    if len(family.trials) < MIN_SCORED:
        return {}
    shown = _shown(view, family)
    figures = {}
    for name in order:
        figure = _optuna("plot_slice", family, [name], view.metric.name)
        layout = {k: v for k, v in figure["layout"].items() if k in ("xaxis", "yaxis")}
        layout["xaxis"]["title"] = {"text": name}
        layout["yaxis"]["range"] = shown
        margin = {"l": 56, "r": 12, "t": 8, "b": 48}
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
    trace["customdata"] = [escape(t.name) for t in trials]
    trace["hovertemplate"] = "%{customdata}<br>%{x}: %{y:.5g}<extra></extra>"


def parallel_figure(view: RunView, family: FamilyStudy) -> Figure | None:
    """Optuna's parallel coordinates, a line per trial, strong where the score is good."""
    if len(family.trials) < MIN_SCORED or not family.searched:
        return None
    near = within(family, _shown(view, family))
    figure = _optuna("plot_parallel_coordinate", near, family.searched, view.metric.name)
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


def _shown(view: RunView, family: FamilyStudy) -> list[float] | None:
    return score_range((t.score for t in family.trials), view.metric.mode)


def _optuna(plot: str, family: FamilyStudy, params: Sequence[str], target_name: str) -> Figure:
    """A figure of Optuna's as plain lists and dicts."""
    import optuna.visualization  # noqa: PLC0415 - plotly takes a second

    draw = getattr(optuna.visualization, plot)
    found: Figure = draw(family.study, params=list(params), target_name=target_name).to_dict()
    return {"data": [dict(trace) for trace in found["data"]], "layout": found["layout"]}


@contextmanager
def without_theme() -> Iterator[None]:
    """Figures without plotly's own theme: the page has one, and copying plotly's takes most of a figure's time."""
    import plotly.io  # noqa: PLC0415 - plotly takes a second

    before = plotly.io.templates.default
    plotly.io.templates.default = None
    try:
        yield
    finally:
        plotly.io.templates.default = before
