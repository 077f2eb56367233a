"""A whole job: the sweep, its ensemble, the registered model, the written result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from configs.load import override_config
from configs.schema import JobConfig
from configs.sources import mask_secrets
from data.dataset import TabularDataset
from data.examination import Examination
from data.metrics import Metric, get_metric
from ensembles.registry import Registry, check_registry
from errors import ConfigError, TabularayError, TrainingError
from models.base import FitContext
from models.trials import StoredTrial, read_trials
from tuning.budget import Budget
from tuning.plan import Plan, plan_resumed, plan_sweep
from tuning.runs import Run, create_run
from tuning.sweep import run_sweep

if TYPE_CHECKING:
    from tuning.recorder import Totals

# The comparison with an untuned LightGBM may use this much of the overshoot that a budget allows.
BASELINE_GRACE_S = 4.0
TRACKING_GRACE_S = 2.0
# What may change when a run goes on: not the table, the folds, the metric or the seed.
RESUME_CHANGES = ("search", "tracking", "ensemble", "cluster", "registry", "alias", "promote")


def run_job(
    config: JobConfig,
    started: float,
    console: Console,
    on_plan: Callable[[Plan], None],
    on_found: Callable[[Examination], None] = lambda _: None,
) -> dict[str, Any]:
    """Run a job to its end.

    Args:
        config: The job.
        started: time.time() when the command began; the time budget counts from here.
        console: Where progress is shown.
        on_plan: Called once configuration and data are known to be good, before any work.
        on_found: Called with what was found in the training rows, before the first trial.

    Returns: what result.json holds; an interrupted job has no model, which can be built from its run later.
    Raises: ConfigError, DataError: before any work. TrainingError: too many trials failed, or none finished.
    """
    plan = plan_sweep(config)
    check_registry(config.registry)
    on_plan(plan)
    run = create_run(plan.config)
    with run.driven():
        return _finish_job(run, plan, started, console, None, on_found)


def resume_job(
    run: Run,
    overrides: Sequence[str],
    started: float,
    console: Console,
    on_plan: Callable[[Plan], None],
    on_found: Callable[[Examination], None] = lambda _: None,
) -> dict[str, Any]:
    """Go on with a run that was killed or interrupted, or that is given more to do.

    Args:
        run: The run.
        overrides: Changes of its configuration, see RESUME_CHANGES.
        started: time.time() when the command began.
        console: Where progress is shown.
        on_plan: As for run_job.
        on_found: As for run_job.

    Returns: as run_job.
    Raises: as run_job; ConfigError also where the run is going on, or finished and given nothing more to do.
    """
    config = override_config(run.config(), overrides, RESUME_CHANGES)
    with run.driven():
        if run.is_finished() and config == run.config():
            raise ConfigError(
                f"{run.path}: the run is finished; to search on, give it more: search.num_trials=N or "
                "search.time_budget_s=S; for another ensemble: tabularay ensemble"
            )
        # A run that ended before its table was stored begins anew, under its name.
        plan = plan_resumed(run, config) if run.dataset.exists() else plan_sweep(config)
        check_registry(config.registry)
        on_plan(plan)
        run.mend_events()
        used = run.used_s()
        run.begin_again(plan.config)
        trials = read_trials(run.trials) if run.has_begun() else None
        return _finish_job(run, plan, started - used, console, trials, on_found)


def _finish_job(
    run: Run,
    plan: Plan,
    started: float,
    console: Console,
    trials: list[StoredTrial] | None,
    on_found: Callable[[Examination], None],
) -> dict[str, Any]:
    """The sweep, and what follows it."""
    config = plan.config
    has_test = plan.dataset.y_test is not None
    budget = Budget(started, config.search.time_budget_s, has_test, config.ensemble.refit)
    try:
        sweep = run_sweep(run, plan, budget, console, trials, on_found)
    except TabularayError as error:  # so that it is known to have failed, not to be lost
        run.write_result({"run": str(run.path), "error": str(error)})
        raise
    searched = budget.elapsed_s()
    result: dict[str, Any] = {"run": str(run.path), "interrupted": sweep.interrupted, **_count(sweep.totals)}
    result["examined"] = _examined(run)
    try:
        _check_failures(sweep.totals, run, config)
        if not sweep.interrupted:
            result |= build_model(run, config, budget)
    except TrainingError as error:
        run.write_result(result | {"error": str(error)})
        run.log("close")
        sweep.tracking.finish(_left(budget))
        raise
    run.log("close")
    warning = sweep.tracking.finish(_left(budget))
    total = budget.elapsed_s()
    seconds = {
        "before_search": sweep.search_began_s,
        "search": searched - sweep.search_began_s,
        "ensemble": total - searched,
        "total": total,
    }
    result |= {"tracking": warning or "complete", "seconds": {k: round(v, 1) for k, v in seconds.items()}}
    run.write_result(result)
    return result


def build_model(run: Run, config: JobConfig, budget: Budget | None = None) -> dict[str, Any]:
    """Build the ensemble of a run's finished trials, register it, draw the figures.

    Args:
        run: A run with finished trials.
        config: Its configuration.
        budget: The job's time, if it has any left to keep to.

    Returns: the model's part of result.json.
    Raises: TrainingError: no trial finished every fold.
    """
    # Both bring libraries of seconds, which a search should not wait for.
    from ensembles.admission import admit  # noqa: PLC0415
    from ensembles.build import build_ensemble, count_test_look, summary  # noqa: PLC0415
    from ensembles.bundle import read_manifest  # noqa: PLC0415
    from ensembles.choice import trial_scores  # noqa: PLC0415
    from ensembles.promotion import promote_if_better  # noqa: PLC0415
    from tuning.report import leaderboard, write_figures  # noqa: PLC0415

    metric = _metric(config, run)
    context = FitContext(n_threads=len(os.sched_getaffinity(0)), deadline=_deadline(budget))
    facts = {"name": config.name, "run": run.name, "seed": config.seed, "created": time.time()}
    examined = _examined(run)
    facts |= {} if examined is None else {"examined": examined}
    ensemble = build_ensemble(run.path, config.ensemble, metric.name, facts, context)
    looks = count_test_look(run.path) if ensemble.test else 0
    weights = {m.trial.name: m.weight for m in ensemble.members}
    registry = Registry(config.registry)
    admission = admit(read_manifest(run.bundle), config.alias, config.promote)
    why = "; ".join(admission.doubts)
    version = registry.register(str(config.name), run.bundle, admission.alias, why)
    promotion = promote_if_better(registry, version) if config.promote else None
    aliases = registry.resolve(version.model_id).aliases
    trials = read_trials(run.trials)
    dataset = TabularDataset.load(run.path / "dataset")
    rows = leaderboard(trials, metric, weights, trial_scores(trials, dataset, metric.name))
    write_figures(run.figures, trials, metric, weights)
    scores = summary(ensemble)
    run.log(
        "summary",
        config=config.model_dump(mode="json"),
        leaderboard=rows,
        scores=_flat({k: v for k, v in scores.items() if k != "intervals"}),
        findings=[] if examined is None else examined["findings"],
        doubts=list(admission.doubts),
    )
    return {
        "model_id": version.model_id,
        "registry": mask_secrets(config.registry),
        "aliases": list(aliases),
        "doubts": list(admission.doubts),
        "examined": examined,
        "promotion": None if promotion is None else vars(promotion),
        "bundle": version.location,
        "problem_type": config.problem_type,
        "metric": metric.name,
        "scores": scores,
        "test_looks": looks,
        "members": [
            {"trial": m.trial.name, "family": m.trial.family, "weight": m.weight} for m in ensemble.members
        ],
        "leaderboard": rows,
    }


def _examined(run: Run) -> dict[str, Any] | None:
    """What was found in the run's training rows, as JSON holds it; None where that is not known."""
    examination = Examination.load(run.findings)
    return None if examination is None else examination.to_json()


