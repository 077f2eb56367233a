"""Members fitted once more, on all rows: one model instead of one per fold."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.dataset import TabularDataset
from data.folds import training_rows
from ensembles.member import Member
from errors import TrainingError
from models.base import FitContext, Fold, Model, Task
from models.families import get_family
from models.trials import FoldRecord, StoredTrial

# What is left for scoring and writing, as a share of the time that is left.
KEEP_SHARE = 0.4
# A fit on all rows may take this much longer than the rows alone let expect.
SLACK = 1.3


def refit_members(
    folder: Path, members: tuple[Member, ...], dataset: TabularDataset, context: FitContext
) -> tuple[tuple[Member, ...], dict[str, str]]:
    """Fit every member on all rows, for as many steps as its folds found best on average.

    The heaviest member comes first. One for which time is short, or whose fit fails, keeps its fold models; so do
    those of a split in time, where one model on all rows answers already.

    Args:
        folder: Where the models go; what was there is replaced.
        members: By falling weight.
        dataset: All rows.
        context: Threads and seed; its deadline is that of the whole build.

    Returns: the members, and for each that was not refitted why.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if dataset.split == "time":
        return members, {m.trial.name: "a split in time has such models already" for m in members}
    deadline = context.deadline
    if deadline is not None:
        now = time.monotonic()
        deadline = now + (1 - KEEP_SHARE) * max(0.0, deadline - now)
    out, reasons = [], {}
    for member in members:
        try:
            out.append(_refit(folder, member, dataset, replace(context, deadline=deadline)))
        except TrainingError as error:
            reasons[member.trial.name] = str(error)
            out.append(member)
    return tuple(out), reasons


def _refit(folder: Path, member: Member, dataset: TabularDataset, context: FitContext) -> Member:
    """Raises: TrainingError: there is too little time, or the fit fails."""
    trial = member.trial
    expected = _expected_s(trial, dataset)
    if context.deadline is not None and time.monotonic() + expected > context.deadline:
        raise TrainingError(f"no time: a fit on all rows takes about {expected:.0f} s")
    start = time.monotonic()
    model = _fit(trial, dataset, replace(context, seed=trial.seed))
    if model.history.stop_reason == "deadline":
        raise TrainingError("no time: the fit was cut off")
    path = folder / trial.name
    (path / "fold_0" / "model").mkdir(parents=True)
    model.save(path / "fold_0" / "model")
    seconds = time.monotonic() - start
    record = FoldRecord(0, float("nan"), seconds, seconds, model.history.stop_reason)
    return replace(member, refitted=replace(trial, path=path, folds=(record,)))


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
