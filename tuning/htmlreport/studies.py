"""Optuna studies in memory, made from the trials on disk, for Optuna's own plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, create_trial

from data.metrics import Metric
from models.trials import StoredTrial


@dataclass(frozen=True)
class FamilyStudy:
    """The scored trials of a family as an Optuna study.

    Attributes:
        study: In memory; its trial i is trials[i].
        trials: Completed and stopped trials with a score. A stopped one counts with the mean of its folds: left
            out, the bad half of the search space would look as if nobody had been there.
        searched: Parameters with more than one possible value that a trial has.
        n_outside: Trials left out because the search space no longer holds their values.
    """

    study: optuna.Study
    trials: tuple[StoredTrial, ...]
    searched: tuple[str, ...]
    n_outside: int


def build_study(
    trials: Sequence[StoredTrial], space: Mapping[str, BaseDistribution], metric: Metric
) -> FamilyStudy:
    """Make the study of one family.

    Args:
        trials: The family's trials.
        space: What is searched of it.
        metric: What is optimised.
    """
    varied = {name: d for name, d in space.items() if not d.single()}
    frozen: list[tuple[StoredTrial, FrozenTrial]] = []
    n_outside = 0
    for trial in trials:
        if trial.state in ("completed", "stopped") and math.isfinite(trial.score):
            made = _freeze(trial, varied)
            n_outside += made is None
            frozen += [(trial, made)] if made else []
    study = optuna.create_study(direction="maximize" if metric.mode == "max" else "minimize")
    study.add_trials([made for _, made in frozen])
    seen = {name for _, made in frozen for name in made.params}
    searched = tuple(name for name in varied if name in seen)
    return FamilyStudy(study, tuple(trial for trial, _ in frozen), searched, n_outside)


def within(family: FamilyStudy, shown: Sequence[float] | None) -> FamilyStudy:
    """The study without the trials whose score lies outside two scores."""
    if shown is None:
        return family
    kept = [i for i, t in enumerate(family.trials) if shown[0] <= t.score <= shown[1]]
    frozen = family.study.get_trials(deepcopy=False)
    study = optuna.create_study(direction=family.study.direction)
    study.add_trials([frozen[i] for i in kept])
    seen = {name for i in kept for name in frozen[i].params}
    searched = tuple(name for name in family.searched if name in seen)
    return replace(family, study=study, trials=tuple(family.trials[i] for i in kept), searched=searched)


def _freeze(trial: StoredTrial, space: Mapping[str, BaseDistribution]) -> FrozenTrial | None:
    params = {name: trial.params[name] for name in space if name in trial.params}
    distributions = {name: space[name] for name in params}
    try:
        return create_trial(params=params, distributions=distributions, value=trial.score)
    except (TypeError, ValueError):  # a value outside its distribution
        return None


def importances(family: FamilyStudy, shown: Sequence[float] | None) -> dict[str, float]:
    """How much of the score each parameter that all trials have explains, largest first; sums to 1.

    Args:
        family: At least a few trials of different scores.
        shown: Scores outside these two count as the nearer one, so that a single bad trial does not decide alone.

    Mean decrease of impurity in a small forest: with tens of trials it finds the parameter that matters more often
    than Optuna's default, and takes a tenth of fANOVA's time (see docs/decisions.md).
    """
    from optuna.importance import (  # noqa: PLC0415 - brings scikit-learn
        MeanDecreaseImpurityImportanceEvaluator,
        get_param_importances,
    )

    evaluator = MeanDecreaseImpurityImportanceEvaluator(n_trees=32, seed=0)
    low, high = shown or (-math.inf, math.inf)
    # Without params=: given names out of alphabetical order, Optuna 5.0 credits each with another's importance.
    found = get_param_importances(
        family.study, evaluator=evaluator, target=lambda t: min(max(t.value or 0.0, low), high)
    )
    return {name: float(share) for name, share in found.items()}
