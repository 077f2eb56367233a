"""The whole page: its sections in order, with styles, scripts and figures inside it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from errors import ConfigError
from tuning.htmlreport.charts import losses, n_outside, progress, score_range, timed_trials, timeline
from tuning.htmlreport.markup import (
    Figures,
    Html,
    embed_json,
    fold,
    join,
    note,
    script_hash,
    section,
    tag,
)
from tuning.htmlreport.overview import count, data_section, header, number, overview
from tuning.htmlreport.params import (
    MIN_SCORED,
    importance_figure,
    order_of,
    parallel_figure,
    slice_figures,
    without_theme,
)
from tuning.htmlreport.studies import FamilyStudy, build_study
from tuning.htmlreport.tables import failures_section, leaderboard_section, members_section
from tuning.htmlreport.view import RunView, clean_lines
from tuning.spaces import FamilySpace, family_spaces

HERE = Path(__file__).parent
CONTENTS = {
    "overview": "Overview",
    "data": "Data",
    "leaderboard": "Leaderboard",
    "progress": "Score over time",
    "parameters": "Hyperparameters",
    "losses": "Loss curves",
    "members": "Members",
    "failures": "Failures",
    "timeline": "Workers",
    "configuration": "Configuration",
}


def render(view: RunView) -> str:
    """The page of a run as HTML."""
    figures = Figures()
    sections = [
        overview(view),
        data_section(view),
        leaderboard_section(view),
        _progress(view, figures),
        _parameters(view, figures),
        _losses(view, figures),
        members_section(view),
        failures_section(view),
        _timeline(view, figures),
        _configuration(view),
    ]
    return _document(view, join(sections), figures)


def _progress(view: RunView, figures: Figures) -> Html:
    scores = [t.score for t in timed_trials(view)]
    hidden = n_outside(scores, score_range(scores, view.metric.mode))
    best = view.best()
    says = (
        f"A point per trial when its last fold ended; open: not complete. Best complete trial: "
        f"{'none' if best is None else f'{best.name}, {number(best.score)}'}."
        + (
            f" Outside, far from the best: {count(hidden, 'trial')}; double-click shows all."
            if hidden
            else ""
        )
    )
    why_not = "No plot: no trial has a score and a time yet."
    return section("progress", CONTENTS["progress"], figures.place(progress(view), says, why_not))


def _parameters(view: RunView, figures: Figures) -> Html:
    try:
        spaces = family_spaces(view.config, view.config.problem_type or "binary")
    except ConfigError as error:
        return section("parameters", CONTENTS["parameters"], note(f"No plots: {error}"))
    says = (
        "From trials with a score; one stopped early counts with the mean of its folds. Importance: mean decrease of "
        "impurity in a forest fitted to the trials, rough with fewer than about 30."
    )
    best = view.best()
    parts = [note(says)]
    with without_theme():
        for family, space in spaces.items():
            opened = family == (best.family if best else view.families[0])
            parts.append(_family(view, family, space, figures, opened))
    return section("parameters", CONTENTS["parameters"], *parts)


def _family(view: RunView, family: str, space: FamilySpace, figures: Figures, opened: bool) -> Html:
    mine = [t for t in view.trials if t.family == family]
    study = build_study(mine, space.space, view.metric)
    title = f"{family}: {count(len(mine), 'trial')}, {len(study.trials)} with a score"
    return Html(
        f'<details class="family"{" open" if opened else ""}><summary>{escape(title)}</summary>'
        f"{_family_plots(view, study, figures, family)}</details>"
    )


def _family_plots(view: RunView, study: FamilyStudy, figures: Figures, family: str) -> Html:
    outside = f"Left out: {count(study.n_outside, 'trial')} whose values the search space does not hold."
    scores = [t.score for t in study.trials]
    far = n_outside(scores, score_range(scores, view.metric.mode))
    parts = [note(outside if study.n_outside else "")]
    parts += [note(f"Far from the best, and outside the plots: {count(far, 'trial')}." if far else "")]
    if len(study.trials) < MIN_SCORED:
        scored = count(len(study.trials), "scored trial")
        return join([*parts, note(f"No plots: {scored}, at least {MIN_SCORED} needed.")])
    importance, why_not = importance_figure(view, study)
    order = order_of(study, importance)
    first = f"Most important: {', '.join(order[:3])}." if importance else ""
    slices = slice_figures(view, study, order)
    grid = join(figures.place(f, f"{family}: {view.metric.name} by {name}") for name, f in slices.items())
    parallel = parallel_figure(view, study)
    strong = f"A line per trial of {family}; the stronger its colour, the better its {view.metric.name}."
    parts += [tag("h3", "Importance"), figures.place(importance, first, why_not)]
    parts += [
        tag("h3", "Score by parameter"),
        note("Open: stopped early." if slices else "Nothing is searched."),
    ]
    parts += [tag("div", grid, class_="grid")]
    parts += [tag("h3", "Parallel coordinates")]
    parts += [figures.place(parallel, strong, "No plot: no parameter of this family is searched.")]
    return join(parts)


def _losses(view: RunView, figures: Figures) -> Html:
    panels = []
    for family in view.families:
        says = f"{family}: loss of the first fold per trial; thick: the best trial; dotted: training."
        why_not = f"No curve: no trial of {family} has finished a fold."
        place = figures.place(losses(view, family), says, why_not)
        panels.append(tag("div", join([tag("h3", family), place])))
    return section("losses", CONTENTS["losses"], tag("div", join(panels), class_="wide"))


def _timeline(view: RunView, figures: Figures) -> Html:
    spans = view.history.spans
    why_not = "No timeline: the run's events do not say where and when folds ran."
    if not spans:
        return section("timeline", CONTENTS["timeline"], note(why_not))
    workers = list(dict.fromkeys(s.worker for s in sorted(spans, key=lambda s: s.began_s)))
    busy = sum(s.total_s for s in spans)
    whole = max(s.began_s + s.total_s for s in spans) - min(s.began_s for s in spans)
    slots = view.history.facts.get("slots", len(workers))
    share = min(1.0, busy / (whole * slots)) if whole else 1.0
    says = (
        f"A bar per fold, a row per worker process. Of {count(slots, 'slot')}, {share:.0%} were busy on average, from "
        "the first fold's start to the last fold's end."
    )
    names = "; ".join(f"worker {i}: {worker}" for i, worker in enumerate(workers, 1))
    return section("timeline", CONTENTS["timeline"], figures.place(timeline(view), says), note(names))


def _configuration(view: RunView) -> Html:
    text = clean_lines((view.run.path / "config.yaml").read_text("utf-8"))
    shown = fold("config.yaml", tag("pre", text, tabindex="0"), opened=True)
    return section(
        "configuration", CONTENTS["configuration"], note("As resolved; secrets are masked."), shown
    )


def _document(view: RunView, body: Html, figures: Figures) -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - plotly takes a second

    style = (HERE / "report.css").read_text("utf-8")
    scripts = [
        f"\n{s.replace(chr(13), '')}\n" for s in (get_plotlyjs(), (HERE / "report.js").read_text("utf-8"))
    ]
    links = "".join(f'<a href="#{key}">{escape(title)}</a>' for key, title in CONTENTS.items())
    head = {"title": f"{view.config.name}: {view.run.name}", "policy": _policy(scripts)}
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{head["policy"]}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(head["title"])}</title>
<style>{style}</style>
</head>
<body>
<header><button type="button" id="theme" hidden>Theme</button>{header(view)}</header>
<nav aria-label="Sections"><div>{links}</div></nav>
<main>
<noscript><p class="warning">The figures need JavaScript; the tables do not.</p></noscript>
{body}
</main>
<footer>Written by tabularay. This file loads nothing from anywhere; it can be sent and kept as it is.</footer>
<script type="application/json" id="figures">{embed_json(figures.figures)}</script>
<script>{scripts[0]}</script>
<script>{scripts[1]}</script>
</body>
</html>
"""


def _policy(scripts: list[str]) -> str:
    """What the page may do: run these scripts and style itself; nothing is ever loaded."""
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "script-src": " ".join(script_hash(s) for s in scripts),
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{key} {value}" for key, value in rules.items())
