"""One sweep from its plan to its finished trials: Ray starts while the search's libraries are imported."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

from rich.console import Console

from data.examination import Examination, examine, time_allowed
from models.trials import StoredTrial
from tuning.budget import Budget
from tuning.plan import Plan
from tuning.quick import fit_quick
from tuning.runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuning.search import Sweep

# With less time for the search, the quick trial is all of it: Ray would only take its CPUs.
RAY_NEEDS_S = 6.0

# Ray reads them as it is imported, which the functions below do.
for _name, _value in (
    ("RAY_USAGE_STATS_ENABLED", "0"),
    ("RAY_AIR_NEW_OUTPUT", "0"),
    ("RAY_CHDIR_TO_TRIAL_DIR", "0"),
    ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1"),
    ("TUNE_PRINT_ALL_TRIAL_ERRORS", "0"),
    ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"),
):
    os.environ.setdefault(_name, _value)


def run_sweep(
    run: Run,
    plan: Plan,
    budget: Budget,
    console: Console,
    trials: list[StoredTrial] | None,
    on_found: Callable[[Examination], None],
) -> Sweep:
    """Run the trials of a plan; while Ray starts, its rows are examined, and under a time budget a first model fitted.

    Args:
        run: Its run directory.
        plan: From plan_sweep or plan_resumed.
        budget: The time of the whole job.
        console: Where progress is shown.
        trials: Trials that earlier sessions of the run left; None: this is the first.
        on_found: Called with what was found in the training rows, before the first trial.

    Returns: the sweep, its run directory complete but for the ensemble.
    """
    # It silences a warning when it is first imported, which a thread that restores filters beside it would undo.
    import requests  # noqa: F401, PLC0415 - brought by Ray

    with ThreadPoolExecutor(3) as beside:
        run_search = beside.submit(_import_search)
        examined = beside.submit(_examine, run, plan)
        quick = beside.submit(fit_quick, run, plan, budget) if trials is None else None
        if trials is None or not run.dataset.exists():
            plan.dataset.save(run.dataset)
        from tuning.cluster import connected  # noqa: PLC0415 - brings Ray

        alone = quick is not None and budget.is_short and budget.left_s() < RAY_NEEDS_S
        with nullcontext() if alone else connected(plan.config.cluster):
            search, examination = run_search.result(), examined.result()
            if examination is not None:
                on_found(examination)
            first = None if quick is None else quick.result()
            return search(run, plan, budget, console, trials, first, alone)


def _examine(run: Run, plan: Plan) -> Examination | None:
    """Look at the training rows, or read what an earlier session found; None where that is not known."""
    if plan.sample is None:
        return Examination.load(run.findings)
    config = plan.config
    found = examine(plan.sample, config.data, time_allowed(config.search.time_budget_s))
    found.save(run.findings)
    return found


def _import_search() -> Callable[..., Sweep]:
    """Seconds of work, while Ray's start is seconds of waiting for its processes."""
    from tuning.search import run_search  # noqa: PLC0415

    return run_search
