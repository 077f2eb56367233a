"""From a run's finished trials to its ensemble, its scores and its bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import EnsembleConfig
from data.dataset import TabularDataset
from data.metrics import METRICS, score
from ensembles.admission import constant_score
from ensembles.bootstrap import score_interval
from ensembles.calibration import n_errors, sharpened
from ensembles.candidates import Candidates
from ensembles.choice import choose
from ensembles.conformal import within
from ensembles.crossfit import cross_answer
from ensembles.export import Contents, write_bundle
from ensembles.honesty import Honesty, Validated, learn_honesty
from ensembles.member import Deployed, Member, order_of
from ensembles.refit import refit_members
from ensembles.scoring import in_time, score_test
from ensembles.selection import Selection
from ensembles.shrinkage import sharpness, spread_factor
from ensembles.thresholds import OF_CLASSES, Goal, check_goal, fit_threshold
from errors import TrainingError
from models.base import FitContext
from models.trials import StoredTrial, read_trials


@dataclass(frozen=True)
class Ensemble:
    """A built ensemble and what is known of it.

    Attributes:
        members: By falling weight.
        best_single: The trial with the best out-of-fold score.
        constant_score: Score of the best constant prediction on those rows.
        oof_score: Score of the ensemble on the validated rows, out of fold, in the metric's direction: each fold
            answered by what was selected, calibrated and decided without it.
        best_single_oof_score: Score of the best single trial on these rows, out of fold.
        honesty: Calibration, conformal scores and threshold.
        test: Scores on the withheld rows by who ("ensemble", "best_single", "untuned_lightgbm") and metric;
            empty when no rows were withheld, and without the last when there was no time to train it.
        intervals: 95 % intervals of scores: "oof", and "test" as test; without what there was no time for.
        test_honesty: Coverage and calibration on the withheld rows; empty as above.
        n_candidates: Trials that had finished every fold.
        notes: What a row is reckoned to take, what was refitted, and how much probabilities were sharpened.
    """

    members: tuple[Member, ...]
    best_single: StoredTrial
    constant_score: float
    oof_score: float
    best_single_oof_score: float
    honesty: Honesty
    test: dict[str, dict[str, float]]
    intervals: dict[str, Any]
    test_honesty: dict[str, Any]
    n_candidates: int
    notes: dict[str, Any]


def build_ensemble(
    run: Path, config: EnsembleConfig, metric: str, facts: Mapping[str, Any], context: FitContext
) -> Ensemble:
    """Select members among the finished trials of a run, score them, and write `<run>/bundle`.

    The test rows, where some were withheld, are scored after everything is chosen.

    Args:
        run: Run directory, with `dataset/` and `trials/`.
        config: Limits of the selection, and what is asked of the ensemble.
        metric: What selection optimises.
        facts: Further entries of the manifest.
        context: Threads for predicting test rows, refitting and the baseline, and the deadline of both.

    Raises:
        ConfigError: `ensemble.threshold` does not fit the target.
        TrainingError: no trial finished every fold.
    """
    dataset = TabularDataset.load(run / "dataset")
    check_goal(config.threshold, dataset.target.classes)
    folds = np.asarray(dataset.folds)
    y = np.asarray(dataset.y)[folds >= 0]
    candidates = Candidates(_complete(run, dataset), folds)
    choice = choose(candidates, y, metric, config, dataset, context.n_threads)
    fitting = choice.fitting
    selection = fitting.selection
    notes: dict[str, Any] = {"latency_ms": {"estimate": round(fitting.row_ms, 3), "limit": fitting.limit_ms}}
    from_loss = METRICS[metric].from_loss
    if choice.simpler:
        found = map(from_loss, choice.losses)
        notes["simpler"] = dict(zip(("ensemble", "best_single"), found, strict=True))
    members, rows = _members(selection, candidates, fitting.models, y, folds[folds >= 0])
    honesty = learn_honesty(rows, dataset.problem_type, config.threshold, dataset.n_rows)
    if config.refit:
        members, reasons = refit_members(run / "refit", members, dataset, config.refit, context)
        notes["refitted"] = {"members": sum(m.refitted is not None for m in members), "kept": reasons}
    of_folds = honesty.calibration
    if dataset.problem_type == "regression":
        honesty.conformal["spread_factor"] = spread_factor(members, dataset, context.n_threads)
    else:
        known = n_errors(rows.mean, y)
        notes["sharpness"] = sharpness(members, dataset, of_folds, known, context.n_threads)
        honesty = replace(honesty, calibration=sharpened(of_folds, notes["sharpness"]))
    best = candidates.trials[selection.best]
    goal = config.threshold
    single_threshold = None if goal is None else fit_threshold(candidates[selection.best], y, goal)
    test = score_test(members, best, honesty, dataset, context, single_threshold)
    intervals: dict[str, Any] = {"test": test.intervals} if test.intervals else {}
    answers = _cross_answers(choice.crossed, metric, rows, honesty, dataset, goal)
    if in_time(context):
        blocks = None if dataset.blocks is None else np.asarray(dataset.blocks)[folds >= 0]
        intervals["oof"] = list(score_interval(metric, y, answers, blocks=blocks))
    ensemble = Ensemble(
        members=members,
        best_single=best,
        constant_score=constant_score(metric, y, len(dataset.target.classes)),
        oof_score=score(metric, y, answers),
        best_single_oof_score=from_loss(selection.best_loss),
        honesty=honesty,
        test=test.scores,
        intervals=intervals,
        test_honesty=test.honesty,
        n_candidates=len(candidates),
        notes=notes,
    )
    facts = {**facts, "metric": metric, "scores": summary(ensemble)}
    learned = (honesty.calibration, honesty.conformal, honesty.threshold)
    loaded = tuple(m.loaded for m in members)
    contents = Contents(dataset, loaded, *learned, test.raw, facts, context.deadline, context.n_threads)
    write_bundle(run / "bundle", contents)
    return ensemble


def summary(ensemble: Ensemble) -> dict[str, Any]:
    """An ensemble's scores as plain values."""
    return {
        "oof": ensemble.oof_score,
        "oof_best_single": ensemble.best_single_oof_score,
        "constant": ensemble.constant_score,
        "best_single": ensemble.best_single.name,
        "n_candidates": ensemble.n_candidates,
        **ensemble.honesty.report,
        **ensemble.notes,
        "test": ensemble.test,
        "intervals": ensemble.intervals,
        "test_honesty": ensemble.test_honesty,
    }


