"""What a sweep knows of its trials, and the few figures of each family that decisions are made from."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from optuna.trial import TrialState

RECENT = 20


@dataclass
class Proposal:
    """A trial as the search remembers it.

    Attributes:
        number: Place in the sweep, from 0.
        family: Family key.
        params: What was asked for.
        origin: "portfolio", "warm_start", or the sampler's name.
        why: Why it was chosen, for the log.
        told: Whether Optuna has been told.
        scores: Mean score after each finished fold.
        spent_s: Seconds its workers have reported so far.
        outcome: None while running; then how Optuna is told.
        gain: How much it lowered the loss of the running ensemble.
    """

    number: int
    family: str
    params: dict[str, Any]
    origin: str
    why: str
    scores: list[float] = field(default_factory=list)
    spent_s: float = 0.0
    outcome: TrialState | None = None
    gain: float = 0.0
    told: bool = False


@dataclass
class FamilyFacts:
    """Sums over the trials of one family, so that a decision costs the same after 10 trials and after 10,000.

    Attributes:
        n_proposed: Trials proposed.
        n_told, n_told_failed: Trials, and failed ones, that Optuna has been told of.
        ended_s: Seconds spent on trials that ended.
        whole: Seconds and number of trials with a finished fold, scaled to all folds; and the shortest.
        running: Trials in flight.
        history: Gain and seconds of the last trials that ended, oldest first.
    """

    n_proposed: int = 0
    n_told: int = 0
    n_told_failed: int = 0
    ended_s: float = 0.0
    whole_sum_s: float = 0.0
    n_whole: int = 0
    whole_min_s: float | None = None
    running: dict[int, Proposal] = field(default_factory=dict)
    history: deque[tuple[float, float]] = field(default_factory=partial(deque, maxlen=RECENT))

    @property
    def usual_s(self) -> float:
        """Mean seconds of a whole trial; 0 while unknown."""
        return self.whole_sum_s / self.n_whole if self.n_whole else 0.0

    @property
    def spent_s(self) -> float:
        """Seconds spent on the family; a trial in flight counts at least as much as a usual one."""
        return self.ended_s + sum(max(p.spent_s, self.usual_s) for p in self.running.values())


class Ledger:
    """All trials of a sweep.

    Args:
        families: Families searched.
        n_folds: Folds of a complete trial.
    """

    def __init__(self, families: tuple[str, ...], n_folds: int) -> None:
        self.n_folds = n_folds
        self.proposals: dict[int, Proposal] = {}
        self.families = {family: FamilyFacts() for family in families}
        self.rungs: dict[tuple[str, int], list[tuple[int, float]]] = {}

    @property
    def next_number(self) -> int:
        """The number after the last one; a trial that was never begun may have left a gap."""
        return max(self.proposals, default=-1) + 1

    @property
    def n_searched(self) -> int:
        """Trials that the search proposed: all but a quick one."""
        return sum(facts.n_proposed for facts in self.families.values())

    def add(self, proposal: Proposal) -> None:
        """A trial is proposed."""
        self.proposals[proposal.number] = proposal
        facts = self.families[proposal.family]
        facts.n_proposed += 1
        facts.running[proposal.number] = proposal

    def progress(self, number: int, scores: list[float], spent_s: float) -> None:
        """A trial has finished folds.

        Args:
            number: The trial.
            scores: Mean score after each of its finished folds.
            spent_s: Seconds its workers have spent on it.
        """
        proposal = self.proposals[number]
        for n_folds in range(len(proposal.scores) + 1, len(scores) + 1):
            self.rungs.setdefault((proposal.family, n_folds), []).append((number, scores[n_folds - 1]))
        proposal.scores, proposal.spent_s = list(scores), spent_s

    def end(self, number: int, outcome: TrialState, gain: float = 0.0) -> None:
        """A trial has ended.

        Args:
            number: The trial.
            outcome: COMPLETE, PRUNED or FAIL.
            gain: How much it lowered the loss of the running ensemble.
        """
        proposal = self.proposals[number]
        proposal.outcome, proposal.gain = outcome, gain
        facts = self.families[proposal.family]
        facts.running.pop(number, None)
        facts.ended_s += proposal.spent_s
        facts.history.append((gain, proposal.spent_s))
        if proposal.scores:
            whole_s = proposal.spent_s * self.n_folds / len(proposal.scores)
            facts.whole_sum_s += whole_s
            facts.n_whole += 1
            facts.whole_min_s = min(whole_s, whole_s if facts.whole_min_s is None else facts.whole_min_s)

    def rung(self, number: int, n_folds: int, last: int, most: int = 500) -> list[float]:
        """Scores at a rung that a trial may be compared with.

        Args:
            number: The trial that asks.
            n_folds: Finished folds, from 1.
            last: Newest trial that counts.
            most: Trials compared with at most, the newest.
        """
        family = self.proposals[number].family
        peers = [
            peer for peer in self.rungs.get((family, n_folds), ()) if peer[0] <= last and peer[0] != number
        ]
        return [score for _n, score in sorted(peers)[-most:]]
