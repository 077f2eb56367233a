"""How runs and cluster jobs look on a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data.messages import percent, show_duration
from printing import PIPED_WIDTH, number, out

if TYPE_CHECKING:
    from tuning.jobserver import JobServer

STATE_STYLES = {
    "running": "green",
    "finished": "bold",
    "failed": "red",
    "interrupted": "yellow",
    "lost": "yellow",
    "cancelled": "yellow",
}
WIDE = 110
MESSAGE_WIDTH = 60


def print_runs(rows: Sequence[dict[str, Any]]) -> None:
    """State and progress of runs; narrow terminals get the columns that matter most."""
    console = _console()
    wide = console.width >= WIDE
    titles = ["run", "state", "used", "trials", "best", "ensemble", "time", *(["started", "families"] * wide)]
    table = _table(titles, right=("used", "trials", "best", "ensemble", "time"))
    for row in rows:
        ended = sum(row["trials"][state] for state in ("completed", "stopped", "failed"))
        cells = [
            escape(row["run"]),
            _state(row["state"]),
            percent(round(row["share"], 2)),
            f"{ended}/{row['num_trials']}" if row["num_trials"] else str(ended),
            _score(row["best"]),
            _score(row["ensemble"]),
            show_duration(row["elapsed_s"]),
        ]
        table.add_row(*cells, *([_moment(row["started"]), escape(", ".join(row["families"]))] * wide))
    console.print(table)


def print_cluster_jobs(jobs: Sequence[dict[str, Any]], address: str) -> None:
    """The jobs of a cluster."""
    console = _console()
    console.print(f"Jobs at {address}" + ("" if jobs else ": none"), highlight=False)
    if not jobs:
        return
    table = _table(["job", "state", "started", "time", "message"], right=("time",))
    for job in jobs:
        seconds = (job["ended"] or time.time()) - job["started"] if job["started"] else 0.0
        message = job["message"][:MESSAGE_WIDTH] if job["state"] in ("pending", "failed") else ""
        cells = (job["job"], _moment(job["started"]), show_duration(seconds), message)
        table.add_row(escape(cells[0]), _state(job["state"]), *map(escape, cells[1:]))
    console.print(table)


def print_run(detail: dict[str, Any]) -> None:
    """One run: what it is, where it stands, what went wrong, and what to type next."""
    console = _console()
    config, driver = detail["config"], detail["driver"]
    of = {"time": detail["time_budget_s"], "trials": detail["num_trials"]}
    budget = [
        *([f"{show_duration(of['time'])} in all"] if of["time"] else []),
        *([f"{of['trials']} trials"] if of["trials"] else []),
    ]
    by = f" by process {driver['pid']} on {driver['host']}" if driver else ""
    job = f" (job {driver['job']})" if driver and driver.get("job") else ""
    lines = [
        f"[bold]{escape(detail['run'])}[/bold]: {_state(detail['state'])}{escape(by + job)}",
        escape(f"  {_problem(config)}"),
        f"  {show_duration(detail['elapsed_s'])} used of {', '.join(budget) or 'an unknown budget'} "
        f"({percent(round(detail['share'], 2))}), started {_moment(detail['started']) or 'never'}",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_families(detail))
    if detail["n_failed"]:
        first = detail["first_failure"]
        failed = f"trial {first['number']} ({first['family']}): {first['reason']}"
        total = sum(detail["trials"].values())
        console.print(
            f"[yellow]{detail['n_failed']} of {total} trials failed[/yellow], first error: {escape(failed)}",
            highlight=False,
        )
    if detail["error"]:
        console.print(f"[red]{escape(detail['error'])}[/red]", highlight=False)
    for line in [
        *detail["doubts"],
        *(f"{found['code']}: {found['message']}" for found in detail["findings"]),
    ]:
        console.print(f"[yellow]warning[/yellow] {escape(line)}", highlight=False)
    if detail["last_events"]:
        console.print("Last events", style="dim")
    for event in detail["last_events"]:
        console.print(f"  {escape(_told(event))}", highlight=False, no_wrap=True, overflow="ellipsis")
    for k, command in enumerate(detail["next"]):
        console.print(f"{'Next:' if k == 0 else '     '} {escape(command)}", highlight=False, soft_wrap=True)


def _problem(config: dict[str, Any]) -> str:
    if config["rows"] is None:
        return f"'{config['target']}' of {config['source']}; the search has not begun"
    return (
        f"'{config['target']}' ({config['problem_type']}) of {config['source']}: {config['rows']:,} rows, "
        f"{config['features']} features, {config['n_folds']} folds, {config['slots']} trials at once, "
        f"seed {config['seed']}"
    )


def _families(detail: dict[str, Any]) -> Table:
    is_running, total = detail["state"] == "running", detail["trials"]
    # What a lost run was running is left over, like what an interrupted one was.
    states = {
        **({"running": "running"} if is_running else {}),
        **(
            {"unfinished": "unfinished"}
            if total["interrupted"] or (total["running"] and not is_running)
            else {}
        ),
        "completed": "done",
        "stopped": "stopped",
        "failed": "failed",
    }
    table = _table(["family", *states.values(), f"best {detail['metric'] or ''}"], right=None)

    def cells(values: dict[str, Any]) -> list[str]:
        left = values["interrupted"] + (0 if is_running else values["running"])
        return [str((values | {"unfinished": left})[state] or "") for state in states]

    for family, values in detail["per_family"].items():
        table.add_row(family, *cells(values), _score(values["best"]))
    table.add_row("all", *cells(total), _score(detail["best"]), style="bold")
    if detail["ensemble"]:
        name = f"ensemble of {detail['ensemble']['n_members']}"
        table.add_row(name, *[""] * len(states), _score(detail["ensemble"]), style="bold")
    return table


def _told(event: dict[str, Any]) -> str:
    """An event as a line."""
    at = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    score = event.get("score")
    scored = f" {number(score)}" if score is not None and not math.isnan(score) else ""
    told = {
        "sweep": "the search began",
        "resume": "the search was resumed",
        "end": f"trial {event.get('number')} {event.get('state')}{scored}: {event.get('reason')}",
        "ensemble": f"ensemble{scored} of {event.get('n_members')} trials",
        "summary": "an ensemble was built",
        "close": "the search ended",
    }
    return f"{at}  {told[event['event']]}"


def _console() -> Console:
    return out if out.is_terminal else Console(width=PIPED_WIDTH)


def _table(titles: Sequence[str], right: Sequence[str] | None) -> Table:
    """A table without lines; `right` names the columns aligned right, None all but the first."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for k, title in enumerate(titles):
        is_right = k > 0 if right is None else title in right
        table.add_column(title, justify="right" if is_right else "left", no_wrap=k != 0, overflow="fold")
    return table


def _state(state: str) -> str:
    style = STATE_STYLES.get(state)
    return f"[{style}]{state}[/{style}]" if style else state


def _score(value: dict[str, Any] | None) -> str:
    """In parentheses, as long as the trial is not complete."""
    if value is None:
        return ""
    return number(value["score"]) if value.get("complete", True) else f"({number(value['score'])})"


def _moment(when: float | None) -> str:
    return "" if when is None else time.strftime("%m-%d %H:%M", time.localtime(when))


def print_sent(server: JobServer, job_id: str) -> None:
    """A job was sent, and how to get back to it."""
    out.print(f"Sent as [bold]{job_id}[/bold] to {server.address}", highlight=False)
    for what in ("logs --follow", "cancel"):
        out.print(f"  {server.command(what, job_id)}", highlight=False, soft_wrap=True)
