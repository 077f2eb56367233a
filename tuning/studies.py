"""One Optuna study per family: asked in memory, recorded in a journal that optuna-dashboard opens.

Asking costs time that grows with the study, and Optuna's SQLite storage costs 35 ms a trial. So the study that is
asked lives in memory and holds a bounded number of trials, and every ended trial is appended to the journal.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from models.trials import trial_name
from tuning.ledger import Proposal

N_STARTUP_TRIALS = 3
# A study above MOST ended trials is made anew of the best and the newest KEPT / 2.
MOST, KEPT = 400, 200
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=N_STARTUP_TRIALS, multivariate=True, warn_independent_sampling=False
    ),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(
        seed=seed, n_startup_trials=N_STARTUP_TRIALS, warn_independent_sampling=False
    ),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(
        seed=seed, n_startup_trials=N_STARTUP_TRIALS, warn_independent_sampling=False
    ),
}


class FamilyStudy:
    """What Optuna knows of one family.

    A sampler is made anew for each proposal and seeded with its number, so what is proposed depends on the seed, the
    number and the trials seen, not on what a process has drawn before: a resumed sweep proposes the same.

    Args:
        space: What is searched.
        sampler: Key of SAMPLERS.
        seed: Seeds the samplers.
        direction: "maximize" or "minimize".
    """

    def __init__(
        self, space: Mapping[str, BaseDistribution], sampler: str, seed: int, direction: str
    ) -> None:
        self.space = dict(space)
        self.sampler = SAMPLERS[sampler]
        self.seed = seed
        self.direction = direction
        self.study = self._new()
        self.asked: dict[int, optuna.Trial] = {}
        self.n_ended = 0

    def ask(self, number: int, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Propose parameters for a trial, or enter given ones as running.

        Args:
            number: The trial.
            params: What it runs with, if that is settled.

        Returns: the trial's parameters.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.study.sampler = self.sampler((self.seed * 1_000_003 + number) % 2**32)
            if params is not None:
                self.study.enqueue_trial({k: v for k, v in params.items() if k in self.space})
            self.asked[number] = self.study.ask(self.space)
        return self.asked[number].params

    def tell(self, number: int, scores: Sequence[float], outcome: TrialState) -> None:
        """Say how a proposed trial ended.

        Args:
            number: The trial.
            scores: Mean score after each finished fold.
            outcome: COMPLETE, PRUNED (reported at its last fold) or FAIL; a score that is not finite is a FAIL.
        """
        asked = self.asked.pop(number)
        for fold, value in enumerate(scores):
            if np.isfinite(value):
                asked.report(value, fold)
        if outcome is TrialState.COMPLETE and np.isfinite(scores[-1]):
            self.study.tell(asked, scores[-1])
        else:
            failed = outcome is TrialState.COMPLETE
            self.study.tell(asked, state=TrialState.FAIL if failed else outcome)
        self.n_ended += 1
        if self.n_ended > MOST:
            self._shrink()

    def add(self, params: Mapping[str, Any], scores: Sequence[float]) -> None:
        """Enter a finished trial of another sweep; params outside the space are passed over."""
        if holds(self.space, params):
            self.study.add_trial(_frozen(self.space, params, scores, TrialState.COMPLETE))
            self.n_ended += 1

    def _new(self) -> optuna.Study:
        return optuna.create_study(direction=self.direction)

    def _shrink(self) -> None:
        ended = self.study.get_trials(deepcopy=False, states=ENDED)
        sign = 1 if self.direction == "minimize" else -1
        whole = sorted((t for t in ended if t.state is TrialState.COMPLETE), key=lambda t: sign * t.value)
        kept = {t.number: t for t in (*whole[: KEPT // 2], *ended[-KEPT // 2 :])}
        running = {number: asked.params for number, asked in self.asked.items()}
        self.study, self.n_ended = self._new(), len(kept)
        self.study.add_trials([kept[n] for n in sorted(kept)])
        for number, params in running.items():
            self.ask(number, params)


class Journal:
    """The studies of a run on disk: `<run>/study.log`, each ended trial once.

    Args:
        path: The file.
        run: Name of the run; studies are named `<run>/<family>`.
        direction: "maximize" or "minimize".
        spaces: Family -> its space.
    """

    def __init__(
        self, path: Path, run: str, direction: str, spaces: Mapping[str, Mapping[str, BaseDistribution]]
    ) -> None:
        self.spaces = spaces
        storage = JournalStorage(JournalFileBackend(str(path)))
        self.studies = {
            family: optuna.create_study(
                storage=storage, study_name=f"{run}/{family}", direction=direction, load_if_exists=True
            )
            for family in spaces
        }

    def add(self, proposal: Proposal) -> None:
        """Append an ended trial."""
        outcome = proposal.outcome or TrialState.FAIL
        frozen = _frozen(self.spaces[proposal.family], proposal.params, proposal.scores, outcome)
        frozen.set_user_attr("trial", trial_name(proposal.number, proposal.family))
        self.studies[proposal.family].add_trial(frozen)


def _frozen(
    space: Mapping[str, BaseDistribution],
    params: Mapping[str, Any],
    scores: Sequence[float],
    outcome: TrialState,
) -> FrozenTrial:
    finite = {i: float(v) for i, v in enumerate(scores) if np.isfinite(v)}
    if outcome is TrialState.COMPLETE and len(scores) - 1 not in finite:
        outcome = TrialState.FAIL
    return create_trial(
        state=outcome,
        value=finite[len(scores) - 1] if outcome is TrialState.COMPLETE else None,
        params={k: params[k] for k in space},
        distributions=dict(space),
        intermediate_values=finite,
    )


def holds(space: Mapping[str, BaseDistribution], params: Mapping[str, Any]) -> bool:
    """Whether parameters lie in a space."""
    try:
        return all(d._contains(d.to_internal_repr(params[name])) for name, d in space.items())
    except (KeyError, TypeError, ValueError):
        return False
