"""Fitting one fold of one trial: fit, predict, score, write."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import SplitKind
from data.folds import training_rows
from data.metrics import score
from errors import DeviceMemoryError
from models.base import FitContext, Fold, Model, Task
from models.families import get_family
from models.trials import FoldRecord, write_fold
from tuning.gpu import gpu_lock

# Share of a fold's time kept for what comes after its fit, until the first fold has shown how long that takes.
AFTER_FIT_SHARE = 0.1


@dataclass(frozen=True)
class SweepData:
    """What every trial of a sweep shares; sent to each node once.

    Attributes:
        X: float32 (n_samples, n_features).
        y: (n_samples,).
        folds: (n_samples,), the fold in which a row is validated; -1: never.
        n_folds: Number of folds.
        split: How the rows were divided.
        task: What the models must know.
        metric: Name of the metric reported.
        trials: Folder of the trials.
        search_end: time.time() at which every fold has ended; None: never.
    """

    X: np.ndarray
    y: np.ndarray
    folds: np.ndarray
    n_folds: int
    split: SplitKind
    task: Task
    metric: str
    trials: Path
    search_end: float | None


@dataclass(frozen=True)
class FoldJob:
    """The trial of which a fold is fitted.

    Attributes:
        path: Its folder.
        family: Family key.
        params: Its parameters.
        seed: Seed of fold 0; each fold adds its index.
        n_threads: Threads of a fit.
        gpus: Share of a GPU in [0, 1]; 0 is the CPU.
        end: time.time() at which its last fold should have ended; None: no matter.
    """

    path: Path
    family: str
    params: dict[str, Any]
    seed: int
    n_threads: int
    gpus: float
    end: float | None


def fit_fold(data: SweepData, job: FoldJob, fold: int, last: FoldRecord | None) -> FoldRecord:
    """Fit the next fold of a trial and write it.

    Under a time budget the time left is shared evenly by the folds left, so a started trial ends with all its folds.
    A split in time ends with one more fit, on all rows: the last fold's model has not seen the latest ones.

    Args:
        data: The sweep's data.
        job: The trial.
        fold: Which fold.
        last: The fold before.
    """
    start = time.time()
    last_in_time = data.split == "time" and fold == data.n_folds - 1
    deadline = _deadline(data, job, data.n_folds - fold + (data.split == "time"), last)
    train, val = training_rows(data.folds, fold, data.split), data.folds == fold
    rows = Fold(data.X[train], data.y[train], data.X[val], data.y[val])
    fit_start = time.time()
    model, note = _fit(data, job, rows, _context(job, fold, deadline))
    fit_s = time.time() - fit_start
    prediction = model.predict(rows.X_val, job.n_threads)
    value = score(data.metric, rows.y_val, prediction.mean)
    history = model.history
    if last_in_time:
        fit_start = time.time()
        model = _refit(data, job, model, rows)
        fit_s += time.time() - fit_start
    record = FoldRecord(
        fold=fold,
        score=value,
        fit_s=fit_s,
        total_s=time.time() - start,
        stop_reason=history.stop_reason,
        train_loss=history.train,
        val_loss=history.val,
        best_step=history.best,
        every=history.every,
        note=note,
    )
    write_fold(job.path, record, model, prediction)
    return record


def _fit(data: SweepData, job: FoldJob, rows: Fold, context: FitContext) -> tuple[Model, str]:
    """One fit; out of GPU memory, once more, alone on the GPU and with half the batch."""
    model = get_family(job.family)
    try:
        with gpu_lock(context, alone=False):
            return model.fit(job.params, data.task, rows, context), ""
    except DeviceMemoryError as error:
        params, note = job.params, f"out of GPU memory ({error}); fitted again, alone"
    batch_size = model.check_params(params).get("batch_size")
    if batch_size:
        params, note = params | {"batch_size": max(2, batch_size // 2)}, f"{note} and with half the batch"
    with gpu_lock(context, alone=True):
        return model.fit(params, data.task, rows, context), note


def _refit(data: SweepData, job: FoldJob, model: Model, fold: Fold) -> Model:
    """The last fold's model on all rows, for as many steps as were best; as it was where the time ends first."""
    deadline = None if data.search_end is None else time.monotonic() + data.search_end - time.time()
    context = _context(job, 0, deadline)
    params = job.params | {model.steps_param: model.history.best + 1}
    everything = Fold(data.X, data.y, fold.X_val, fold.y_val)
    refitted, _note = _fit(data, replace(job, params=params), everything, context)
    return model if refitted.history.stop_reason == "deadline" else refitted


def _context(job: FoldJob, fold: int, deadline: float | None) -> FitContext:
    return FitContext(
        job.n_threads, "cuda" if job.gpus else "cpu", job.seed + fold, deadline, job.gpus or 1.0
    )


def _deadline(data: SweepData, job: FoldJob, n_fits: int, last: FoldRecord | None) -> float | None:
    """time.monotonic() at which the next of a number of equal fits has ended, and what follows it too.

    A trial that is late for its own end gets as much time as its last fold took, as far as the search has it left.
    """
    if job.end is None or data.search_end is None:
        return None
    now = time.time()
    share, most = (max(0.0, end - now) / n_fits for end in (job.end, data.search_end))
    if last is not None:
        share = max(share, min(last.total_s, most))
    after = AFTER_FIT_SHARE * share if last is None else min(last.total_s - last.fit_s, 0.5 * share)
    return time.monotonic() + share - after
