"""How registered models look on a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from data.messages import show_score as number
from printing import out

if TYPE_CHECKING:
    from ensembles.compare import MetricDifference
    from ensembles.importance import ColumnImportance
    from ensembles.verify import Check

VERSION_TITLES = (
    "model_id",
    "aliases",
    "problem_type",
    "metric",
    "oof_score",
    "test_score",
    "n_members",
    "created",
)


def print_versions(rows: Sequence[dict[str, Any]]) -> None:
    """Registered versions as a table."""
    table = Table()
    for title in VERSION_TITLES:
        table.add_column(title)
    for row in rows:
        table.add_row(*(_cell(row[title]) for title in VERSION_TITLES))
    out.print(table)


def print_card(text: str) -> None:
    """A model card: rendered on a terminal, as it is elsewhere."""
    if out.is_terminal:
        out.print(Markdown(text))
    else:
        out.file.write(text)


def print_comparison(first: str, second: str, n_rows: int, found: Sequence[MetricDifference]) -> None:
    """Scores of two models, their difference, and which is better."""
    title = f"{n_rows:,} rows; ↑ higher is better, ↓ lower; intervals hold 95 %"
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for title in (first, second, "difference"):
        table.add_column(escape(title), justify="right")
    table.add_column("better")
    names = {"first": first, "second": second, "neither": "(chance?)"}
    for one in found:
        table.add_row(
            f"{one.metric} {'↑' if one.mode == 'max' else '↓'}",
            _with_interval(one.first, one.first_interval),
            _with_interval(one.second, one.second_interval),
            _with_interval(one.difference, one.interval, "+"),
            escape(names[one.verdict]),
        )
    out.print(table)


def print_history(name: str, events: Sequence[dict[str, Any]]) -> None:
    """What happened to a model, oldest first."""
    table = Table()
    for title in ("when (UTC)", "who", "what", "why"):
        table.add_column(title)
    for event in events:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(event["time"]))
        table.add_row(when, *(escape(text) for text in (event["who"], _what(name, event), event["why"])))
    out.print(table)


def print_checks(where: str, checks: Sequence[Check]) -> None:
    """What was checked of a bundle; faults first."""
    failed = [check for check in checks if not check.passed]
    for check in [*failed, *(c for c in checks if c.passed)]:
        mark = "[green]ok[/green]   " if check.passed else "[bold red]wrong[/bold red]"
        out.print(f"{mark} {escape(check.name)}: {escape(check.detail)}", highlight=False, soft_wrap=True)
    verdict = (
        f"{len(failed)} of {len(checks)} checks failed" if failed else f"all {len(checks)} checks passed"
    )
    out.print(f"{escape(where)}: [bold]{verdict}[/bold]", highlight=False, soft_wrap=True)


def print_importance(own: str, found: Sequence[ColumnImportance]) -> None:
    """Columns by how much worse the score gets without them, or by how far predictions move."""
    from ensembles.importance import CHANGE

    metrics = [own, *(name for name in found[0].loss if name != own)] if found else [own]
    what = "How far predictions move" if own == CHANGE else "How much worse the score gets"
    table = Table(title=f"{what} when a column is shuffled", title_justify="left")
    table.add_column("column")
    for metric in metrics:
        table.add_column(metric, justify="right")
    for one in found:
        first = f"{number(one.loss[own])} ±{number(one.spread[own])}"
        table.add_row(escape(one.column), first, *(number(one.loss[name]) for name in metrics[1:]))
    out.print(table)


def _with_interval(value: float, interval: tuple[float, float], sign: str = "") -> str:
    low, high = interval
    plus = sign if value > 0 else ""
    return f"{plus}{number(value)} [{number(low)}, {number(high)}]".replace("[", r"\[")


def _what(name: str, event: dict[str, Any]) -> str:
    version = f"{name}:{event['version']}"
    if event["action"] == "delete":
        gone = event["aliases"]
        return f"deleted {version}" + (f" and {', '.join(gone)}" if gone else "")
    if event["action"] == "rollout":
        plan = event["plan"]
        return f"{plan['mode']}: {version} on {plan['share']:.0%} of requests"
    if event["action"] == "withdraw":
        return f"withdrew {version}"
    before = f" (was {name}:{event['from']})" if event["from"] else ""
    moved = f"{event['alias']} -> {version}{before}"
    if event["action"] == "register":
        return f"registered {version}" + (f", {moved}" if event["alias"] else "")
    return f"{'promoted' if event['action'] == 'promote' else 'rolled back'}: {moved}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)
