"""The state of a run, derived from its directory alone: whoever can read the folder can watch the sweep."""

from __future__ import annotations

import json
import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from data.examination import Examination
from data.metrics import get_metric
from models.trials import STATES
from tuning.budget import Budget
from tuning.display import Display
from tuning.runs import Run
from tuning.tally import Going, Rate, Tally

RUN_STATES = ("running", "finished", "failed", "interrupted", "lost")
KEPT_EVENTS = 8
FOLLOW_EVERY_S = 1.0
# Events of the sweep itself; what is built from the run later does not prolong it.
SWEEP_EVENTS = frozenset({"sweep", "resume", "trial", "fold", "end", "ensemble", "close"})
# Folds are too many to be told one by one.
TOLD_EVENTS = frozenset({"sweep", "resume", "end", "ensemble", "summary", "close"})


class EventTail:
    """Reads an event file as it grows; a last line that is not whole yet waits for its end.

    Args:
        path: The event file; it may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def read(self) -> Iterator[dict[str, Any]]:
        """The events written since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    event = _parse(line)
                    if event is not None:
                        yield event
        except FileNotFoundError:
            return


def _parse(line: bytes) -> dict[str, Any] | None:
    """The event of a line; of one torn by a crash and written on by the next session, what came later."""
    try:
        return json.loads(line.decode())
    except ValueError:
        start = line.rfind(b'{"event": ')
        return _parse(line[start:]) if start > 0 else None


class RunWatch:
    """A run as its directory tells it; `refresh` reads only what is new.

    Attributes:
        run: The run.
        facts: The last `sweep` or `resume` event; empty before the sweep began.
        tally: Its trials.
        first_failure: Number, family and reason of the first trial that failed.
        last_events: The newest events, folds and starts of trials left out.
        result: What result.json holds, or None.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.facts: dict[str, Any] = {}
        self.tally = Tally("max")
        self.first_failure: dict[str, Any] | None = None
        self.last_events: deque[dict[str, Any]] = deque(maxlen=KEPT_EVENTS)
        self.result: dict[str, Any] | None = None
        self.began: float | None = None
        self._tail = EventTail(run.events)
        self._last_time = 0.0
        self._driven = False
        self.refresh()

    def refresh(self) -> None:
        """Read what happened since the last look."""
        self._driven = self.run.is_driven()  # before the rest: a run that ends meanwhile is not lost
        for event in self._tail.read():
            self._take(event)
        self.result = _read_result(self.run.result)

    @property
    def state(self) -> str:
        """running, finished, failed, interrupted, or lost: its process is gone and left no result."""
        if self._driven:
            return "running"
        if self.result is None:
            return "lost"
        if self.result.get("interrupted"):
            return "interrupted"
        return "finished" if self.result.get("model_id") else "failed"

    @property
    def elapsed_s(self) -> float:
        """Seconds the sweep has taken; a resumed one's breaks are not counted."""
        if "started" not in self.facts:
            return 0.0
        until = time.time() if self.state == "running" else self._last_sign()
        return max(0.0, until - self.facts["started"])

    def _last_sign(self) -> float:
        """When the sweep last gave a sign of life: a lost one's last beat may be later than its last event."""
        if self.state == "lost" and self.run.driver.exists():
            return max(self._last_time, self.run.driver.stat().st_mtime)
        return self._last_time

    @property
    def share(self) -> float:
        """Share of the budget that is used, of time or of trials, whichever is further on."""
        if self.state == "finished":
            return 1.0
        time_s, trials = self.facts.get("time_budget_s"), self.facts.get("num_trials")
        of_time = self.elapsed_s / time_s if time_s else 0.0
        return min(1.0, max(of_time, self.tally.n_ended() / trials if trials else 0.0))

    def _take(self, event: dict[str, Any]) -> None:
        kind, when = event.get("event"), event.get("time", 0.0)
        if kind in SWEEP_EVENTS:
            self._last_time = when
        if kind in TOLD_EVENTS:
            told = ("event", "time") if kind == "summary" else event
            self.last_events.append({key: event[key] for key in told})
        if kind in ("sweep", "resume"):
            self._begin(event)
        elif kind == "ensemble":
            self.tally.ensemble = event["score"], event["n_members"]
        elif kind in ("trial", "fold", "end"):
            self._change(event, when)

    def _begin(self, event: dict[str, Any]) -> None:
        self.facts = event
        self.began = event["started"] if self.began is None else self.began
        self.tally.mode = event["mode"]
        self.tally.trials, self.tally.folds = Rate(), Rate()  # a break says nothing about speed

    def _change(self, event: dict[str, Any], when: float) -> None:
        number, kind = event["number"], event["event"]
        known = self.tally.running.get(number) or self.tally.interrupted.get(number)
        going = known or Going(event.get("family", ""))
        state, score, n_folds = "running", going.score, going.n_folds
        if kind == "fold":
            score, n_folds = event["score"], event["fold"] + 1
        elif kind == "end":
            state, score, n_folds = event["state"], event["score"], event["n_folds"]
            if state == "failed" and self.first_failure is None:
                self.first_failure = {
                    "number": number,
                    "family": going.family,
                    "reason": event["reason"],
                }
        score = math.nan if score is None else score
        self.tally.change(number, going.family, state, score, n_folds, when)

    def row(self) -> dict[str, Any]:
        """State and progress, as JSON holds them."""
        best, result = self.tally.best(), self.result or {}
        counts = {state: self.tally.count(state) for state in STATES}
        score, members = self.tally.ensemble or (None, None)
        if result.get("model_id"):
            score, members = result["scores"]["oof"], len(result["members"])
        return {
            "run": self.run.name,
            "path": str(self.run.path),
            "state": self.state,
            "started": self.began,
            "elapsed_s": round(self.elapsed_s, 1),
            "time_budget_s": self.facts.get("time_budget_s"),
            "num_trials": self.facts.get("num_trials"),
            "share": round(self.share, 4),
            "trials": counts,
            "families": self.facts.get("families", []),
            "metric": self.facts.get("metric"),
            "mode": self.facts.get("mode"),
            "best": None if best is None else vars(best),
            "ensemble": None if score is None else {"score": score, "n_members": members},
            "model_id": result.get("model_id"),
        }

    def detail(self) -> dict[str, Any]:
        """All that `row` says, and per family, the table, failures, the last events, and what to do next."""
        return self.row() | {
            "per_family": {family: self._family(family) for family in self.facts.get("families", [])},
            "n_folds_done": self.tally.n_folds,
            "config": self._config(),
            "driver": _read_json(self.run.driver) if self._driven else None,
            "n_failed": self.tally.count("failed"),
            "first_failure": self.first_failure,
            "error": (self.result or {}).get("error"),
            "findings": self.findings(),
            "doubts": (self.result or {}).get("doubts", []),
            "last_events": [_without_nan(event) for event in self.last_events],
            "next": self._next(),
        }

    def findings(self) -> list[dict[str, Any]]:
        """What was found in the training rows, as JSON holds it."""
        found = Examination.load(self.run.findings)
        return [] if found is None else found.to_json()["findings"]

    def _family(self, family: str) -> dict[str, Any]:
        best = self.tally.best(family)
        counts = self.tally.counts.get(family, Counter())
        return {state: counts[state] for state in STATES} | {"best": None if best is None else vars(best)}

    def _config(self) -> dict[str, Any]:
        config = self.run.config().model_dump(mode="json")  # masks the passwords of sources
        keys = ("rows", "features", "n_folds", "problem_type", "slots")
        return {
            "name": config["name"],
            "source": config["data"]["source"],
            "target": config["data"]["target"],
            **{key: self.facts.get(key) for key in keys},
            "seed": config["seed"],
        }

    def _next(self) -> list[str]:
        path, state = _shown_path(self.run.path), self.state
        complete = self.tally.count("completed")
        result = self.result or {}
        name = result.get("model_id", "")
        if "production" in result.get("aliases", ("production",)):
            name = name.partition(":")[0]
        commands = {
            "running": [f"tabularay jobs show {path} --follow", f"tabularay jobs cancel {path}"],
            "finished": [f"tabularay report {path}", f"tabularay predict {name} --input FILE"],
            "failed": [f"tabularay report {path}"],
            "interrupted": [f"tabularay tune --resume {path}"],
            "lost": [f"tabularay tune --resume {path}"],
        }[state]
        build = state in ("interrupted", "lost", "failed") and complete
        return commands + ([f"tabularay ensemble {path}"] if build else [])


