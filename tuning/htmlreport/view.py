"""Everything a report shows of a run, read from its directory; nothing is written or locked."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from configs.schema import JobConfig
from configs.sources import mask_secrets
from data.examination import Examination
from data.metrics import Metric, get_metric
from ensembles.bundle import read_manifest
from errors import BundleError, ConfigError, DataLoadError
from models.trials import StoredTrial, read_trial
from tuning.htmlreport.history import History, read_history
from tuning.report import FAMILY_COLOURS
from tuning.runs import Run

TERMINAL_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon")


@dataclass(frozen=True)
class RunView:
    """A run as it is now.

    Attributes:
        run: The run directory.
        config: Its configuration.
        metric: What is optimised.
        trials: Its readable trials, by number.
        history: Its events.
        result: result.json of the newest session; empty when there is none.
        manifest: The ensemble's manifest; empty when there is none.
        examination: What was found in the training rows; None where that is not known.
        status: running, finished, interrupted, failed or cut off.
        notes: What could not be read.
    """

    run: Run
    config: JobConfig
    metric: Metric
    trials: tuple[StoredTrial, ...]
    history: History
    result: dict[str, Any]
    manifest: dict[str, Any]
    examination: Examination | None
    status: str
    notes: tuple[str, ...]

    @property
    def families(self) -> tuple[str, ...]:
        """The job's families, and those that only trials have."""
        return tuple(dict.fromkeys((*self.config.families, *(t.family for t in self.trials))))

    @property
    def colours(self) -> dict[str, str]:
        """Family -> its colour, the same as in the figures."""
        return {f: FAMILY_COLOURS[i % len(FAMILY_COLOURS)] for i, f in enumerate(self.families)}

    @property
    def markers(self) -> dict[str, str]:
        """Family -> its marker, so that colour is not the only difference."""
        return {f: MARKERS[i % len(MARKERS)] for i, f in enumerate(self.families)}

    @property
    def weights(self) -> dict[str, float]:
        """Trial name -> weight in the ensemble."""
        return {m["trial"]: m["weight"] for m in self.manifest.get("members", ())}

    @property
    def scores(self) -> dict[str, float]:
        """Trial name -> its score over all rows, as the result has it; empty while there is none."""
        name = self.metric.name
        rows = [row for row in self.result.get("leaderboard", ()) if row.get(name) is not None]
        return {row["trial"]: row[name] for row in rows}

    @property
    def counts(self) -> Counter[str]:
        """Trials by state; one that nobody runs any more counts as unfinished."""
        return Counter(self.state_of(t) for t in self.trials)

    def state_of(self, trial: StoredTrial) -> str:
        """A trial's state; `running` only while somebody runs it."""
        return "unfinished" if trial.state == "running" and self.status != "running" else trial.state

    def best(self) -> StoredTrial | None:
        """The complete trial with the best score."""
        sign = 1 if self.metric.mode == "max" else -1
        scored = [t for t in self.trials if t.state == "completed" and math.isfinite(t.score)]
        return max(scored, key=lambda t: sign * t.score, default=None)


def read_view(run: Run) -> RunView:
    """Read a run: finished, failed, interrupted, or still going.

    Raises: ConfigError: it has no trials, or no metric because it never started.
    """
    config = run.config()
    if config.metric is None or config.problem_type is None:
        raise ConfigError(f"{run.path / 'config.yaml'}: no metric or problem type; the run never started")
    notes: list[str] = []
    trials = _trials(run, notes)
    history = read_history(run.events)
    if history.n_damaged:
        notes.append(f"{history.n_damaged} damaged lines of events.jsonl are left out")
    result = _result(run, history, notes)
    return RunView(
        run=run,
        config=config,
        metric=get_metric(config.metric, config.problem_type),
        trials=trials,
        history=history,
        result=result,
        manifest=_manifest(run, notes),
        examination=_examination(run, notes),
        status=_status(run, result),
        notes=tuple(notes),
    )


def clean_lines(text: str) -> str:
    """Text of many lines without the secrets of URLs, each line for itself, and without a terminal's colours."""
    return "\n".join(mask_secrets(TERMINAL_COLOUR.sub("", line)) for line in text.splitlines())


def _trials(run: Run, notes: list[str]) -> tuple[StoredTrial, ...]:
    paths = sorted(run.trials.glob("*/trial.json"))
    if not paths:
        raise ConfigError(f"{run.path}: no trials yet, so there is nothing to report")
    trials = []
    for path in paths:
        try:
            trials.append(read_trial(path.parent))
        except BundleError as error:
            notes.append(f"left out: {error}")
    return tuple(sorted(trials, key=lambda t: t.number))


def _result(run: Run, history: History, notes: list[str]) -> dict[str, Any]:
    """What result.json says, unless the run was resumed since."""
    try:
        if run.result.stat().st_mtime < history.session_began:
            return {}
        return dict(json.loads(run.result.read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        notes.append(f"result.json cannot be read: {error}")
        return {}


def _manifest(run: Run, notes: list[str]) -> dict[str, Any]:
    if not (run.bundle / "manifest.json").is_file():
        return {}
    try:
        return read_manifest(run.bundle)
    except BundleError as error:
        notes.append(f"the ensemble cannot be read: {error}")
        return {}


def _examination(run: Run, notes: list[str]) -> Examination | None:
    try:
        return Examination.load(run.findings)
    except DataLoadError as error:
        notes.append(f"what was found in the training rows cannot be read: {error}")
        return None


def _status(run: Run, result: dict[str, Any]) -> str:
    if result.get("error"):
        return "failed"
    if result.get("interrupted"):
        return "interrupted"
    if result:
        return "finished"
    return "running" if run.is_driven() else "cut off"
