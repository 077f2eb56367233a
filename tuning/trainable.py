"""One trial as Ray runs it: each step fits the next fold."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune

from configs.schema import SplitKind
from data.metrics import score
from data.splits import training_rows
from models.base import FitContext, Fold, Model, Task
from models.families import get_family
from models.trials import FoldRecord, trial_name, write_fold


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
        search_end: time.time() at which every fit has ended; None: never.
        n_threads: Threads of a fit.
        gpus: Share of a GPU in [0, 1] that a fit may use; 0 is the CPU.
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
    n_threads: int
    gpus: float


class FoldTrainable(tune.Trainable):
    """Fits one fold a step and reports the mean score so far; a worker runs many trials."""

    def setup(self, config: dict[str, Any], data: SweepData | None = None) -> None:
        """Start the worker's first trial."""
        if data is None:
            raise TypeError("FoldTrainable needs the sweep's data; wrap it with tune.with_parameters")
        self.data = data
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another trial in the same worker."""
        self._begin(new_config)
        return True

    def _begin(self, config: Mapping[str, Any]) -> None:
        self.family, self.params, self.seed = config["family"], config["params"], config["seed"]
        self.model = get_family(self.family)  # the worker's first import of a library is not the trial's time
        self.started = time.time()
        self.path = self.data.trials / trial_name(config["number"], self.family)
        self.scores: list[float] = []
        ends = [self.data.search_end, self.started + config["limit_s"] if config["limit_s"] else None]
        self.end = min((e for e in ends if e is not None), default=None)

    def step(self) -> dict[str, Any]:
        """Fit, predict, score and write the next fold.

        Under a time budget the time left is shared evenly by the folds left, so a started trial ends with all
        its folds; what has no time to begin ends without a fold. A split in time ends with one more fit, on all
        rows: the last fold's model has not seen the latest ones.
        """
        data, fold, start = self.data, len(self.scores), time.time()
        left = float("inf") if self.end is None else self.end - start
        if left <= 0:
            return self._report(done=True)
        n_fits = data.n_folds - fold + (data.split == "time")
        share = None if self.end is None else time.monotonic() + left / n_fits
        context = self._context(self.seed + fold, share)
        train, val = training_rows(data.folds, fold, data.split), data.folds == fold
        rows = Fold(data.X[train], data.y[train], data.X[val], data.y[val])
        fit_start = time.time()
        model = self.model.fit(self.params, data.task, rows, context)
        fit_s = time.time() - fit_start
        prediction = model.predict(rows.X_val, data.n_threads)
        value = score(data.metric, rows.y_val, prediction.mean)
        history = model.history
        if data.split == "time" and fold == data.n_folds - 1:
            fit_start = time.time()
            model = self._refit(model, rows)
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
        )
        write_fold(self.path, record, model, prediction)
        self.scores.append(value)
        return self._report(
            done=len(self.scores) == data.n_folds,
            fold_score=value,
            fit_s=fit_s,
            total_s=time.time() - start,
            began=start,
            fit_end=history.stop_reason,
        )

    def _refit(self, model: Model, fold: Fold) -> Model:
        """The last fold's model on all rows, for as many steps as were best; as it was where the time ends first."""
        data = self.data
        deadline = None if self.end is None else time.monotonic() + self.end - time.time()
        context = self._context(self.seed, deadline)
        params = self.params | {model.steps_param: model.history.best + 1}
        refitted = self.model.fit(params, data.task, Fold(data.X, data.y, fold.X_val, fold.y_val), context)
        return model if refitted.history.stop_reason == "deadline" else refitted

    def _context(self, seed: int, deadline: float | None) -> FitContext:
        gpus = self.data.gpus
        return FitContext(self.data.n_threads, "cuda" if gpus else "cpu", seed, deadline, gpus or 1.0)

    def _report(self, *, done: bool, **values: Any) -> dict[str, Any]:
        return {
            "score": float(np.mean(self.scores)) if self.scores else float("nan"),
            "n_folds": len(self.scores),
            "spent_s": time.time() - self.started,
            "worker": os.getpid(),
            "node": socket.gethostname(),
            "done": done,
            **values,
        }
