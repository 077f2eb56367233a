"""Turns what Ray Tune reports into the run's events, trial files and live state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from models.trials import trial_name, write_trial
from tuning.runs import Run
from tuning.stopping import SweepEnd


@dataclass
class TrialProgress:
    """What is known of a trial while the sweep runs.

    Attributes:
        number, family: Which trial.
        state: running, completed, stopped or failed.
        score: Mean over its finished folds.
        n_folds: Finished folds.
        worker: Process id of its worker.
        fit_s: Seconds of fitting.
        spent_s: Seconds from its start to its last result, on its worker.
        wall_s: Seconds from its start to its end, as the driver sees them.
        reason: Why it ended.
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


class Recorder(Callback):
    """Records every start, fold and end of a trial.

    Args:
        run: Where to record.
        n_folds: Folds of a complete trial.
        on_change: Called with all trials after each change.
        race_reasons: Trial number -> why the fold race stopped it; read when a trial ends.
        sweep_end: Knows why the sweep ends early; read likewise.
    """

    def __init__(
        self,
        run: Run,
        n_folds: int,
        on_change: Callable[[dict[int, TrialProgress]], None],
        race_reasons: Mapping[int, str],
        sweep_end: SweepEnd,
    ) -> None:
        self.run = run
        self.n_folds = n_folds
        self.on_change = on_change
        self.race_reasons = race_reasons
        self.sweep_end = sweep_end
        self.trials: dict[int, TrialProgress] = {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has a worker."""
        self._begin(trial.config)
        self.on_change(self.trials)

    def _begin(self, config: Mapping[str, Any]) -> None:
        self.trials[config["number"]] = TrialProgress(config["number"], config["family"])
        facts = {key: config[key] for key in ("number", "family", "params", "seed", "origin", "why")}
        write_trial(self._folder(config["number"]), facts | {"state": "running"})
        self.run.log("trial", **facts)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A fold is finished."""
        state = self.trials[trial.config["number"]]
        if result["n_folds"] == state.n_folds:
            return
        state.score, state.n_folds, state.worker = result["score"], result["n_folds"], result["worker"]
        state.fit_s += result["fit_s"]
        state.spent_s = result["spent_s"]
        self.run.log(
            "fold",
            number=state.number,
            fold=state.n_folds - 1,
            fold_score=result["fold_score"],
            score=state.score,
            fit_s=result["fit_s"],
            total_s=result["total_s"],
            began=result["began"],
            worker=result["worker"],
            node=result["node"],
            fit_end=result["fit_end"],
        )
        self.on_change(self.trials)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ended without an error."""
        state = self.trials[trial.config["number"]]
        if state.n_folds == self.n_folds:
            self._end(state, "completed", "all folds finished")
        else:
            reason = self.race_reasons.get(state.number) or self.sweep_end.reason or "no time left"
            self._end(state, "stopped", reason)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial failed; its traceback is kept beside its params."""
        number = trial.config["number"]
        if number not in self.trials:
            self._begin(trial.config)
        text = Path(trial.error_file).read_text("utf-8") if trial.error_file else "the worker died"
        self._end(self.trials[number], "failed", _last_line(text))
        (self._folder(number) / "error.txt").write_text(text, "utf-8")

    def close(self, reason: str) -> None:
        """End the trials that were still running when the sweep was stopped."""
        for state in self.trials.values():
            if state.state == "running":
                self._end(state, "stopped", reason)

    def _folder(self, number: int) -> Path:
        return self.run.trials / trial_name(number, self.trials[number].family)

    def _end(self, state: TrialProgress, how: str, reason: str) -> None:
        state.state, state.reason = how, reason
        state.wall_s = time.time() - state.began
        write_trial(self._folder(state.number), {"state": how, "reason": reason})
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
        self.on_change(self.trials)


def _last_line(text: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "unknown error"
