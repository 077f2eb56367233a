"""Turns what Ray Tune reports into the run's events, trial files and live state."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from models.trials import trial_name, write_trial
from tuning.disk import DiskBudget
from tuning.runs import Run
from tuning.stopping import SweepEnd

SHOWN_FAILURES = 20


@dataclass
class TrialProgress:
    """What is known of a trial while the sweep runs.

    Attributes:
        number, family: Which trial.
        state: running, completed, stopped, failed or interrupted.
        score: Mean over its finished folds.
        n_folds: Finished folds.
        worker: Process id of its worker.
        fit_s: Seconds of fitting.
        spent_s: Seconds its workers have spent on it.
        wall_s: Seconds from its start to its end, as the driver sees them.
        reason: Why it ended.
        began: time.time() of its start in this session.
    """

    number: int
    family: str
    state: str = "running"
    score: float = float("nan")
    n_folds: int = 0
    worker: int = 0
    fit_s: float = 0.0
    spent_s: float = 0.0
    wall_s: float = 0.0
    reason: str = ""
    began: float = field(default_factory=time.time)


@dataclass
class Totals:
    """Trials of a sweep by state, and what a result tells of them.

    Attributes:
        states: State -> trials that ended so.
        overhead_s: Seconds of the completed trials that were not fitting.
        workers: Node and process id of every worker.
        failures: The first failures, one line each.
        retries: How often a trial was begun again after its worker died.
    """

    states: Counter[str] = field(default_factory=Counter)
    overhead_s: float = 0.0
    workers: set[tuple[str, int]] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    retries: int = 0

    def end(self, trial: TrialProgress) -> None:
        """Count an ended trial."""
        self.states[trial.state] += 1
        if trial.state == "completed":
            self.overhead_s += trial.wall_s - trial.fit_s
        if trial.state == "failed" and len(self.failures) < SHOWN_FAILURES:
            self.failures.append(f"trial {trial.number} ({trial.family}): {trial.reason}")

    @property
    def n_trials(self) -> int:
        """Trials that ended."""
        return sum(self.states.values())


class Recorder(Callback):
    """Records every start, fold and end of a trial.

    Args:
        run: Where to record.
        n_folds: Folds of a complete trial.
        on_change: Called with the trial that changed.
        race_reasons: Trial number -> why the fold race stopped it; taken out when a trial ends.
        sweep_end: Knows why the sweep ends early.
        disk: Told of every ended trial.
    """

    def __init__(
        self,
        run: Run,
        n_folds: int,
        on_change: Callable[[TrialProgress], None],
        race_reasons: dict[int, str],
        sweep_end: SweepEnd,
        disk: DiskBudget,
    ) -> None:
        self.run = run
        self.n_folds = n_folds
        self.on_change = on_change
        self.race_reasons = race_reasons
        self.sweep_end = sweep_end
        self.disk = disk
        self.running: dict[int, TrialProgress] = {}
        self.totals = Totals()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has a worker, its first or one that takes over from one that died."""
        if trial.config["number"] not in self.running:
            self._begin(trial.config)

    def _begin(self, config: Mapping[str, Any]) -> TrialProgress:
        state = self.running[config["number"]] = TrialProgress(config["number"], config["family"])
        facts = {key: config[key] for key in ("number", "family", "params", "seed", "origin", "why")}
        write_trial(self._folder(state), facts | {"state": "running", "reason": ""})
        self.run.log("trial", **facts)
        self.on_change(state)
        return state

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Folds are finished; more than one where an earlier worker died before it could say so."""
        state = self.running[trial.config["number"]]
        state.reason, state.spent_s = result["error"], result["spent_s"]
        self.totals.workers.add((result["node"], result["worker"]))
        for done in result["folds"][state.n_folds :]:
            state.n_folds += 1
            state.score, state.worker = result["scores"][state.n_folds - 1], result["worker"]
            state.fit_s += done["fit_s"]
            where = {"began": result["began"], "worker": result["worker"], "node": result["node"]}
            self.run.log("fold", number=state.number, **done, score=state.score, **where)
            self.on_change(state)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ended on its worker."""
        state = self.running[trial.config["number"]]
        race = self.race_reasons.pop(state.number, "")
        if state.reason:
            self._fail(state, state.reason)
        elif state.n_folds == self.n_folds:
            self._end(state, "completed", "all folds finished")
        else:
            self._end(state, "stopped", race or self.sweep_end.reason or "no time left")

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A worker died; its trial goes on with the next fold, on another worker."""
        self.totals.retries += 1
        self.run.log("retry", number=trial.config["number"], reason="the worker died")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's workers died again and again."""
        state = self.running.get(trial.config["number"]) or self._begin(trial.config)
        path = trial.error_file
        text = Path(path).read_text("utf-8", errors="replace") if path else ""
        self._fail(state, f"{text}\nits workers died {trial.num_failures} times")

    def close(self, reason: str, *, resumable: bool) -> None:
        """End the trials that were still running when the sweep was ended.

        Args:
            reason: Why it was.
            resumable: Whether a resumed sweep goes on with them.
        """
        for state in list(self.running.values()):
            self._end(state, "interrupted" if resumable else "stopped", reason)

    def _folder(self, state: TrialProgress) -> Path:
        return self.run.trials / trial_name(state.number, state.family)

    def _fail(self, state: TrialProgress, text: str) -> None:
        (self._folder(state) / "error.txt").write_text(text, "utf-8")
        self._end(state, "failed", _last_line(text))

    def _end(self, state: TrialProgress, how: str, reason: str) -> None:
        state.state, state.reason = how, reason
        state.wall_s = time.time() - state.began
        write_trial(self._folder(state), {"state": how, "reason": reason})
        del self.running[state.number]
        self.totals.end(state)
        self.run.log(
            "end",
            number=state.number,
            state=how,
            reason=reason,
            score=state.score,
            n_folds=state.n_folds,
            fit_s=state.fit_s,
            wall_s=state.wall_s,
        )
        if how != "interrupted":
            self.disk.end(state.number, self._folder(state), state.score, keep=how == "completed")
        self.on_change(state)


def _last_line(text: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "unknown error"
