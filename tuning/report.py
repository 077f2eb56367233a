"""What a finished sweep shows: the leaderboard as rows, and the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib.figure import Figure

from data.metrics import Metric
from models.trials import StoredTrial

FAMILY_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")


def leaderboard(
    trials: Sequence[StoredTrial],
    metric: Metric,
    weights: dict[str, float],
    scores: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """One row per trial, best first; trials that finished every fold come before the others.

    Args:
        trials: Trials of a sweep.
        metric: What was optimised.
        weights: Trial name -> weight in the ensemble.
        scores: Trial name -> score over all its rows; without, the mean of the scores of its folds.
    """
    found = {t.name: t.score for t in trials} | dict(scores or {})
    sign = 1 if metric.mode == "max" else -1

    def place(trial: StoredTrial) -> tuple[bool, float]:
        score = -math.inf if math.isnan(found[trial.name]) else sign * found[trial.name]
        return trial.state == "completed", score

    return [
        {
            "trial": trial.name,
            "family": trial.family,
            metric.name: None if math.isnan(found[trial.name]) else found[trial.name],
            "folds": len(trial.folds),
            "fit_s": round(trial.fit_s, 3),
            "weight": weights.get(trial.name, 0.0),
            "state": trial.state,
            "origin": trial.origin,
            "reason": trial.reason,
        }
        for trial in sorted(trials, key=place, reverse=True)
    ]


def write_figures(
    folder: Path, trials: Sequence[StoredTrial], metric: Metric, weights: dict[str, float]
) -> None:
    """Write the optimisation history, the loss curves and the member weights as PNG.

    Args:
        folder: Where to write.
        trials: Trials of a sweep.
        metric: What was optimised.
        weights: Trial name -> weight in the ensemble.
    """
    families = list(dict.fromkeys(t.family for t in trials))
    colours = {f: FAMILY_COLOURS[i % len(FAMILY_COLOURS)] for i, f in enumerate(families)}
    _history(folder / "optimisation_history.png", trials, metric, colours)
    _losses(folder / "loss_curves.png", trials, colours)
    if weights:
        _weights(folder / "member_weights.png", trials, weights, colours)


def _history(path: Path, trials: Sequence[StoredTrial], metric: Metric, colours: dict[str, str]) -> None:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for family, colour in colours.items():
        mine = [t for t in trials if t.family == family and not math.isnan(t.score)]
        for state, marker in (("completed", "o"), ("stopped", "x")):
            shown = [t for t in mine if t.state == state]
            label = family if state == "completed" else None
            axes.plot([t.number for t in shown], [t.score for t in shown], marker, color=colour, label=label)
    complete = [t for t in sorted(trials, key=lambda t: t.number) if t.state == "completed"]
    better = max if metric.mode == "max" else min
    best: list[float] = []
    for trial in complete:
        best.append(better([*best[-1:], trial.score]))
    axes.step([t.number for t in complete], best, where="post", color="black", lw=1, label="best so far")
    axes.set(xlabel="trial (x: stopped early)", ylabel=metric.name, title="Optimisation history")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)


def _losses(path: Path, trials: Sequence[StoredTrial], colours: dict[str, str]) -> None:
    """One panel a family: validation loss (solid) and training loss (dotted) of each trial's first fold."""
    families = [f for f in colours if any(t.family == f and t.folds and t.folds[0].val_loss for t in trials)]
    if not families:
        return
    figure = Figure(figsize=(3.2 * len(families), 3.4), layout="constrained")
    panels = figure.subplots(1, len(families), squeeze=False)[0]
    for family, axes in zip(families, panels, strict=True):
        for trial in trials:
            if trial.family == family and trial.folds:
                record = trial.folds[0]
                steps = [i * record.every for i in range(len(record.val_loss))]
                axes.plot(steps, record.val_loss, color=colours[family], lw=1, alpha=0.7)
                axes.plot(
                    steps[: len(record.train_loss)],
                    record.train_loss[: len(steps)],
                    ":",
                    color=colours[family],
                    lw=0.8,
                    alpha=0.5,
                )
        axes.set(title=family, xlabel="step")
    panels[0].set_ylabel("loss of the first fold (dotted: training)")
    figure.savefig(path, dpi=110)


def _weights(
    path: Path, trials: Sequence[StoredTrial], weights: dict[str, float], colours: dict[str, str]
) -> None:
    family = {t.name: t.family for t in trials}
    names = sorted(weights, key=weights.__getitem__)
    figure = Figure(figsize=(7, 0.9 + 0.32 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, [weights[n] for n in names], color=[colours[family[n]] for n in names])
    axes.set(xlabel="weight", title="Members of the ensemble")
    figure.savefig(path, dpi=110)
