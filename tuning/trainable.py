"""One trial as Ray runs it: each step fits the next fold."""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Mapping
from typing import Any

from ray import tune

from models.families import get_family
from models.trials import FoldRecord, read_folds, running_means, trial_name
from tuning.folds import FoldJob, SweepData, fit_fold


class FoldTrainable(tune.Trainable):
    """Fits one fold a step and reports the mean score so far; a worker runs many trials.

    Folds that an earlier worker has finished are read, not fitted again, and reported before the next one begins:
    whether the trial may go on can still be undecided. A fit that raises ends the trial with the text of its error;
    the worker goes on to the next trial.
    """

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
        get_family(config["family"])  # the worker's first import of a library is not the trial's time
        self.started = time.time()
        path = self.data.trials / trial_name(config["number"], config["family"])
        self.records: list[FoldRecord] = list(read_folds(path))
        self.read = bool(self.records)
        self.spent_before_s = sum(r.total_s for r in self.records)
        self.job = FoldJob(
            path=path,
            family=config["family"],
            params=config["params"],
            seed=config["seed"],
            n_threads=config["cpus"],
            gpus=config["gpus"],
            end=self._end(config["limit_s"]),
        )

    def _end(self, limit_s: float | None) -> float | None:
        end = self.data.search_end
        return end if end is None or limit_s is None else min(end, self.started + limit_s)

    def step(self) -> dict[str, Any]:
        """Fit the next fold; what has no time to begin ends without it."""
        began, fold = time.time(), len(self.records)
        over = self.data.search_end is not None and began >= self.data.search_end
        if fold == self.data.n_folds or over:
            return self._report(began, done=True)
        if self.read:
            self.read = False
            return self._report(began, done=False)
        try:
            record = fit_fold(self.data, self.job, fold, self.records[-1] if self.records else None)
        except Exception:  # noqa: BLE001 - whatever a fit raises is this trial's end, and is reported whole
            return self._report(began, done=True, error=traceback.format_exc())
        self.records.append(record)
        return self._report(began, done=len(self.records) == self.data.n_folds)

    def _report(self, began: float, *, done: bool, error: str = "") -> dict[str, Any]:
        means = running_means([r.score for r in self.records])
        folds = [
            {
                "fold": r.fold,
                "fold_score": r.score,
                "fit_s": r.fit_s,
                "total_s": r.total_s,
                "fit_end": "; ".join(filter(None, (r.stop_reason, r.note))),
            }
            for r in self.records
        ]
        return {
            "score": means[-1] if means else float("nan"),
            "scores": means,
            "folds": folds,
            "n_folds": len(means),
            "spent_s": self.spent_before_s + time.time() - self.started,
            "worker": os.getpid(),
            "node": socket.gethostname(),
            "began": began,
            "error": error,
            "done": done,
        }
