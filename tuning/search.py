"""What a running sweep is made of: searcher, scheduler, recorder, display, and the trials themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna
from ray import tune
from rich.console import Console

from data.metrics import loss
from ensembles.running import sample_rows
from models.base import Task
from models.trials import StoredTrial
from tuning.budget import Budget
from tuning.controller import run_trials
from tuning.disk import DiskBudget
from tuning.display import Display
from tuning.folds import SweepData
from tuning.plan import Plan
from tuning.preflight import check_nodes
from tuning.quick import Quick, log_quick, trial_s
from tuning.recorder import Recorder, Totals
from tuning.resources import family_resources, request, slots
from tuning.runs import Run
from tuning.scheduler import make_scheduler
from tuning.searcher import FamilySearcher, SearchSetup
from tuning.spaces import family_spaces
from tuning.standing import SweepStanding
from tuning.stopping import SweepEnd
from tuning.tracking import TrackingProcess
from tuning.trainable import FoldTrainable
from tuning.warmstart import warm_points


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Attributes:
        totals: Its trials of this session, counted.
        interrupted: Whether a signal ended it.
        tracking: Its tracking process, still to be finished.
        search_began_s: Seconds of the job's time when the first trial could start.
    """

    totals: Totals
    interrupted: bool
    tracking: TrackingProcess
    search_began_s: float


def run_search(
    run: Run,
    plan: Plan,
    budget: Budget,
    console: Console,
    trials: list[StoredTrial] | None,
    quick: Quick | None = None,
    alone: bool = False,
) -> Sweep:
    """Run the trials of a plan on the Ray that is connected; see sweep.run_sweep.

    Args:
        run: Its run directory.
        plan: What is searched.
        budget: The time of the job.
        console: Where progress is shown.
        trials: What earlier sessions left; None: this is the first.
        quick: A trial that was fitted already.
        alone: Whether there is time for no other, and Ray has not been started.
    """
    config = plan.config
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tracking = TrackingProcess(run, config.tracking)
    stopper = SweepEnd(budget, run)
    # Ray takes over SIGTERM as it starts, so the sweep listens after that.
    with stopper.listening(console):
        n_slots = 1 if alone else slots(config)
        if not alone:
            check_nodes(run, config.cluster)
        run.log("sweep" if trials is None else "resume", **_facts(run, plan, budget, n_slots))
        if quick is not None:
            log_quick(run, quick)
        tracking.start()
        search = _Search(run, plan, budget, n_slots)
        display = Display(console, plan.metric, config.families, budget, config.search.num_trials)
        recorder = search.recorder(display, stopper)
        began = budget.elapsed_s()
        with display:
            try:
                known = (trials or []) if quick is None else [quick.trial]
                search.restore(known, recorder.totals, display)
                if not alone:
                    search.run(recorder, stopper)
            except BaseException as error:
                recorder.close(str(error), resumable=True)
                run.log("close")
                raise
            recorder.close(stopper.reason or "the sweep ended", resumable=stopper.interrupted)
        search.searcher.finish()
    return Sweep(recorder.totals, stopper.interrupted, tracking, began)


class _Search:
    """The parts of a sweep, wired."""

    def __init__(self, run: Run, plan: Plan, budget: Budget, n_slots: int) -> None:
        config, dataset = plan.config, plan.dataset
        spaces = family_spaces(config, dataset.problem_type)
        self.run_directory, self.plan, self.budget, self.slots = run, plan, budget, n_slots
        setup = SearchSetup(
            spaces=warm_points(config, dataset, plan.metric, spaces),
            metric=plan.metric,
            journal=run.journal,
            run=run.name,
            n_folds=dataset.n_folds,
            seed=config.seed,
            num_trials=config.search.num_trials,
            slots=n_slots,
            sampler=config.search.sampler,
            choice=config.search.choice,
            resources=family_resources(config),
            least_trial_s=trial_s(plan),
        )
        folds = np.asarray(dataset.folds)
        self.standing = SweepStanding(
            np.asarray(dataset.y),
            folds,
            sample_rows(folds, config.seed),
            partial(loss, plan.metric.name),
            run.trial_path,
            lagged=budget.total_s is None and config.search.scheduler == "ensemble",
            on_gain=self._log_gain,
        )
        self.on_gain = lambda: None
        self.searcher = FamilySearcher(setup, budget, self.standing)
        self.disk = DiskBudget(config.search.disk_budget_gb * 1e9, plan.metric.mode, self.searcher.gain)
        self.scheduler = make_scheduler(config.search, self.searcher, plan.metric.mode, dataset.n_folds)

    def _log_gain(self, number: int) -> None:
        score, n_members = self._score()
        self.run_directory.log("ensemble", number=number, score=score, n_members=n_members)
        self.on_gain()

    def _score(self) -> tuple[float, int]:
        ensemble = self.standing.ensemble
        return self.plan.metric.from_loss(ensemble.loss), ensemble.n_members

    def recorder(self, display: Display, stopper: SweepEnd) -> Recorder:
        """What records the trials."""
        self.on_gain = lambda: display.ensemble(*self._score())
        n_folds, reasons = self.plan.dataset.n_folds, self.scheduler.reasons
        return Recorder(self.run_directory, n_folds, display.update, reasons, stopper, self.disk)

    def restore(self, trials: list[StoredTrial], totals: Totals, display: Display) -> None:
        """Take in what earlier sessions left."""
        self.searcher.restore_trials(trials)
        for trial in trials:
            display.restore(trial)
            if trial.state not in {"running", "interrupted"}:
                totals.states[trial.state] += 1
                self.disk.end(trial.number, trial.path, trial.score, keep=trial.state == "completed")

    def run(self, recorder: Recorder, stopper: SweepEnd) -> None:
        """Run the trials."""
        run, dataset = self.run_directory, self.plan.dataset
        data = SweepData(
            X=np.asarray(dataset.X),
            y=np.asarray(dataset.y),
            folds=np.asarray(dataset.folds),
            n_folds=dataset.n_folds,
            split=dataset.split,
            task=Task.of(dataset),
            metric=self.plan.metric.name,
            trials=run.trials,
            search_end=self.budget.search_end,
        )
        run_trials(
            trainable=tune.with_resources(tune.with_parameters(FoldTrainable, data=data), request),
            searcher=self.searcher,
            scheduler=self.scheduler,
            callback=recorder,
            stopper=stopper,
            slots=self.slots,
            logs=run.logs,
        )


def _facts(run: Run, plan: Plan, budget: Budget, n_slots: int) -> dict[str, Any]:
    config, dataset = plan.config, plan.dataset
    return {
        "run": run.name,
        "started": budget.start,
        "rows": dataset.n_rows,
        "features": dataset.n_features,
        "n_folds": dataset.n_folds,
        "problem_type": dataset.problem_type,
        "metric": plan.metric.name,
        "mode": plan.metric.mode,
        "families": list(config.families),
        "slots": n_slots,
        "num_trials": config.search.num_trials,
        "time_budget_s": config.search.time_budget_s,
    }
