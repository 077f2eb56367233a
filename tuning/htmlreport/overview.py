"""The head of a report: what was asked, how it stands, and the scores that matter."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from configs.sources import mask_secrets
from data.messages import show_score
from ensembles.admission import doubts
from tuning.htmlreport.charts import time_unit
from tuning.htmlreport.markup import Cell, Html, join, note, section, table, tag
from tuning.htmlreport.view import RunView

STATUS = {
    "running": "Still running when this was written; write the report again to see more.",
    "finished": "Finished.",
    "interrupted": "Interrupted before its end.",
    "failed": "Failed.",
    "cut off": "Cut off: its process ended without finishing the run.",
}


def number(value: Any) -> str:
    """A score with as many digits as tell scores apart; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return show_score(value)


def count(n: int, noun: str) -> str:
    """A number of things: 1 trial, 2 trials."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def duration(seconds: float) -> str:
    """A length of time for people."""
    unit_s, unit = time_unit(seconds)
    return f"{seconds / unit_s:.1f} {unit}"


def header(view: RunView) -> Html:
    """Title, table and state of the run."""
    config, facts = view.config, view.history.facts
    better = "higher" if view.metric.mode == "max" else "lower"
    size = f"{facts['rows']:,} rows, {facts['features']} features, " if "rows" in facts else ""
    folds = f"{facts['n_folds']} folds, " if facts.get("n_folds", 1) > 1 else ""
    table_of = f"{mask_secrets(config.data.source)}: {size}{folds}optimising {view.metric.name} ({better} is better)."
    written = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    return join(
        [
            tag("h1", f"{config.name}: predict {config.data.target} ({config.problem_type})"),
            tag("p", table_of, class_="lead"),
            tag("p", f"Run {view.run.name}, report written {written}.", class_="lead"),
        ]
    )


def overview(view: RunView) -> Html:
    """State, scores, time and trials."""
    parts: list[str] = [tag("p", STATUS[view.status], class_="status")]
    if view.result.get("error"):
        parts.append(tag("p", mask_secrets(view.result["error"]), class_="warning"))
    if not view.manifest:
        parts.append(_no_ensemble(view))
    parts += [tag("p", mask_secrets(text), class_="warning") for text in view.notes]
    parts += [tag("p", doubt, class_="warning") for doubt in _doubts(view)]
    parts += [_cards(view), _test(view)]
    return section("overview", "Overview", *parts)


def _doubts(view: RunView) -> list[str]:
    """Why the model should not be in production before somebody has looked."""
    return [f"Not for production unseen: {doubt}." for doubt in doubts(view.manifest)]


def data_section(view: RunView) -> Html:
    """What was found in the training rows."""
    found = view.examination
    if found is None:
        return section("data", "Data", note("Not known: the training rows of this run were not examined."))
    rows = [[Cell(f.code), Cell(mask_secrets(f.message))] for f in found.findings]
    parts = (
        [table("What to beware of in the training rows", ["what", "where, and what to do"], rows)]
        if rows
        else []
    )
    nothing = "" if rows else "Nothing to beware of was found in the training rows."
    return section("data", "Data", note(nothing), *parts, note(found.limits))


def _no_ensemble(view: RunView) -> Html:
    if view.status == "running":
        return note("No ensemble yet: it is built when the search ends.")
    if not view.counts["completed"]:
        return note("No ensemble: no trial finished every fold.")
    return note(f"No ensemble yet. Build it: tabularay ensemble {view.run.path}")


def _cards(view: RunView) -> Html:
    cards = [*_score_cards(view), _time_card(view), _trials_card(view)]
    return tag("dl", join(_card(*card) for card in cards), class_="cards")


def _card(title: str, value: str, detail: str) -> Html:
    shown = [tag("dd", value, class_="value"), tag("dd", detail, class_="detail")]
    return tag("div", join([tag("dt", title), *shown]))


def _score_cards(view: RunView) -> list[tuple[str, str, str]]:
    name = view.metric.name
    if not view.manifest:
        best = view.best()
        if best is None:
            return [(f"Best trial, {name}", "-", "no trial is complete")]
        return [(f"Best trial, {name}", number(best.score), f"{best.name}, out of fold")]
    scores = view.manifest["scores"]
    n_members = len(view.manifest["members"])
    members = f"out of fold, {count(n_members, 'member')} of {count(scores['n_candidates'], 'candidate')}"
    cards = [
        (f"Ensemble, {name}", number(scores["oof"]), members),
        (
            f"Best single trial, {name}",
            number(scores["oof_best_single"]),
            f"{scores['best_single']}, out of fold",
        ),
    ]
    test = scores["test"]
    if test and name in test["ensemble"]:
        untuned = test.get("untuned_lightgbm", {}).get(name)
        beside = (
            "no untuned LightGBM: no time was left"
            if untuned is None
            else f"untuned LightGBM: {number(untuned)}"
        )
        cards.append((f"Ensemble on test rows, {name}", number(test["ensemble"][name]), beside))
    return cards


def _time_card(view: RunView) -> tuple[str, str, str]:
    used = view.result.get("seconds", {}).get("total", view.history.used_s)
    budget = view.config.search.time_budget_s
    detail = "no time budget" if budget is None else f"of a budget of {duration(budget)}: {used / budget:.0%}"
    again = view.history.n_sessions - 1
    return "Time used", duration(used), detail + (f"; resumed {count(again, 'time')}" if again > 0 else "")


def _trials_card(view: RunView) -> tuple[str, str, str]:
    limit = view.config.search.num_trials
    of = f" of {limit}" if limit else ""
    states = ("completed", "stopped", "failed", "running", "unfinished")
    shown = [f"{view.counts[s]} {s}" for s in states if view.counts[s] or s in states[:3]]
    return "Trials", f"{len(view.trials)}{of}", ", ".join(shown)


def _test(view: RunView) -> Html:
    """Every metric on the withheld rows."""
    test = view.manifest.get("scores", {}).get("test")
    if not test:
        return (
            note("No test: no rows were withheld (data.test_size, data.test_source).")
            if view.manifest
            else Html("")
        )
    name = view.metric.name
    metrics = [name, *(m for m in test["ensemble"] if m != name)]
    rows = [
        [
            Cell(who.replace("_", " ")),
            *(Cell(number(scores.get(m)), scores.get(m, math.nan)) for m in metrics),
        ]
        for who, scores in test.items()
    ]
    looks = _test_looks(view)
    caption = (
        "Test rows, withheld until the end"
        if looks <= 1
        else f"Test rows, scored {looks} times: no longer unseen"
    )
    return table(caption, ["", *metrics], rows)


def _test_looks(view: RunView) -> int:
    path = view.run.path / "test_looks.json"
    return int(json.loads(path.read_text("utf-8"))) if path.is_file() else 1
