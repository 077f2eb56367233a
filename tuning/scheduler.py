"""The fold race: which trials are worth another fold."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tuning.searcher import FamilySearcher

MIN_PEERS = 2


class FoldRace(FIFOScheduler):
    """Asynchronous successive halving within each family; a rung is a number of finished folds.

    At a rung a trial stops unless it is among the best 1/reduction_factor of the scores of its family there.
    Portfolio trials always finish. What a trial is compared with comes from the searcher, so that a sweep
    without a time budget stops the same trials every time, which Ray's own ASHA, going by arrival, does not.

    Args:
        searcher: Knows the scores.
        mode: "max" or "min".
        n_folds: Folds of a complete trial.
        reduction_factor: One in this many passes a rung.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2.
    """

    def __init__(self, searcher: FamilySearcher, mode: str, n_folds: int, reduction_factor: float) -> None:
        super().__init__()
        self.searcher = searcher
        self.sign = 1.0 if mode == "max" else -1.0
        self.reduction_factor = reduction_factor
        self.rungs = rungs(n_folds, reduction_factor)
        self.reasons: dict[int, str] = {}

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or go on, after each fold."""
        n_done, number = result.get("n_folds", 0), trial.config["number"]
        if n_done not in self.rungs or trial.config["origin"] == "portfolio":
            return TrialScheduler.CONTINUE
        peers = self.searcher.rung(number, trial.config["family"], n_done)
        if len(peers) < MIN_PEERS:
            return TrialScheduler.CONTINUE
        cut = float(np.quantile([self.sign * p for p in peers], 1 - 1 / self.reduction_factor))
        if self.sign * result["score"] >= cut:
            return TrialScheduler.CONTINUE
        self.reasons[number] = (
            f"fold race: {result['score']:.5g} after {n_done} of its folds, "
            f"{self.sign * cut:.5g} needed to be in the best 1/{self.reduction_factor:g} of {len(peers)}"
        )
        return TrialScheduler.STOP


def rungs(n_folds: int, reduction_factor: float) -> set[int]:
    """Numbers of finished folds at which trials are compared: 1, r, r^2, ..., below n_folds."""
    out, rung = set(), 1.0
    while round(rung) < n_folds:
        out.add(round(rung))
        rung *= reduction_factor
    return out
