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
from tuning.plan import Plan
from tuning.runs import Run
from tuning.spaces import family_spaces

ORIGIN = "quick"  # as the searcher knows it
# Of the search's time, and the least of it in seconds; a network learns nothing in an epoch.
TIME_SHARES = {"lightgbm": 0.2, "xgboost": 0.2}
NETWORK_SHARE, LEAST_S = 0.4, 5.0
# What follows it, and what fits beside Ray's start cost more than alone.
SLACK = 0.6
# Trees: seconds times threads per cell of the table to bin it, per cell and tree, and per feature and leaf of a tree.
BIN_S, TREE_S, LEAF_S = 2e-7, 1e-8, 2e-6
N_LEAVES = 31
ROUNDS = (10, 300)
ENOUGH_ROUNDS = 60
# Learned rates times rounds, and the rates that are sensible.
RATE_ROUNDS, RATES = 6.0, (0.03, 0.3)
LEAST_ROWS = 20_000
# Trees for every class of so many are slower than a network.
MANY_CLASSES = 50
TREES = ("lightgbm", "xgboost")


@dataclass(frozen=True)
class Size:
    """How much of the table is learned from, and with how many rounds of boosting.

    Attributes:
        n_rows: Training rows of a fold.
        rounds: Trees for each output.
    """

    n_rows: int
    rounds: int


def quick_size(n_rows: int, n_features: int, n_outputs: int, seconds: float, n_threads: int) -> Size:
    """What boosted trees can learn from in some seconds.

    Args:
        n_rows: Training rows.
        n_features: Encoded features.
        n_outputs: Trees of a round.
        seconds: For one fit.
        n_threads: Threads of the fit.
    """
    bins, trees = (cost * n_features / n_threads for cost in (BIN_S, TREE_S * n_outputs))
    leaves = LEAF_S * N_LEAVES * n_features * n_outputs
    left = max(seconds - ENOUGH_ROUNDS * leaves, 0.0)
    rows = int(min(n_rows, max(LEAST_ROWS, left / (bins + ENOUGH_ROUNDS * trees))))
    rounds = (seconds - bins * rows) / (trees * rows + leaves)
    return Size(rows, int(np.clip(rounds, *ROUNDS)))


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
    began, left = time.time(), budget.left_s()
    family = _family(plan)
    share = TIME_SHARES.get(family, NETWORK_SHARE)
    end = time.monotonic() + max(share * left, min(left - 0.5, LEAST_S))
    path = run.trials / trial_name(0, family)
    facts = {"number": 0, "family": family, "seed": plan.config.seed, "origin": ORIGIN}
    n_threads = len(os.sched_getaffinity(0))
    params, size = _params(plan, family, end - time.monotonic(), n_threads)
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


def _params(plan: Plan, family: str, seconds: float, n_threads: int) -> tuple[dict[str, Any], Size]:
    """What the family's first point and the user say, with as many rounds as there is time for."""
    dataset = plan.dataset
    space = family_spaces(plan.config, dataset.problem_type)[family]
    n_rows = int(training_rows(np.asarray(dataset.folds), 0, dataset.split).sum())
    size = Size(n_rows, 0)
    point = dict(space.portfolio[0])
    if family in TREES:
        n_outputs = len(dataset.target.classes) if dataset.problem_type == "multiclass" else 1
        each_s = SLACK * seconds / (dataset.n_folds + (dataset.split == "time"))
        size = quick_size(n_rows, dataset.n_features, n_outputs, each_s, n_threads)
        rate = float(np.clip(RATE_ROUNDS / size.rounds, *RATES))
        point |= {"num_boost_round": size.rounds, "learning_rate": rate}
    return point | space.fixed, size


def _fit(plan: Plan, path: Path, size: Size, context: FitContext) -> tuple[str, str]:
    """Fit fold after fold; how it ended, and why."""
    n_folds = plan.dataset.n_folds
    try:
        for fold in range(n_folds):
            left = context.deadline - time.monotonic()
            if left <= 0:
                return "stopped", "no time left"
            share = left / (n_folds - fold)
            deadline = time.monotonic() + 0.9 * share
            _fit_fold(plan, path, fold, size, replace(context, deadline=deadline, seed=context.seed + fold))
    except Exception as error:  # noqa: BLE001 - whatever a fit raises: the sweep goes on without it, and says so
        (path / "error.txt").write_text(traceback.format_exc(), "utf-8")
        return "failed", f"{type(error).__name__}: {error}"
    return "completed", "all folds finished"


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

    model = learn(training_rows(folds, fold, dataset.split), trial.params)
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
