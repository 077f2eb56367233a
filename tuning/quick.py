"""The first model of a sweep that has a time budget: fitted while Ray starts, so that every budget ends with one."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.folds import training_rows
from data.metrics import score
from ensembles.objectives import sample_classes
from models.base import FitContext, Fold, Model, Task
from models.families import get_family
from models.trials import (
    FoldRecord,
    StoredTrial,
    read_trial,
    running_means,
    trial_name,
    write_fold,
    write_trial,
)
from tuning.budget import Budget
from tuning.cost import Size, fit_s, least_trial_s, quick_size
from tuning.plan import Plan
from tuning.runs import Run
from tuning.spaces import family_spaces

ORIGIN = "quick"  # as the searcher knows it
# Of the search's time, and the least of it in seconds. A network learns nothing in an epoch; and where no other trial
# may fit the time, most of it is this one's.
TREE_SHARE, NETWORK_SHARE, WHOLE_SHARE = 0.2, 0.4, 0.75
LEAST_S = 5.0
# Of the time left, what another trial may need at least.
MUCH = 0.4
# A fit that is late, as the machine is busy, is cut off after so many times its time.
LATE = 2.0
# Whatever the budget: a model of less is none.
SHORTEST_S, LEAST_FOLD_S, SHORT_S = 2.5, 0.5, 1.0
LEAST_LATE_ROWS = 5_000
# What follows it, and what fits beside Ray's start cost more than alone.
SLACK = 0.6
# Learned rates times rounds, and the rates that are sensible.
RATE_ROUNDS, RATES = 6.0, (0.03, 0.3)
# Trees for every class of so many are slower than a network.
MANY_CLASSES = 50
TREES = ("lightgbm", "xgboost")


@dataclass(frozen=True)
class Quick:
    """A quick trial and what its events say beside its files.

    Attributes:
        trial: The trial, ended.
        began: time.time() of its start.
    """

    trial: StoredTrial
    began: float


def fit_quick(run: Run, plan: Plan, budget: Budget) -> Quick | None:
    """Fit one model, the plainest of the families, in a share of the search's time; its trial is number 0.

    It is recorded as every trial is, and may be a member of the ensemble. None where there is no time budget: then
    every trial that is begun ends.

    Args:
        run: The run.
        plan: What is searched.
        budget: The time of the job.
    """
    if budget.total_s is None:
        return None
    family = _family(plan)
    get_family(family)  # importing its library is no fold's time
    began, left = time.time(), budget.left_s()
    seconds = max(_share(plan, family, left) * left, min(left - 0.5, LEAST_S), SHORTEST_S)
    end = time.monotonic() + max(min(LATE * seconds, left - 0.5), SHORTEST_S)
    path = run.trials / trial_name(0, family)
    facts = {"number": 0, "family": family, "seed": plan.config.seed, "origin": ORIGIN}
    n_threads = len(os.sched_getaffinity(0))
    params, size = _params(plan, family, seconds, n_threads)
    write_trial(path, {**facts, "params": params, "state": "running", "reason": ""})
    state, reason = _fit(plan, path, size, FitContext(n_threads, deadline=end, seed=plan.config.seed))
    write_trial(path, {"state": state, "reason": reason})
    return Quick(read_trial(path), began)


def log_quick(run: Run, quick: Quick) -> None:
    """Write its events, as the recorder does of other trials."""
    trial = quick.trial
    facts = {"params": trial.params, "seed": trial.seed, "origin": trial.origin}
    run.log("trial", number=trial.number, family=trial.family, **facts, why="one quick model first")
    means = running_means([record.score for record in trial.folds])
    here = {"began": quick.began, "worker": os.getpid(), "node": ""}
    for record, mean in zip(trial.folds, means, strict=True):
        done: dict[str, Any] = {"fold": record.fold, "fold_score": record.score, "fit_s": record.fit_s}
        done |= {"total_s": record.total_s, "fit_end": record.stop_reason}
        run.log("fold", number=trial.number, **done, score=mean, **here)
    ended = {"state": trial.state, "reason": trial.reason, "score": trial.score, "n_folds": len(trial.folds)}
    wall_s = sum(record.total_s for record in trial.folds)
    run.log("end", number=trial.number, **ended, fit_s=trial.fit_s, wall_s=wall_s)


def _family(plan: Plan) -> str:
    """Trees, unless there are many classes, or none among the families."""
    families, n_classes = plan.config.families, len(plan.dataset.target.classes)
    trees = [family for family in TREES if family in families]
    others = [family for family in families if family not in TREES]
    return (others if n_classes > MANY_CLASSES and others else trees or others)[0]


def _share(plan: Plan, family: str, left: float) -> float:
    """Of the time left, what the quick trial may take."""
    if family not in TREES:
        return NETWORK_SHARE
    return WHOLE_SHARE if trial_s(plan) > MUCH * left else TREE_SHARE


def trial_s(plan: Plan) -> float:
    """Seconds that a trial of the search takes at least."""
    dataset, n_threads = plan.dataset, plan.config.search.cpus_per_trial or 1
    n_fits = dataset.n_folds + (dataset.split == "time")
    return least_trial_s(_n_train(plan), dataset.n_features, n_fits, n_threads)


def _n_train(plan: Plan) -> int:
    folds = np.asarray(plan.dataset.folds)
    return int(training_rows(folds, plan.dataset.n_folds - 1, plan.dataset.split).sum())


def _params(plan: Plan, family: str, seconds: float, n_threads: int) -> tuple[dict[str, Any], Size]:
    """What the family's first point and the user say, with as many rounds as there is time for."""
    dataset = plan.dataset
    space = family_spaces(plan.config, dataset.problem_type)[family]
    n_rows = _n_train(plan)
    size = Size(n_rows, 0)
    point = dict(space.portfolio[0])
    if family in TREES:
        each_s = SLACK * seconds / (dataset.n_folds + (dataset.split == "time"))
        size = quick_size(n_rows, dataset.n_features, _n_outputs(plan), each_s, n_threads)
        rate = float(np.clip(RATE_ROUNDS / size.rounds, *RATES))
        point |= {"num_boost_round": size.rounds, "learning_rate": rate}
    params = point | space.fixed
    return params, replace(size, rounds=params.get("num_boost_round", size.rounds))


