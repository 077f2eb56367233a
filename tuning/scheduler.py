"""Which trials are worth another fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from configs.schema import SearchConfig
from ensembles.running import Entry
from tuning.searcher import STARTING_POINTS, FamilySearcher

MIN_PEERS = 2


class FoldRace(FIFOScheduler):
    """Asynchronous successive halving within each family; a rung is a number of finished folds.

    At a rung a trial stops unless it is among the best 1/reduction_factor of the scores of its family there.
    Starting points are in no race. What a trial is compared with comes from the searcher, so that a sweep
    without a time budget stops the same trials every time, which Ray's own ASHA, going by arrival, does not.

    Args:
        searcher: Knows the scores.
        mode: "max" or "min".
        rungs: Numbers of finished folds at which trials are compared.
        share: Share of the trials that passes a rung.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2.
    """

    name = "fold race"

    def __init__(self, searcher: FamilySearcher, mode: str, rungs: Sequence[int], share: float) -> None:
        super().__init__()
        self.searcher = searcher
        self.sign = 1.0 if mode == "max" else -1.0
        self.rungs = frozenset(rungs)
        self.share = share
        self.reasons: dict[int, str] = {}

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        """Stop or go on, after each fold."""
        n_done, number = result["n_folds"], trial.config["number"]
        if n_done not in self.rungs or result["error"]:
            return TrialScheduler.CONTINUE
        if trial.config["origin"] in STARTING_POINTS:
            reason = self._against_start(number, n_done)
        else:
            peers = self.searcher.rung(number, n_done)
            reason = self._against(number, n_done, result["score"], peers) if len(peers) >= MIN_PEERS else ""
        if not reason:
            return TrialScheduler.CONTINUE
        self.reasons[number] = f"{self.name}: {reason}"
        return TrialScheduler.STOP

    def _against_start(self, number: int, n_done: int) -> str:
        """Why a starting point should stop; empty: it should not."""
        return ""

    def _against(self, number: int, n_done: int, score: float, peers: Sequence[float]) -> str:
        """Why a trial should stop; empty: it should not."""
        cut = float(np.quantile([self.sign * p for p in peers], 1 - self.share))
        if self.sign * score >= cut:
            return ""
        return (
            f"{score:.5g} after {n_done} of its folds, "
            f"{self.sign * cut:.5g} needed to be in the best {self.share:.0%} of {len(peers)}"
        )


class EnsembleRace(FoldRace):
    """A fold race in which the running ensemble has the first word.

    At a rung the trial's predictions so far are mixed into the ensemble's. Whatever its rank, a trial that lowers the
    loss goes on: it can enter; and one that raises it at every share by more than two standard errors stops: it
    cannot, though it be a starting point. Between the two, where luck would decide, the rank does.
    """

    def _against_start(self, number: int, n_done: int) -> str:
        entry = self.searcher.entry(number, n_done)
        return _cannot_enter(entry, n_done) if entry is not None and entry.cannot else ""

    def _against(self, number: int, n_done: int, score: float, peers: Sequence[float]) -> str:
        entry = self.searcher.entry(number, n_done)
        if entry is None:
            return super()._against(number, n_done, score, peers)
        if entry.can:
            return ""
        if entry.cannot:
            return _cannot_enter(entry, n_done)
        reason = super()._against(number, n_done, score, peers)
        return reason and f"{reason}; no mix lowers the ensemble's loss there"


def _cannot_enter(entry: Entry, n_done: int) -> str:
    return (
        f"cannot enter the ensemble: after {n_done} of its folds every mix raises the loss there, "
        f"the best by {-entry.gain:.3g} (standard error {entry.noise:.1g})"
    )


class MedianRule(FoldRace):
    """Stops a trial whose score after any fold is worse than the median of its family there.

    Source: Golovin et al. 2017, "Google Vizier", section 3.2.2.
    """

    name = "median rule"


def make_scheduler(search: SearchConfig, searcher: FamilySearcher, mode: str, n_folds: int) -> FoldRace:
    """The scheduler that a configuration names."""
    if search.scheduler == "median":
        return MedianRule(searcher, mode, range(1, n_folds), 0.5)
    rungs = [] if search.scheduler == "none" else halving_rungs(n_folds, search.reduction_factor)
    race = EnsembleRace if search.scheduler == "ensemble" else FoldRace
    return race(searcher, mode, rungs, 1 / search.reduction_factor)


def halving_rungs(n_folds: int, reduction_factor: float) -> list[int]:
    """Numbers of finished folds at which trials are compared: 1, r, r^2, ..., below n_folds."""
    out, rung = [], 1.0
    while round(rung) < n_folds:
        out.append(round(rung))
        rung *= reduction_factor
    return out
