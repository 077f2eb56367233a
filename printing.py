"""How results look on a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.box import HORIZONTALS
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.messages import SAMPLED, percent, show_number
from data.messages import show_score as number

if TYPE_CHECKING:
    from data.dataset import TabularDataset
    from data.examination import Examination
    from data.findings import Finding
    from data.inspection import ColumnReport, Frequency, Inspection, TargetReport
    from tuning.plan import Plan

out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

SHOWN_TRIALS = 15
COLUMN_TITLES = ("column", "kind", "missing", "distinct", "values", "examples", "note")
SHOWN_CLASSES = 12
PIPED_WIDTH = 10_000
WIDE = 130
SHOWN_VALUES = 3
# More columns than that are summed up, and of those with something to say so many shown.
MANY_COLUMNS, SHOWN_COLUMNS, SHOWN_NAMES = 100, 40, 6
VALUE_WIDTH = 24


def print_error(error: Exception) -> None:
    """One message, no traceback."""
    err.print(
        f"[bold red]{type(error).__name__}[/bold red]: {escape(str(error))}", soft_wrap=True, highlight=False
    )


def json_only(asked: bool) -> bool:
    """Keep the standard output for the answer of `--json`: whatever a library prints goes to the standard error.

    The file descriptor itself is turned away, because libraries in C and processes started by them write there too.
    """
    if asked and _answers.stream is None and sys.__stdout__ is sys.stdout:
        sys.stdout.flush()
        _answers.stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
    return asked


class _Answers:
    """Where the answer of `--json` goes once the standard output is turned away."""

    stream: TextIO | None = None


_answers = _Answers()


def print_json(value: Any) -> None:
    """JSON and nothing else on the standard output."""
    stream = _answers.stream or sys.stdout
    stream.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    stream.flush()


def print_plan(plan: Plan) -> None:
    """What was inferred of the table, and how long the search may take."""
    dataset, config = plan.dataset, plan.config
    target = dataset.target
    classes = f", classes {', '.join(map(str, target.classes[:10]))}" if target.classes else ""
    withheld = 0 if dataset.y_test is None else len(dataset.y_test)
    problem = escape(f"'{target.name}' ({dataset.problem_type}{classes})")
    out.print(f"[bold]{escape(str(config.name))}[/bold]: predict {problem}")
    out.print(
        f"  {dataset.n_rows:,} rows to train on, {_folds(dataset)}, {withheld:,} withheld for the test, "
        f"{dataset.n_features} features; optimising {plan.metric.name}"
    )
    kinds: dict[str, list[str]] = {}
    for spec in dataset.specs:
        kinds.setdefault(spec.kind, []).append(
            spec.name + (f" ({spec.note})" if spec.kind == "ignore" else "")
        )
    for kind, names in kinds.items():
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")  # noqa: PLR2004
        out.print(f"  {kind}: {escape(shown)}", highlight=False)
    for note in dataset.notes:
        out.print(f"  [yellow]note[/yellow]: {escape(note)}", highlight=False)
    search = config.search
    limits = [
        *([f"{search.time_budget_s:g} s in all"] if search.time_budget_s else []),
        *([f"at most {search.num_trials} trials"] if search.num_trials else []),
    ]
    out.print(f"  searching {', '.join(config.families)}: {', '.join(limits)}")


def _folds(dataset: TabularDataset) -> str:
    if dataset.n_folds == 1:
        return f"{int((dataset.folds == 0).sum()):,} of them to validate"
    how = {"random": "", "stratified": "", "group": " of whole groups", "time": " in order of time"}
    return f"{dataset.n_folds} folds{how[dataset.split]}"


def print_examination(examination: Examination) -> None:
    """What was found in the training rows."""
    for finding in examination.findings:
        _print_warning(out, finding)
    if examination.limits:
        out.print(f"  {escape(examination.limits)}", highlight=False, soft_wrap=True)


def _print_warning(console: Console, finding: Finding) -> None:
    label = "note" if finding.code == SAMPLED else "[yellow]warning[/yellow]"
    text = f"{label} {finding.code}: {escape(finding.message)}"
    console.print(text, highlight=False, soft_wrap=True)


def print_interrupted(result: dict[str, Any]) -> None:
    """What a job ended by Ctrl-C has left, and what can be made of it."""
    out.print(
        f"Interrupted: {result['n_completed']} of {result['n_trials']} trials are complete in {result['run']}"
    )
    out.print(f"Go on with it: tabularay tune --resume {result['run']}", highlight=False)
    if result["n_completed"]:
        out.print(f"Build a model from what there is: tabularay ensemble {result['run']}", highlight=False)
    _print_tracking(result)


def print_result(result: dict[str, Any]) -> None:
    """Leaderboard, ensemble and scores of a job, and what to do next."""
    metric, scores = result["metric"], result["scores"]
    shown = result["leaderboard"][:SHOWN_TRIALS]
    table = Table(title=f"Leaderboard ({metric}, out of fold)", title_justify="left")
    for title in ("trial", metric, "folds", "fit s", "weight", "ended"):
        table.add_column(title, justify="right" if title in {metric, "folds", "fit s", "weight"} else "left")
    for row in shown:
        score = "" if row[metric] is None else number(row[metric])
        weight = f"{row['weight']:.3f}" if row["weight"] else ""
        ended = row["state"] if row["state"] == "completed" else f"{row['state']}: {row['reason']}"
        table.add_row(
            row["trial"], score, str(row["folds"]), f"{row['fit_s']:.1f}", weight, escape(ended[:60])
        )
    out.print(table)
    if len(result["leaderboard"]) > len(shown):
        out.print(
            f"  and {len(result['leaderboard']) - len(shown)} more trials; see {result['run']}/result.json"
        )
    if result.get("n_failed"):
        out.print(
            f"[yellow]{result['n_failed']} of {result['n_trials']} trials failed[/yellow], first error: "
            f"{escape(result['failures'][0])}"
        )
    out.print(
        f"Ensemble of {len(result['members'])} trials: out-of-fold {metric} [bold]{number(scores['oof'])}[/bold], "
        f"best single {number(scores['oof_best_single'])} ({scores['best_single']})"
    )
    if scores["test"]:
        _print_test(scores["test"], metric, result["test_looks"])
    for line in honesty_lines(scores):
        out.print(line, highlight=False)
    _print_tracking(result)
    out.print(f"Registered as [bold]{result['model_id']}[/bold]; run directory {result['run']}")
    _print_doubts(result)
    if promotion := result.get("promotion"):
        done = "Promoted" if promotion["promoted"] else "Not promoted"
        out.print(f"{done}: {promotion['why']}", highlight=False, markup=False, soft_wrap=True)
    name = result["model_id"]
    if "production" in result["aliases"]:
        name = name.partition(":")[0]
    elif "candidate" in result["aliases"]:
        name = f"{name.partition(':')[0]}@candidate"
    out.print(
        f"Next: tabularay report {Path(result['run']).name}    tabularay predict {name} --input FILE    "
        f"tabularay serve {name}",
        highlight=False,
    )


def _print_doubts(result: dict[str, Any]) -> None:
    """Why a new version should not be in production, and what to do once somebody has looked."""
    doubts = result.get("doubts")
    if not doubts:
        return
    from ensembles.registry import promote_command

    where = ", ".join(result["aliases"]) or "without an alias"
    if "production" in result["aliases"]:
        told = f"It is in production ({where}), as was asked for, although"
    else:
        told = f"It is not in production, but {where}, because"
    lines = [f"[yellow]{told}[/yellow]", *(f"  {escape(doubt)}" for doubt in doubts)]
    if "production" not in result["aliases"]:
        command = promote_command(result["model_id"], result["registry"])
        lines.append(f"To promote it all the same: {escape(command)}")
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def honesty_lines(scores: dict[str, Any]) -> list[str]:
    """What is to be told of an ensemble's calibration, coverage, decisions and limits, a line each."""
    lines = []
    if simpler := scores.get("simpler"):
        lines.append(
            f"The best single trial is deployed: an ensemble, {number(simpler['ensemble'])} on rows that it was not "
            f"chosen on, is not better than {number(simpler['best_single'])}"
        )
    calibration = scores.get("calibration", {})
    if calibration.get("kind"):
        before, after = number(calibration["log_loss_before"]), number(calibration["log_loss_after"])
        lines.append(
            f"Probabilities are calibrated ({calibration['kind']}): cross-validated log-loss {before} -> {after}"
        )
    test = scores.get("test_honesty", {})
    if "covered" in test:
        what, size = ("sets", "mean_set_size") if "mean_set_size" in test else ("intervals", "mean_width")
        lines.append(
            f"{test['level']:.0%} {what} held {test['covered']:.1%} of the test rows, "
            f"{size.replace('_', ' ')} {number(test[size])}"
        )
    if "threshold" in scores:
        goal = scores["threshold"]
        lines.append(
            f"Classes are decided for {goal['for']}: cross-validated {number(goal['before'])} -> "
            f"{number(goal['after'])}"
        )
    if "never_positive" in scores:
        found = scores["never_positive"]
        lines.append(
            f"[yellow]F1 is 0: no row's probability of the positive class reaches one half (highest "
            f"{number(found['highest'])}); ensemble.threshold=f1 decides from {number(found['threshold'])} on, "
            f"cross-validated F1 {number(found['f1'])}[/yellow]"
        )
    if "refitted" in scores:
        kept = scores["refitted"]["kept"]
        reason = f"; {len(kept)} kept their fold models: {escape(next(iter(kept.values())))}" if kept else ""
        if scores["refitted"]["members"] or kept:
            lines.append(f"Refitted on all rows: {scores['refitted']['members']} members{reason}")
    if "latency_ms" in scores:
        found, limit = scores["latency_ms"]["estimate"], scores["latency_ms"]["limit"]
        late = " [yellow](over it: nothing faster was found)[/yellow]" if limit and found > limit else ""
        within = f", limit {limit:g} ms{late}" if limit else ""
        lines.append(f"One row takes about {found:.2g} ms{within}")
    return lines


