"""One sweep from its configuration to its finished trials."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", str(10**9))
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import numpy as np
import optuna
from ray import tune
from rich.console import Console

from configs.schema import JobConfig, SearchConfig
from data.dataset import TabularDataset, load_dataset
from data.metrics import Metric, default_metric, get_metric
from ensembles.build import task_of
from tuning.budget import Budget
from tuning.cluster import connected, slots
from tuning.display import Display
from tuning.recorder import Recorder, TrialProgress
from tuning.runs import Run, create_run
from tuning.scheduler import FoldRace
from tuning.searcher import FamilySearcher, SearchSetup
from tuning.spaces import FamilySpace, check_families, family_spaces
from tuning.stopping import SweepEnd
from tuning.tracking import TrackingProcess
from tuning.trainable import FoldTrainable, SweepData


@dataclass(frozen=True)
class Plan:
    """A job whose configuration, data and spaces have been checked; nothing has started.

    Attributes:
        config: With problem type and metric filled in.
        dataset: The table.
        metric: What is optimised.
        spaces: What is searched of each family.
    """

    config: JobConfig
    dataset: TabularDataset
    metric: Metric
    spaces: dict[str, FamilySpace]


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Attributes:
        run: Its run directory.
        trials: Its trials.
        interrupted: Whether Ctrl-C ended it.
        tracking: Its tracking process, still to be finished.
        search_began: time.time() when the first trial could start.
    """

    run: Run
    trials: tuple[TrialProgress, ...]
    interrupted: bool
    tracking: TrackingProcess
    search_began: float


def plan_sweep(config: JobConfig) -> Plan:
    """Check everything that can be checked before any work starts.

    Raises: ConfigError, DataError: what is wrong, and where.
    """
    check_families(config)
    if config.params:
        family_spaces(config, config.problem_type or "binary")
    dataset = load_dataset(config.data, config.problem_type, config.seed)
    metric = get_metric(config.metric or default_metric(dataset.problem_type), dataset.problem_type)
    resolved = config.model_copy(update={"metric": metric.name, "problem_type": dataset.problem_type})
    return Plan(resolved, dataset, metric, family_spaces(resolved, dataset.problem_type))


def run_sweep(plan: Plan, budget: Budget, console: Console) -> Sweep:
    """Run the trials of a plan.

    Args:
        plan: From plan_sweep.
        budget: The time of the whole command.
        console: Where progress is shown.

    Returns: the sweep, its run directory complete but for the ensemble.
    """
    config, dataset = plan.config, plan.dataset
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with connected(config.cluster):
        n_slots = slots(config.search)
        run = create_run(config)
        dataset.save(run.dataset)
        tracking = TrackingProcess(run, config.tracking)
        run.log("sweep", **_facts(plan, run, budget, n_slots))
        tracking.start()
        setup = SearchSetup(
            spaces=plan.spaces,
            metric=plan.metric,
            storage=run.storage_url,
            study_prefix=run.name,
            n_folds=dataset.n_folds,
            seed=config.seed,
            num_trials=config.search.num_trials,
            slots=n_slots,
        )
        searcher = FamilySearcher(setup, budget)
        race = FoldRace(searcher, plan.metric.mode, dataset.n_folds, config.search.reduction_factor)
        display = Display(console, plan.metric, config.families, budget, config.search.num_trials)
        stopper = SweepEnd(budget)
        recorder = Recorder(run, dataset.n_folds, display.update, race.reasons, stopper)
        options = {
            "search_alg": searcher,
            "scheduler": race,
            "callbacks": [recorder],
            "stop": stopper,
            "max_concurrent_trials": n_slots if config.search.max_concurrent else None,
        }
        began = time.time()
        try:
            with display, stopper.listening(console):
                _tune(_sweep_data(plan, run, budget), config.search, run, options)
        except BaseException:
            run.log("close")
            raise
        finally:
            recorder.close(stopper.reason or "the sweep ended")
            searcher.finish()
    return Sweep(run, tuple(recorder.trials.values()), stopper.interrupted, tracking, began)


def _facts(plan: Plan, run: Run, budget: Budget, n_slots: int) -> dict[str, Any]:
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


def _sweep_data(plan: Plan, run: Run, budget: Budget) -> SweepData:
    dataset, search = plan.dataset, plan.config.search
    return SweepData(
        X=np.asarray(dataset.X),
        y=np.asarray(dataset.y),
        folds=np.asarray(dataset.folds),
        n_folds=dataset.n_folds,
        split=dataset.split,
        task=task_of(dataset),
        metric=plan.metric.name,
        trials=run.trials,
        search_end=budget.search_end,
        n_threads=search.cpus_per_trial,
        gpus=search.gpus_per_trial,
    )


def _tune(data: SweepData, search: SearchConfig, run: Run, options: dict[str, Any]) -> None:
    """Run Ray Tune; `tune.run`, as a `Tuner` pickles all its parts for a restore that we do not use."""
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    resources = {"cpu": search.cpus_per_trial, "gpu": search.gpus_per_trial}
    tune.run(
        tune.with_resources(tune.with_parameters(FoldTrainable, data=data), resources),
        name="ray",
        storage_path=str(run.logs),
        num_samples=-1,
        reuse_actors=True,
        max_failures=0,
        raise_on_failed_trial=False,
        verbose=0,
        **options,
    )