def follow_run(watch: RunWatch, console: Console) -> None:
    """Show a run's progress, as the sweep itself does, until it ends or Ctrl-C."""
    while watch.state == "running" and not watch.facts:  # the table is still being read
        time.sleep(FOLLOW_EVERY_S)
        watch.refresh()
    if watch.state != "running":
        return
    facts = watch.facts
    metric = get_metric(facts["metric"], facts["problem_type"])
    budget = Budget(facts["started"], facts["time_budget_s"])
    try:
        with Display(
            console, metric, tuple(facts["families"]), budget, facts["num_trials"], watch.tally
        ) as display:
            while watch.state == "running":
                display.tick(time.time())
                time.sleep(FOLLOW_EVERY_S)
                watch.refresh()
    except KeyboardInterrupt:
        console.print("The run goes on.")


def find_runs(folder: Path) -> list[Run]:
    """The runs of a folder, newest last."""
    return [Run(p.parent) for p in sorted(folder.glob("*/config.yaml"), key=lambda p: p.stat().st_mtime)]


def _shown_path(path: Path) -> str:
    """As short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _without_nan(event: dict[str, Any]) -> dict[str, Any]:
    """JSON for programs has no NaN."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in event.items()}


def _read_result(path: Path) -> dict[str, Any] | None:
    values = _read_json(path)
    return None if values is None else {k: v for k, v in values.items() if k != "leaderboard"}


def _read_json(path: Path) -> dict[str, Any] | None:
    """A small file's content; None while it is not there or only half written."""
    try:
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return values if isinstance(values, dict) else None
