"""Members fitted once more, on all rows: fewer models, each of which has learned from more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from data.dataset import TabularDataset
from data.folds import training_rows
from ensembles.member import Deployed, Member
from errors import TrainingError
from models.base import FitContext, Fold, Model, Task
from models.families import get_family
from models.trials import FoldRecord, StoredTrial

# What is left for scoring and writing, as a share of the time that is left.
KEEP_SHARE = 0.4
# A fit on all rows may take this much longer than the rows alone let expect.
SLACK = 1.3
# With `auto`, a member has at most so many models on all rows, with seeds of their own.
MOST_MODELS = 3
PROBE_ROWS = 256

Refit = bool | Literal["auto"]


def n_answering(kept: Deployed, refit: Refit) -> int:
    """How many models answer for a member, if there is time to fit them.

    Args:
        kept: Its fold models that answer otherwise.
        refit: `ensemble.refit`.
    """
    if refit is True:
        return 1
    if refit == "auto" and get_family(kept.trial.family).refits_well:
        return min(len(kept.folds), MOST_MODELS)
    return len(kept.folds)


def refit_members(
    folder: Path, members: Sequence[Member], dataset: TabularDataset, refit: Refit, context: FitContext
) -> tuple[tuple[Member, ...], dict[str, str]]:
    """Fit members on all rows, for as many steps as their folds found best on average.

    Each gets its first model before any gets its second, the heaviest first. One for which time is short, or whose fit
    fails, keeps its fold models; so do those of a split in time, where one model on all rows answers already.

    Args:
        folder: Where the models go; what was there is replaced.
        members: By falling weight.
        dataset: All rows.
        refit: All members with one model each, or with `auto` those whose family says that it pays.
        context: Threads and seed; its deadline is that of the whole build.

    Returns: the members, and for each that was meant to be refitted and was not, why.
    """
    shutil.rmtree(folder, ignore_errors=True)
    chosen = [m for m in members if refit is True or get_family(m.trial.family).refits_well]
    if dataset.split == "time":
        return tuple(members), {m.trial.name: "a split in time has such models already" for m in chosen}
    if context.deadline is not None:
        now = time.monotonic()
        context = replace(context, deadline=now + (1 - KEEP_SHARE) * max(0.0, context.deadline - now))
    orders = list(_orders(folder, chosen, refit))
    found, reasons = _fit_all(orders, dataset, context)
    out = [_refitted(m, folder, found.get(m.trial.name, [])) for m in members]
    return tuple(out), {name: why for name, why in reasons.items() if name not in found}


@dataclass(frozen=True)
class _Order:
    """A model to fit: the trial, the model's number, and where it goes."""

    trial: StoredTrial
    number: int
    path: Path


@dataclass(frozen=True)
class _Fitted:
    """A model's record, and its answers to some rows: without anything random, seeds give the same model."""

    record: FoldRecord
    answers: np.ndarray


def _orders(folder: Path, members: Sequence[Member], refit: Refit) -> Iterator[_Order]:
    for number in range(MOST_MODELS):
        for m in members:
            if number < n_answering(m.kept, refit):
                yield _Order(m.trial, number, folder / m.trial.name)


def _fit_all(
    orders: Sequence[_Order], dataset: TabularDataset, context: FitContext
) -> tuple[dict[str, list[FoldRecord]], dict[str, str]]:
    """Fit in order, as many at once as there are threads where the libraries can; what was fitted, and what not."""
    found: dict[str, list[FoldRecord]] = {}
    reasons: dict[str, str] = {}

    answers: dict[str, list[np.ndarray]] = {}

    def fit(order: _Order, context: FitContext) -> _Fitted | TrainingError:
        try:
            return _refit(order, dataset, context)
        except TrainingError as error:
            return error

    alone = [o for o in orders if not get_family(o.trial.family).refits_well]
    beside = [o for o in orders if get_family(o.trial.family).refits_well]
    single = replace(context, n_threads=1)
    with ThreadPoolExecutor(context.n_threads) as pool:
        ended = list(pool.map(lambda order: fit(order, single), beside))
    ended += [fit(order, context) for order in alone]
    for order, one in zip([*beside, *alone], ended, strict=True):
        name = order.trial.name
        if isinstance(one, TrainingError):
            reasons[name] = str(one)
        elif not any(np.array_equal(one.answers, known) for known in answers.setdefault(name, [])):
            answers[name].append(one.answers)
            found.setdefault(name, []).append(one.record)
    return found, reasons


def _refitted(member: Member, folder: Path, records: list[FoldRecord]) -> Member:
    if not records:
        return member
    trial = replace(member.trial, path=folder / member.trial.name, folds=tuple(records))
    return replace(member, refitted=trial)


def _refit(order: _Order, dataset: TabularDataset, context: FitContext) -> _Fitted:
    """Raises: TrainingError: there is too little time, or the fit fails."""
    trial = order.trial
    expected = _expected_s(trial, dataset)
    if context.deadline is not None and time.monotonic() + expected > context.deadline:
        raise TrainingError(f"no time: a fit on all rows takes about {expected:.0f} s")
    start = time.monotonic()
    model = _fit(trial, dataset, replace(context, seed=trial.seed + order.number))
    if model.history.stop_reason == "deadline":
        raise TrainingError("no time: the fit was cut off")
    path = order.path / f"fold_{order.number}" / "model"
    path.mkdir(parents=True)
    model.save(path)
    seconds = time.monotonic() - start
    record = FoldRecord(order.number, float("nan"), seconds, seconds, model.history.stop_reason)
    return _Fitted(record, model.predict(np.asarray(dataset.X[:PROBE_ROWS]), context.n_threads).mean)


def _fit(trial: StoredTrial, dataset: TabularDataset, context: FitContext) -> Model:
    family = get_family(trial.family)
    steps = round(float(np.mean([f.best_step for f in trial.folds]))) + 1
    X, y = np.asarray(dataset.X), np.asarray(dataset.y)
    # Whoever fits must be given rows to stop on; these were learned from, so the last step is the best one.
    val = np.asarray(dataset.folds) == 0
    fold = Fold(X, y, X[val], y[val])
    return family.fit(trial.params | {family.steps_param: steps}, Task.of(dataset), fold, context)


def _expected_s(trial: StoredTrial, dataset: TabularDataset) -> float:
    folds = np.asarray(dataset.folds)
    shares = [training_rows(folds, f.fold, dataset.split).mean() for f in trial.folds]
    return SLACK * float(np.mean([f.fit_s / share for f, share in zip(trial.folds, shares, strict=True)]))