def _fit(plan: Plan, path: Path, size: Size, context: FitContext) -> tuple[str, str]:
    """Fit fold after fold; how it ended, and why. A late fold is a short one: without all folds there is no model."""
    n_folds = plan.dataset.n_folds
    try:
        for fold in range(n_folds):
            start = time.monotonic()
            share = max((context.deadline - start) / (n_folds - fold), LEAST_FOLD_S)
            deadline = None if _is_short(plan, size, context) else start + 0.9 * share
            fit = replace(context, deadline=deadline, seed=context.seed + fold)
            _fit_fold(plan, path, fold, size, fit)
            size = _smaller(size, read_trial(path).folds[-1], (time.monotonic() - start) / share)
    except Exception as error:  # noqa: BLE001 - whatever a fit raises: the sweep goes on without it, and says so
        (path / "error.txt").write_text(traceback.format_exc(), "utf-8")
        return "failed", f"{type(error).__name__}: {error}"
    return "completed", "all folds finished"


def _is_short(plan: Plan, size: Size, context: FitContext) -> bool:
    """Whether a fit takes so little that it may go on to its end, however busy the machine is."""
    if _family(plan) not in TREES:
        return False
    return fit_s(size, plan.dataset.n_features, _n_outputs(plan), context.n_threads) <= SHORT_S


def _n_outputs(plan: Plan) -> int:
    return len(plan.dataset.target.classes) if plan.dataset.problem_type == "multiclass" else 1


def _smaller(size: Size, last: FoldRecord, late: float) -> Size:
    """What the next fold learns from: no more rounds than one that was cut off, as folds are scored together."""
    rounds = last.best_step + 1 if last.stop_reason == "deadline" else size.rounds
    n_rows = max(min(size.n_rows, LEAST_LATE_ROWS), int(size.n_rows / max(late, 1.0)))
    return Size(n_rows, min(size.rounds, rounds))


def _fit_fold(plan: Plan, path: Path, fold: int, size: Size, context: FitContext) -> None:
    dataset, trial, start = plan.dataset, read_trial(path), time.time()
    folds, X, y = np.asarray(dataset.folds), np.asarray(dataset.X), np.asarray(dataset.y)
    val, family = folds == fold, get_family(trial.family)

    def learn(train: np.ndarray, params: dict[str, Any]) -> Model:
        rows = np.flatnonzero(train)
        codes = y[rows] if dataset.target.classes else np.zeros(len(rows), np.int64)
        rows = rows[sample_classes(codes, size.n_rows)]
        data = Fold(X[rows], y[rows], X[val], y[val])
        return family.fit(params, Task.of(dataset), data, context)

    params = dict(trial.params)
    if trial.family in TREES and size.rounds < params["num_boost_round"]:
        params["num_boost_round"] = size.rounds
    model = learn(training_rows(folds, fold, dataset.split), params)
    fit_s = time.time() - start
    prediction = model.predict(X[val], context.n_threads)
    history, value = model.history, score(plan.metric.name, y[val], prediction.mean)
    if (
        dataset.split == "time" and fold == dataset.n_folds - 1
    ):  # whose model answers has seen the latest rows
        model = learn(np.full(len(y), True), trial.params | {family.steps_param: history.best + 1})
    curves = {"train_loss": history.train, "val_loss": history.val, "every": history.every}
    ended = {"stop_reason": history.stop_reason, "best_step": history.best}
    record = FoldRecord(fold=fold, score=value, fit_s=fit_s, total_s=time.time() - start, **ended, **curves)
    write_fold(path, record, model, prediction)
