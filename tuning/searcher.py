"""Which trial comes next: a Ray Tune searcher over one Optuna study per family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from ray.tune.search import Searcher

from configs.schema import ResourcesConfig
from data.metrics import Metric
from ensembles.running import Entry
from errors import TrainingError
from models.trials import StoredTrial
from tuning.budget import Budget
from tuning.choice import CHOICES
from tuning.ledger import Ledger, Proposal
from tuning.spaces import FamilySpace
from tuning.standing import Standing
from tuning.studies import FamilyStudy, Journal

LAG_PER_SLOT = 3
FIRST_TRIAL_FITS_S = 2.0
GIVE_UP_AFTER = 3
QUICK = "quick"
STARTING_POINTS = {"portfolio": "a tuned default", "warm_start": "among the best of an earlier run"}
OUTCOMES = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}


@dataclass(frozen=True)
class SearchSetup:
    """What a searcher searches.

    Attributes:
        spaces: Family key -> its space.
        metric: What is optimised.
        journal: File of the Optuna journal.
        run: Name of the sweep; studies are `<run>/<family>`.
        n_folds: Folds of a complete trial.
        seed: Seeds the samplers and the fits.
        num_trials: Largest number of trials; None: as many as the time allows.
        slots: Trials in flight.
        sampler: Key of studies.SAMPLERS.
        choice: Key of choice.CHOICES, used under a time budget.
        resources: Family -> CPUs and GPUs of one trial.
        least_trial_s: Seconds that a trial takes at least; what has less left is not begun.
    """

    spaces: Mapping[str, FamilySpace]
    metric: Metric
    journal: Path
    run: str
    n_folds: int
    seed: int
    num_trials: int | None
    slots: int
    sampler: str = "tpe"
    choice: str = "time"
    resources: Mapping[str, ResourcesConfig] = field(default_factory=dict)
    least_trial_s: float = 0.0

    @property
    def direction(self) -> str:
        """Optuna's word for the metric's direction."""
        return "maximize" if self.metric.mode == "max" else "minimize"


class FamilySearcher(Searcher):
    """Proposes trials of several families.

    Each family's portfolio comes before what its sampler proposes. Under a time budget the families' first points
    run first, then `setup.choice` says whose turn it is; without one, the families take turns.

    Without a time budget the sweep is deterministic: a proposal sees exactly the trials that came at least
    `lag` numbers before it, and waits for them, whatever finished meanwhile.

    Args:
        setup: What is searched.
        budget: The job's time.
        standing: The ensemble of the complete trials.
    """

    def __init__(self, setup: SearchSetup, budget: Budget, standing: Standing | None = None) -> None:
        super().__init__(metric="score", mode=setup.metric.mode)
        self.setup = setup
        self.budget = budget
        self.standing = standing or Standing()
        self.ledger = Ledger(tuple(setup.spaces), setup.n_folds)
        self.choose_family = CHOICES["turns" if budget.total_s is None else setup.choice]
        self.studies = {
            family: FamilyStudy(space.space, setup.sampler, setup.seed + i, setup.direction)
            for i, (family, space) in enumerate(setup.spaces.items())
        }
        for family, space in setup.spaces.items():
            for params, scores in space.seen:
                self.studies[family].add(params, scores)
        spaces = {family: space.space for family, space in setup.spaces.items()}
        self.journal = Journal(setup.journal, setup.run, setup.direction, spaces)
        self._by_ray_id: dict[str, int] = {}
        self._ray_ids: dict[int, str] = {}
        self._portfolio = {
            family: [
                (p, "warm_start" if i < space.n_warm else "portfolio") for i, p in enumerate(space.portfolio)
            ]
            for family, space in setup.spaces.items()
        }
        self._again: list[int] = []
        self._n_seen = 0
        self._whole_search_s: float | None = None

    @property
    def lag(self) -> int | None:
        """How many numbers back a trial must be to be seen by a proposal; None: whatever has finished."""
        return LAG_PER_SLOT * self.setup.slots if self.budget.total_s is None else None

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config, None to be asked again later, or FINISHED."""
        if self._whole_search_s is None:
            self._whole_search_s = self.budget.left_s()
        if self._again:
            return self._start(trial_id, self.ledger.proposals[self._again.pop(0)])
        number = self.ledger.next_number
        if self.setup.num_trials is not None and self.ledger.n_searched >= self.setup.num_trials:
            return Searcher.FINISHED
        if self.lag is not None and not self._see(number - self.lag):
            return None
        choice = self._choose()
        if choice is None:
            return Searcher.FINISHED
        family, why = choice
        return self._start(trial_id, self._propose(number, family, why))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Remember finished folds."""
        self.ledger.progress(self._by_ray_id[trial_id], result["scores"], float(result["spent_s"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Remember how a trial ended, and tell Optuna when its time has come."""
        number = self._by_ray_id[trial_id]
        if result and "scores" in result:
            self.on_trial_result(trial_id, result)
        if error or (result and result.get("error")):
            outcome = TrialState.FAIL
        else:
            whole = len(self.ledger.proposals[number].scores) >= self.setup.n_folds
            outcome = TrialState.COMPLETE if whole else TrialState.PRUNED
        self._end(number, outcome)

    def gain(self, number: int) -> float:
        """How much an ended trial lowered the loss of the running ensemble."""
        return self.ledger.proposals[number].gain

    def rung(self, number: int, n_folds: int) -> list[float]:
        """Scores at a rung that the trial of this number may be compared with.

        Args:
            number: The trial that asks.
            n_folds: Finished folds, from 1.
        """
        last = number - self.lag if self.lag is not None else self.ledger.next_number
        return self.ledger.rung(number, n_folds, last)

    def entry(self, number: int, n_folds: int) -> Entry | None:
        """What a running trial would bring to the ensemble, by its finished folds; None while there is none."""
        return self.standing.entry(number, self.ledger.proposals[number].family, n_folds)

    def restore_trials(self, trials: list[StoredTrial]) -> None:
        """Take in the trials that an earlier session of this sweep left, in the order of their numbers.

        Ended trials count as they ended; the others are proposed again, first of all, under their numbers. So is one
        that was proposed and never begun, and left no trace but a gap; without a time budget it is the same again.
        """
        for trial in sorted(trials, key=lambda t: t.number):
            while self.lag is not None and self.ledger.next_number < trial.number:
                self._fill(self.ledger.next_number)
            if trial.origin == QUICK and trial.state in OUTCOMES:
                self._restore_quick(trial)
                continue
            if self.lag is not None:
                self._see(trial.number - self.lag)
            if trial.origin in STARTING_POINTS:
                self._drop_from_portfolio(trial)
            why = "again: the sweep was ended while it ran" if trial.state == "running" else ""
            proposal = Proposal(trial.number, trial.family, dict(trial.params), trial.origin, why)
            self.ledger.add(proposal)
            self.studies[trial.family].ask(trial.number, trial.params)
            self.ledger.progress(trial.number, trial.running_means, sum(f.total_s for f in trial.folds))
            if trial.state in OUTCOMES:
                self._end(trial.number, OUTCOMES[trial.state])
            else:
                self.standing.proposed(trial.number)
                self._again.append(trial.number)

    def _fill(self, number: int) -> None:
        """Propose a trial that is missing, as it was: by the trials that it could see."""
        self._see(number - self.lag)
        choice = self._choose()
        if choice is None:
            raise TrainingError(f"trial {number} is missing and cannot be proposed again")
        self._propose(number, *choice)
        self._again.append(number)

    def _restore_quick(self, trial: StoredTrial) -> None:
        """A quick trial may be in the ensemble; it says nothing of its family, whose points it is none of."""
        proposal = Proposal(trial.number, trial.family, {}, trial.origin, "", trial.running_means, told=True)
        proposal.outcome = OUTCOMES[trial.state]
        self.ledger.proposals[trial.number] = proposal
        if trial.state == "completed":
            proposal.gain = self.standing.complete(trial.number, trial.family)
            self.standing.seen(trial.number, trial.family)

    def finish(self) -> None:
        """Tell Optuna of every trial that ended, also those no later proposal has seen."""
        self._see(self.ledger.next_number - 1, wait=False)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the truth is in the run directory."""

    def restore(self, checkpoint_path: str) -> None:
        """See save."""

    def _end(self, number: int, outcome: TrialState) -> None:
        proposal = self.ledger.proposals[number]
        gain = self.standing.complete(number, proposal.family) if outcome is TrialState.COMPLETE else 0.0
        self.standing.ended(number)
        self.ledger.end(number, outcome, gain)
        self.journal.add(proposal)
        proposal.params, proposal.why = {}, ""  # of thousands of trials only figures stay in memory
        if self.lag is None:
            self._tell(proposal)
        self._by_ray_id.pop(self._ray_ids.pop(number, ""), None)

    def _see(self, last: int, *, wait: bool = True) -> bool:
        """Tell Optuna of the trials up to a number; False when one of them is still running."""
        while self._n_seen <= last:
            proposal = self.ledger.proposals.get(self._n_seen)  # one that was never begun left a gap
            if proposal is not None and proposal.outcome is None and wait:
                return False
            if proposal is not None and proposal.outcome is not None:
                self._tell(proposal)
            self._n_seen += 1
        return True

    def _tell(self, proposal: Proposal) -> None:
        if not proposal.told and proposal.outcome is not None:
            proposal.told = True
            facts = self.ledger.families[proposal.family]
            facts.n_told += 1
            facts.n_told_failed += proposal.outcome is TrialState.FAIL
            self.studies[proposal.family].tell(proposal.number, proposal.scores, proposal.outcome)
            if proposal.outcome is TrialState.COMPLETE:
                self.standing.seen(proposal.number, proposal.family)

    def _choose(self) -> tuple[str, str] | None:
        left = self.budget.left_s()
        if left < max(FIRST_TRIAL_FITS_S, self.setup.least_trial_s):
            return None
        families = [f for f in self.setup.spaces if self._is_open(f, left)]
        fresh = [f for f in families if not self.ledger.families[f].n_proposed]
        if fresh:
            return fresh[0], "the family's first"
        return self.choose_family(families, self.ledger) if families else None

    def _is_open(self, family: str, left_s: float) -> bool:
        """Whether a family may have another trial: it has points left, fits the time, and does not always fail."""
        facts, space = self.ledger.families[family], self.setup.spaces[family]
        fits = facts.whole_min_s is None or facts.whole_min_s <= left_s
        failed = facts.n_told_failed >= GIVE_UP_AFTER and facts.n_told_failed == facts.n_told
        return fits and not failed and (bool(self._portfolio[family]) or facts.n_proposed < space.size)

    def _propose(self, number: int, family: str, why: str) -> Proposal:
        point, origin = None, self.setup.sampler
        if self._portfolio[family]:
            point, origin = self._portfolio[family].pop(0)
            why = f"{STARTING_POINTS[origin]}; {why}"
        asked = self.studies[family].ask(number, point)
        proposal = Proposal(number, family, self.setup.spaces[family].fixed | asked, origin, why)
        self.ledger.add(proposal)
        self.standing.proposed(number)
        return proposal

    def _start(self, trial_id: str, proposal: Proposal) -> dict[str, Any]:
        self._by_ray_id[trial_id], self._ray_ids[proposal.number] = proposal.number, trial_id
        resources = self.setup.resources.get(proposal.family, ResourcesConfig())
        return {
            "number": proposal.number,
            "family": proposal.family,
            "params": proposal.params,
            "seed": self.setup.seed,
            "origin": proposal.origin,
            "why": proposal.why,
            "limit_s": self._limit_s(),
            "cpus": resources.cpus or 1,
            "gpus": resources.gpus or 0.0,
        }

    def _limit_s(self) -> float | None:
        """Longest time one trial may take: its family's fair share of what the slots have together."""
        if self.budget.total_s is None or self._whole_search_s is None:
            return None
        return self._whole_search_s * min(1.0, self.setup.slots / len(self.setup.spaces))

    def _drop_from_portfolio(self, trial: StoredTrial) -> None:
        points = self._portfolio[trial.family]
        for point, origin in points:
            if all(trial.params.get(name) == value for name, value in point.items()):
                points.remove((point, origin))
                return