def _left(budget: Budget) -> float | None:
    """Seconds that the end of tracking may take: what is left of the budget, and a little of what it may overrun."""
    return None if budget.total_s is None else max(TRACKING_GRACE_S, budget.total_s - budget.elapsed_s())


def _deadline(budget: Budget | None) -> float | None:
    """time.monotonic() at which work that can be left out ends."""
    if budget is None or budget.total_s is None:
        return None
    return time.monotonic() + budget.total_s - budget.elapsed_s() + BASELINE_GRACE_S


def _metric(config: JobConfig, run: Run) -> Metric:
    if config.metric is None or config.problem_type is None:
        raise ConfigError(f"{run.path / 'config.yaml'}: no metric or problem type; the run never started")
    return get_metric(config.metric, config.problem_type)


def _count(totals: Totals) -> dict[str, Any]:
    """Trials by state, and the seconds of a trial that were not fitting."""
    whole = totals.states["completed"]
    return {
        "n_trials": totals.n_trials,
        "n_completed": whole,
        "n_stopped": totals.states["stopped"],
        "n_failed": totals.states["failed"],
        "n_interrupted": totals.states["interrupted"],
        "n_retries": totals.retries,
        "n_workers": len(totals.workers),
        "overhead_s_per_trial": totals.overhead_s / whole if whole else None,
        "failures": totals.failures,
    }


def _check_failures(totals: Totals, run: Run, config: JobConfig) -> None:
    failed = totals.states["failed"]
    if totals.failures and failed > config.search.max_failure_share * totals.n_trials:
        raise TrainingError(
            f"{failed} of {totals.n_trials} trials failed, more than "
            f"search.max_failure_share={config.search.max_failure_share:g} allows; first error: "
            f"{totals.failures[0]}; full text in {run.trials}"
        )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
