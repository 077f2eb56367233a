"""From a run's finished trials to its ensemble, its scores and its bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from data.metrics import loss, score, score_all
from ensembles.export import Contents, ExportMember, write_bundle
from ensembles.selection import Selection, select
from ensembles.uncertainty import UncertaintySum
from errors import TrainingError
from models.base import FitContext, Model, Task
from models.baseline import predict_untuned_lightgbm
from models.trials import StoredTrial, read_trials


@dataclass(frozen=True)
class Member:
    """A trial in the ensemble.

    Attributes:
        trial: The trial.
        weight: Its weight; weights sum to 1.
        noise: Variance of its out-of-fold errors (regression; 0 for classes).
    """

    trial: StoredTrial
    weight: float
    noise: float


@dataclass(frozen=True)
class Ensemble:
    """A built ensemble and what is known of it.

    Attributes:
        members: By falling weight.
        best_single: The trial with the best out-of-fold score.
        oof_score: Score of the ensemble on the validated rows, out of fold, in the metric's direction.
        best_single_oof_score: The same of the best single trial.
        test: Scores on the withheld rows by who ("ensemble", "best_single", "untuned_lightgbm") and metric;
            empty when no rows were withheld, and without the last when there was no time to train it.
        n_candidates: Trials that had finished every fold.
    """

    members: tuple[Member, ...]
    best_single: StoredTrial
    oof_score: float
    best_single_oof_score: float
    test: dict[str, dict[str, float]]
    n_candidates: int


def build_ensemble(
    run: Path, config: EnsembleConfig, metric: str, facts: Mapping[str, Any], context: FitContext
) -> Ensemble:
    """Select members among the finished trials of a run, score them, and write `<run>/bundle`.

    The test rows, where some were withheld, are scored after everything is chosen.

    Args:
        run: Run directory, with `dataset/` and `trials/`.
        config: Limits of the selection.
        metric: What selection optimises.
        facts: Further entries of the manifest.
        context: Threads for predicting test rows and for the baseline, and the baseline's deadline.

    Raises: TrainingError: no trial finished every fold.
    """
    dataset = TabularDataset.load(run / "dataset")
    candidates = [t for t in read_trials(run / "trials") if len(t.folds) == dataset.n_folds]
    if not candidates:
        raise TrainingError(
            f"{run}: no trial is complete (folds: {dataset.n_folds}), so there is nothing to build from; "
            "give the search more time (search.time_budget_s) or fewer folds (data.n_folds, data.val_size)"
        )
    folds = np.asarray(dataset.folds)
    y = np.asarray(dataset.y)[folds >= 0]
    oofs = [t.oof(folds) for t in candidates]
    selection = select(oofs, y, partial(loss, metric), config.max_steps, config.max_members)
    scores = [score(metric, y, oof) for oof in oofs]
    best = int(np.argmin([loss(metric, y, oof) for oof in oofs]))
    members = _members(selection, candidates, oofs, y if dataset.problem_type == "regression" else None)
    oof = sum(w * oofs[i] for i, w in selection.weights.items())
    test = _score_test(members, candidates[best], dataset, context)
    ensemble = Ensemble(
        members=members,
        best_single=candidates[best],
        oof_score=score(metric, y, oof),
        best_single_oof_score=scores[best],
        test=test,
        n_candidates=len(candidates),
    )
    exported = tuple(
        ExportMember(m.trial.name, m.trial.family, m.weight, m.noise, _final_models(m.trial, dataset))
        for m in members
    )
    facts = {**facts, "metric": metric, "scores": summary(ensemble)}
    write_bundle(run / "bundle", Contents(dataset, exported, facts=facts))
    return ensemble


def _final_models(trial: StoredTrial, dataset: TabularDataset) -> tuple[Model, ...]:
    """The models that answer for a trial."""
    return tuple(trial.load_model(record.fold) for record in trial.final_folds(dataset.split))


def summary(ensemble: Ensemble) -> dict[str, Any]:
    """An ensemble's scores as plain values."""
    return {
        "oof": ensemble.oof_score,
        "oof_best_single": ensemble.best_single_oof_score,
        "best_single": ensemble.best_single.name,
        "n_candidates": ensemble.n_candidates,
        "test": ensemble.test,
    }


def count_test_look(run: Path) -> int:
    """Count one more scoring of the run's test rows; returns how many there have been."""
    path = run / "test_looks.json"
    looks = (json.loads(path.read_text("utf-8")) if path.exists() else 0) + 1
    path.write_text(json.dumps(looks), "utf-8")
    return looks


def _members(
    selection: Selection, candidates: list[StoredTrial], oofs: list[np.ndarray], values: np.ndarray | None
) -> tuple[Member, ...]:
    def noise(i: int) -> float:
        return 0.0 if values is None else float(np.mean((oofs[i][:, 0] - values) ** 2))

    members = [Member(candidates[i], weight, noise(i)) for i, weight in selection.weights.items()]
    return tuple(sorted(members, key=lambda m: (-m.weight, m.trial.number)))


def _score_test(
    members: tuple[Member, ...], best: StoredTrial, dataset: TabularDataset, context: FitContext
) -> dict[str, dict[str, float]]:
    if dataset.X_test is None or dataset.y_test is None:
        return {}
    X_test, y_test = np.asarray(dataset.X_test), np.asarray(dataset.y_test)
    is_regression = dataset.problem_type == "regression"
    both = UncertaintySum(is_regression)
    single = UncertaintySum(is_regression)
    weights = {m.trial.name: m.weight for m in members}
    for trial in {t.name: t for t in (best, *(m.trial for m in members))}.values():
        final = trial.final_folds(dataset.split)
        for index, record in enumerate(final):
            model = trial.load_model(record.fold).part_of(index, len(final))
            prediction = model.predict(X_test, context.n_threads)
            if trial.name in weights:
                both.add(prediction, weights[trial.name] / len(final))
            if trial.name == best.name:
                single.add(prediction, 1 / len(final))
    answers = {"ensemble": both.result().mean, "best_single": single.result().mean}
    X, y = np.asarray(dataset.X), np.asarray(dataset.y)
    untuned = predict_untuned_lightgbm(Task.of(dataset), X, y, X_test, context)
    if untuned is not None:
        answers["untuned_lightgbm"] = untuned
    return {who: score_all(y_test, P, dataset.problem_type) for who, P in answers.items()}