def _print_tracking(result: dict[str, Any]) -> None:
    if result.get("tracking", "complete") != "complete":
        out.print(f"[yellow]{escape(result['tracking'])}[/yellow]")


def _print_test(test: dict[str, dict[str, float]], metric: str, looks: int) -> None:
    names = [metric, *(m for m in test["ensemble"] if m != metric)]
    title = (
        "Test rows, withheld until now"
        if looks == 1
        else f"Test rows, scored {looks} times: no longer unseen"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    for who, values in test.items():
        table.add_row(who.replace("_", " "), *(number(values[n]) for n in names))
    out.print(table)
    if "untuned_lightgbm" not in test:
        out.print("  (no time was left to train an untuned LightGBM for comparison)")


def print_inspection(inspection: Inspection, every_column: bool = False) -> None:
    """Columns, target and warnings of a table; piped, every column stays on one line.

    Args:
        inspection: What was found.
        every_column: Whether all columns are listed where they are many, and not only those with something to say.
    """
    console = out if out.is_terminal else Console(width=PIPED_WIDTH)
    rows = f"{inspection.rows:,} rows, {len(inspection.columns) + (inspection.target is not None)} columns"
    test = ""
    if inspection.test_source:
        test = f"; test file {inspection.test_source}: {inspection.test_rows:,} rows"
    console.print(f"[bold]{escape(inspection.source)}[/bold]: {rows}{escape(test)}", highlight=False)
    shown = inspection.columns
    if len(shown) > MANY_COLUMNS and not every_column:
        for line in _kind_lines(inspection.columns):
            console.print(line, highlight=False)
        shown = _telling(inspection)
    if shown:
        console.print(_column_table(shown, console))
    if shown is not inspection.columns:
        n_more = len(inspection.columns) - len(shown)
        console.print(f"  and {n_more:,} more columns; to list every column, add --all")
    if inspection.target:
        _print_target(console, inspection.target)
    for warning in inspection.warnings:
        _print_warning(console, warning)
    if all(warning.code == SAMPLED for warning in inspection.warnings):
        console.print("No warnings.")


def _kind_lines(columns: Sequence[ColumnReport]) -> list[str]:
    """How many columns there are of each kind, and the first of them."""
    kinds: dict[str, list[ColumnReport]] = {}
    for column in columns:
        kinds.setdefault(column.kind, []).append(column)
    lines = []
    for kind, alike in kinds.items():
        names = ", ".join(_short(column.name) for column in alike[:SHOWN_NAMES])
        more = ", ..." if alike[SHOWN_NAMES:] else ""
        n_missing = sum(column.missing > 0 for column in alike)
        holes = f"; {n_missing:,} of them with missing values" if n_missing else ""
        lines.append(f"  {len(alike):,} {kind}: {escape(names)}{more}{holes}")
    return lines


def _telling(inspection: Inspection) -> list[ColumnReport]:
    """The columns with a note or a warning, as many as can be read; those of the narrowest warnings first."""
    order: dict[str, int] = {}
    for warning in sorted(inspection.warnings, key=lambda warning: len(warning.columns)):
        for name in warning.columns:
            order.setdefault(name, len(order))
    noted = [c for c in inspection.columns if c.name in order or c.note]
    noted.sort(key=lambda column: order.get(column.name, len(order)))
    first = {column.name for column in noted[:SHOWN_COLUMNS]}
    return [column for column in inspection.columns if column.name in first]


def _column_table(columns: Sequence[ColumnReport], console: Console) -> Table:
    cells = [_column_cells(column) for column in columns]
    if console.width < WIDE:  # there, examples are shown only of columns of which nothing else can be
        cells = [c | {"values": c["values"] or c["examples"], "examples": ""} for c in cells]
    titles = [t for t in COLUMN_TITLES if t not in ("examples", "note") or any(c[t] for c in cells)]
    table = Table(box=HORIZONTALS if console.is_terminal else None, pad_edge=False, header_style="bold")
    table.padding = (0, 1, 0, 0) if console.is_terminal else (0, 2, 0, 0)
    for title in titles:
        right = title in ("missing", "distinct")
        narrow = right or title == "kind"
        table.add_column(title, justify="right" if right else "left", no_wrap=narrow, overflow="fold")
    for column, row in zip(columns, cells, strict=True):
        style = "dim" if column.kind == "ignore" else None
        table.add_row(*(escape(row[title]) for title in titles), style=style)
    return table


def _column_cells(column: ColumnReport) -> dict[str, str]:
    missing = f"{column.missing:,} ({percent(column.missing_share)})" if column.missing else "0"
    examples = ", ".join(_example(value) for value in column.examples)
    spread = ""
    if column.frequent:
        spread, examples = _frequencies(column.frequent[:SHOWN_VALUES]), ""  # they are examples already
    elif column.low is not None:
        spread = f"{_amount(column.low)} .. {_amount(column.high)}"
    cells = (column.name, column.kind, missing, f"{column.distinct:,}", spread, examples, column.note)
    return dict(zip(COLUMN_TITLES, cells, strict=True))


def _example(text: str) -> str:
    return show_number(float(text)) if re.fullmatch(r"-?\d+\.\d+", text) else _short(text)


def _print_target(console: Console, target: TargetReport) -> None:
    console.print(f"Target [bold]{escape(target.name)}[/bold]: {target.problem_type}", highlight=False)
    if target.classes:
        by_count = target.classes
        if by_count[SHOWN_CLASSES:]:
            by_count = sorted(by_count, key=lambda c: -c.count)
        more = f" and {len(by_count) - SHOWN_CLASSES} more" if by_count[SHOWN_CLASSES:] else ""
        shown = "  ".join(
            f"{_short(c.value)}: {c.count:,} ({percent(c.share)})" for c in by_count[:SHOWN_CLASSES]
        )
        console.print(f"  {escape(shown)}{more}", highlight=False)
    else:
        shown = "  ".join(f"{name} {_amount(value)}" for name, value in target.statistics.items())
        console.print(f"  {shown}", highlight=False)


def _frequencies(frequent: Sequence[Frequency]) -> str:
    return ", ".join(f"{_short(f.value)} ({percent(f.share)})" for f in frequent)


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= VALUE_WIDTH else f"{text[: VALUE_WIDTH - 1]}…"


def _amount(value: float | int | str) -> str:
    return show_number(value) if isinstance(value, float) else str(value)
