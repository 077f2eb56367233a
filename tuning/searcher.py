"""Which trial comes next: the portfolio first, then one Optuna study per family."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from data.metrics import Metric
from models.trials import trial_name
from tuning.budget import Budget
from tuning.spaces import FamilySpace

N_STARTUP_TRIALS = 3
LAG_PER_SLOT = 3
FIRST_TRIAL_FITS_S = 2.0
GIVE_UP_AFTER = 3


@dataclass
class Proposal:
    """A trial as the searcher remembers it.

    Attributes:
        number: Place in the sweep, from 0.
        family: Family key.
        origin: "portfolio" or "tpe".
        reason: Why it was chosen, for the log.
        asked: Optuna's trial.
        spent_s: Seconds its worker has reported so far.
        scores: Mean score after each finished fold.
        outcome: None while running; then how Optuna is told.
        told: Whether Optuna has been told.
    """

    number: int
    family: str
    origin: str
    reason: str
    asked: optuna.Trial
    scores: list[float]
    spent_s: float = 0.0
    outcome: TrialState | None = None
    told: bool = False


@dataclass(frozen=True)
class SearchSetup:
    """What a searcher searches.

    Attributes:
        spaces: Family key -> its space.
        metric: What is optimised.
        storage: Optuna storage URL.
        study_prefix: Name of the sweep; studies are `<prefix>/<family>`.
        n_folds: Folds of a complete trial.
        seed: Seeds the samplers and the fits.
        num_trials: Largest number of trials; None: as many as the time allows.
        slots: Trials in flight.
    """

    spaces: Mapping[str, FamilySpace]
    metric: Metric
    storage: str
    study_prefix: str
    n_folds: int
    seed: int
    num_trials: int | None
    slots: int


class FamilySearcher(Searcher):
    """Proposes trials of several families.

    Every family's portfolio runs first, one point of each family in turn. After it, under a time budget the
    family on which least time was spent is next; without one, the families take turns.

    Without a time budget the sweep is deterministic: a proposal sees exactly the trials that came at least
    `lag` numbers before it, and waits for them, whatever finished meanwhile.

    Args:
        setup: What is searched.
        budget: The job's time.
    """

    def __init__(self, setup: SearchSetup, budget: Budget) -> None:
        super().__init__(metric="score", mode=setup.metric.mode)
        self.spaces = dict(setup.spaces)
        self.n_folds = setup.n_folds
        self.num_trials = setup.num_trials
        self.slots = setup.slots
        self.seed = setup.seed
        self.budget = budget
        self.proposals: dict[int, Proposal] = {}
        self._by_ray_id: dict[str, int] = {}
        self._queue = _interleave(self.spaces)
        self._whole_search_s: float | None = None
        self._studies = {
            family: optuna.create_study(
                storage=setup.storage,
                study_name=f"{setup.study_prefix}/{family}",
                direction="maximize" if setup.metric.mode == "max" else "minimize",
                sampler=optuna.samplers.TPESampler(seed=setup.seed + i, n_startup_trials=N_STARTUP_TRIALS),
                load_if_exists=True,
            )
            for i, family in enumerate(self.spaces)
        }

    @property
    def lag(self) -> int | None:
        """How many numbers back a trial must be to be seen by a proposal; None: whatever has finished."""
        return LAG_PER_SLOT * self.slots if self.budget.total_s is None else None

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config, None to be asked again later, or FINISHED."""
        number = len(self.proposals)
        if self._whole_search_s is None:
            self._whole_search_s = self.budget.left_s()
        if self.num_trials is not None and number >= self.num_trials:
            return Searcher.FINISHED
        if self.lag is not None:
            seen = range(max(0, number - self.lag + 1))
            if any(self.proposals[n].outcome is None for n in seen):
                return None
            for n in seen:
                self._tell(self.proposals[n])
        choice = self._choose()
        if choice is None:
            return Searcher.FINISHED
        family, point, reason = choice
        return self._propose(trial_id, number, family, point, reason)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Remember a finished fold."""
        proposal = self.proposals[self._by_ray_id[trial_id]]
        if result.get("n_folds", 0) > len(proposal.scores):
            proposal.scores.append(float(result["score"]))
            proposal.spent_s = float(result["spent_s"])

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Remember how a trial ended, and tell Optuna when its time has come."""
        proposal = self.proposals[self._by_ray_id[trial_id]]
        if result:
            self.on_trial_result(trial_id, result)
        if error:
            proposal.outcome = TrialState.FAIL
        elif len(proposal.scores) >= self.n_folds:
            proposal.outcome = TrialState.COMPLETE
        else:
            proposal.outcome = TrialState.PRUNED
        if self.lag is None:
            self._tell(proposal)

    def rung(self, number: int, family: str, n_folds: int) -> list[float]:
        """Scores at a rung that the trial of this number may be compared with.

        Args:
            number: The trial that asks.
            family: Its family.
            n_folds: Finished folds, from 1.
        """
        last = number - self.lag if self.lag is not None else len(self.proposals)
        return [
            p.scores[n_folds - 1]
            for p in self.proposals.values()
            if p.family == family and p.number <= last and p.number != number and len(p.scores) >= n_folds
        ]

    def finish(self) -> None:
        """Tell Optuna of every trial that ended, also those no later proposal has seen."""
        for proposal in self.proposals.values():
            if proposal.outcome is None:
                proposal.outcome = TrialState.FAIL
            self._tell(proposal)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: studies are in Optuna's storage, trials in the run directory."""

    def restore(self, checkpoint_path: str) -> None:
        """See save."""

    def _choose(self) -> tuple[str, dict[str, Any] | None, str] | None:
        left = self.budget.left_s()
        while self._queue:
            family, point = self._queue.pop(0)
            if left >= FIRST_TRIAL_FITS_S and self._fits(family, left):
                return family, point, "portfolio: a tuned default of the family"
        open_families = [
            family
            for family, space in self.spaces.items()
            if self._count(family) < space.size and self._fits(family, left) and self._works(family)
        ]
        if not open_families or left < FIRST_TRIAL_FITS_S:
            return None
        if self.lag is not None:
            return min(open_families, key=self._count), None, "turn of the family"
        family = min(open_families, key=self._spent_s)
        return family, None, f"least time spent so far: {self._spent_s(family):.1f} s"

    def _propose(
        self, trial_id: str, number: int, family: str, point: dict[str, Any] | None, reason: str
    ) -> dict[str, Any]:
        space, study = self.spaces[family], self._studies[family]
        if point is not None:
            study.enqueue_trial(point)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            asked = study.ask(space.space)
        asked.set_user_attr("trial", trial_name(number, family))
        origin = "tpe" if point is None else "portfolio"
        self.proposals[number] = Proposal(number, family, origin, reason, asked, [])
        self._by_ray_id[trial_id] = number
        return {
            "number": number,
            "family": family,
            "params": space.fixed | asked.params,
            "seed": self.seed,
            "origin": origin,
            "why": reason,
            "limit_s": self._limit_s(),
        }

    def _tell(self, proposal: Proposal) -> None:
        if proposal.told or proposal.outcome is None:
            return
        proposal.told = True
        for fold, value in enumerate(proposal.scores):
            if np.isfinite(value):
                proposal.asked.report(value, fold)
        study = self._studies[proposal.family]
        if proposal.outcome is TrialState.COMPLETE and np.isfinite(proposal.scores[-1]):
            study.tell(proposal.asked, proposal.scores[-1])
        elif proposal.outcome is TrialState.COMPLETE:
            study.tell(proposal.asked, state=TrialState.FAIL)
        else:
            study.tell(proposal.asked, state=proposal.outcome)

    def _limit_s(self) -> float | None:
        """Longest time one trial may take: its family's fair share of what the slots have together."""
        if self.budget.total_s is None or self._whole_search_s is None:
            return None
        return self._whole_search_s * min(1.0, self.slots / len(self.spaces))

    def _count(self, family: str) -> int:
        return sum(p.family == family for p in self.proposals.values())

    def _spent_s(self, family: str) -> float:
        """Seconds spent on a family; a trial in flight counts at least as much as a usual one."""
        usual = float(np.mean(self._whole_s(family) or [0.0]))
        mine = [p for p in self.proposals.values() if p.family == family]
        return sum(max(p.spent_s, usual) if p.outcome is None else p.spent_s for p in mine)

    def _whole_s(self, family: str) -> list[float]:
        """Seconds of a whole trial, from each trial of the family that has finished a fold."""
        mine = [p for p in self.proposals.values() if p.family == family and p.scores]
        return [p.spent_s * self.n_folds / len(p.scores) for p in mine]

    def _fits(self, family: str, left_s: float) -> bool:
        """Whether a whole trial of the family, as long as its shortest so far, ends in time."""
        whole = self._whole_s(family)
        return not whole or min(whole) <= left_s

    def _works(self, family: str) -> bool:
        """Whether a family is worth another try: not when all of its first trials failed."""
        seen = [p for p in self.proposals.values() if p.family == family and p.told]
        return len(seen) < GIVE_UP_AFTER or any(p.outcome is not TrialState.FAIL for p in seen)


def _interleave(spaces: Mapping[str, FamilySpace]) -> list[tuple[str, dict[str, Any]]]:
    """Portfolios one point of each family at a time."""
    longest = max(len(s.portfolio) for s in spaces.values())
    return [(f, s.portfolio[i]) for i in range(longest) for f, s in spaces.items() if i < len(s.portfolio)]