def count_test_look(run: Path) -> int:
    """Count one more scoring of the run's test rows; returns how many there have been."""
    path = run / "test_looks.json"
    looks = (json.loads(path.read_text("utf-8")) if path.exists() else 0) + 1
    path.write_text(json.dumps(looks), "utf-8")
    return looks


def _cross_answers(
    crossed: np.ndarray,
    metric: str,
    rows: Validated,
    honesty: Honesty,
    dataset: TabularDataset,
    goal: Goal | None,
) -> np.ndarray:
    """What the metric scores of the validated rows, (n_validated, n_outputs)."""
    if dataset.problem_type == "regression":
        return within(crossed, honesty.conformal["limits"])
    if (
        metric == "roc_auc"
    ):  # the deployed calibration keeps the order that it measures; one for each fold would not
        return crossed
    kind = honesty.report["calibration"]["kind"]
    P, chosen = cross_answer(crossed, rows.y, rows.folds, kind, dataset.n_rows, goal)
    return P if chosen is None or metric not in OF_CLASSES else np.eye(P.shape[1])[chosen]


def _complete(run: Path, dataset: TabularDataset) -> list[StoredTrial]:
    found = [t for t in read_trials(run / "trials") if len(t.folds) == dataset.n_folds and t.has_models]
    if not found:
        raise TrainingError(
            f"{run}: no trial is complete (folds: {dataset.n_folds}), so there is nothing to build from; "
            "give the search more time (search.time_budget_s) or fewer folds (data.n_folds, data.val_size)"
        )
    return found


def _members(
    selection: Selection,
    candidates: Candidates,
    models: Mapping[int, Deployed],
    y: np.ndarray,
    folds: np.ndarray,
) -> tuple[tuple[Member, ...], Validated]:
    """The members by falling weight, and their out-of-fold predictions in the same order."""
    order = order_of(candidates.trials, selection.weights)
    oofs = [candidates[i] for i in order]

    def noise(P: np.ndarray) -> float:
        return float(np.mean((P[:, 0] - y) ** 2)) if P.shape[1] == 1 else 0.0

    weights = [selection.weights[i] for i in order]
    members = [
        Member(candidates.trials[i], w, noise(P), models[i])
        for i, w, P in zip(order, weights, oofs, strict=True)
    ]
    return tuple(members), Validated(y, folds, oofs, weights)
