"""The report's tables of trials: leaderboard, families, members, failures."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from configs.sources import mask_secrets
from models.trials import StoredTrial
from tuning.htmlreport.markup import Cell, Html, fold, join, note, section, table, tag
from tuning.htmlreport.overview import count, number
from tuning.htmlreport.view import RunView, clean_lines
from tuning.report import leaderboard

FILTER = (
    '<p class="filter" hidden><label for="filter">Filter</label>'
    '<input id="filter" type="search" placeholder="family, state, parameter …">'
    '<span id="shown" role="status"></span></p>'
)
ERROR_CHARACTERS = 50_000


def leaderboard_section(view: RunView) -> Html:
    """Every trial, best first, and a summary of the families."""
    trials = {t.name: t for t in view.trials}
    scores = view.scores
    rows = leaderboard(view.trials, view.metric, view.weights, scores)
    name = view.metric.name
    titles = (
        "rank",
        "trial",
        name,
        "spread",
        "folds",
        "fit s",
        "weight",
        "state",
        "origin",
        "params",
        "reason",
    )
    body = [_trial_row(view, rank, trials[row["trial"]], row[name]) for rank, row in enumerate(rows, 1)]
    of = "over all rows that a trial has predicted" if scores else "the mean over a trial's folds"
    caption = f"{count(len(body), 'trial')}; {name} is {of}, spread the standard deviation of folds"
    return section(
        "leaderboard",
        "Leaderboard",
        Html(FILTER),
        table(caption, titles, body, sortable=True, key="trials"),
        _families(view),
    )


def _trial_row(view: RunView, rank: int, trial: StoredTrial, score: float | None) -> list[Cell]:
    scores = [f.score for f in trial.folds]
    spread = float(np.std(scores)) if len(scores) > 1 else math.nan
    weight = view.weights.get(trial.name, 0.0)
    state = view.state_of(trial)
    return [
        Cell(str(rank), rank),
        Cell(join([_swatch(view.colours[trial.family]), trial.name]), kind="name"),
        Cell(number(math.nan if score is None else score), math.nan if score is None else score),
        Cell(number(spread) if math.isfinite(spread) else "", spread),
        Cell(str(len(trial.folds)), len(trial.folds)),
        Cell(f"{trial.fit_s:.1f}", trial.fit_s),
        Cell(f"{weight:.3f}" if weight else "", weight or math.nan),
        Cell(tag("span", state, class_=state)),
        Cell(trial.origin),
        Cell(_params(trial)),
        Cell(mask_secrets(trial.reason), kind="reason"),
    ]


def _params(trial: StoredTrial) -> Html:
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in trial.params.items()]
    return fold(count(len(lines), "param"), tag("pre", "\n".join([*lines, f"(seed {trial.seed})"])))


def _families(view: RunView) -> Html:
    titles = (
        "family",
        "trials",
        "completed",
        "stopped",
        "failed",
        "folds",
        "fit s",
        f"best {view.metric.name}",
    )
    rows = [_family_row(view, family) for family in view.families]
    return table("Families", titles, rows, sortable=True)


def _family_row(view: RunView, family: str) -> list[Cell]:
    mine = [t for t in view.trials if t.family == family]
    counts = Counter(view.state_of(t) for t in mine)
    sign = 1 if view.metric.mode == "max" else -1
    scores = [t.score for t in mine if t.state == "completed" and math.isfinite(t.score)]
    best = max(scores, key=lambda s: sign * s, default=math.nan)
    fit_s = sum(t.fit_s for t in mine)
    numbers = (
        len(mine),
        counts["completed"],
        counts["stopped"],
        counts["failed"],
        sum(len(t.folds) for t in mine),
    )
    return [
        Cell(join([_swatch(view.colours[family]), family])),
        *(Cell(str(n), n) for n in numbers),
        Cell(f"{fit_s:.1f}", fit_s),
        Cell(number(best), best),
    ]


def members_section(view: RunView) -> Html:
    """Who is in the ensemble, and how heavily."""
    if not view.manifest:
        return section("members", "Ensemble members", note("No ensemble yet, so no weights."))
    known = {t.name: t for t in view.trials}
    members = sorted(view.manifest["members"], key=lambda m: -m["weight"])
    heaviest = max(m["weight"] for m in members)
    rows = []
    for member in members:
        colour = view.colours.get(member["family"], "gray")
        width = 12 * member["weight"] / heaviest
        bar = Html(f'<span class="bar" style="width:{width:.2f}rem;background:{colour}"></span>')
        trial = known.get(member["trial"])
        score = trial.score if trial else math.nan
        rows.append(
            [
                Cell(member["trial"]),
                Cell(member["family"]),
                Cell(f"{member['weight']:.3f}", member["weight"]),
                Cell(bar),
                Cell(number(score), score),
            ]
        )
    titles = ("trial", "family", "weight", "share", view.metric.name)
    return section("members", "Ensemble members", table("Weights sum to 1", titles, rows))


def failures_section(view: RunView) -> Html:
    """What went wrong, with the whole text behind a click."""
    failed = [t for t in view.trials if t.state == "failed"]
    parts: Sequence[str] = [_failure(t) for t in failed] or [note("No trial failed.")]
    return section("failures", "Failures", *parts)


def _failure(trial: StoredTrial) -> Html:
    path = trial.path / "error.txt"
    text = path.read_text("utf-8", errors="replace") if path.is_file() else "(no error text was kept)"
    if len(text) > ERROR_CHARACTERS:
        half = ERROR_CHARACTERS // 2
        text = f"{text[:half]}\n... {len(text) - ERROR_CHARACTERS} characters left out ...\n{text[-half:]}"
    return fold(f"{trial.name}: {mask_secrets(trial.reason)}", tag("pre", clean_lines(text), tabindex="0"))


def _swatch(colour: str) -> Html:
    return Html(f'<span class="swatch" style="background:{colour}"></span>')
