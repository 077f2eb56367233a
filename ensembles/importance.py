"""Which columns the ensemble lives on: how much worse it scores when a column's values are shuffled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.schema import ProblemType
from data.encoder import Encoder
from data.metrics import METRICS, score
from ensembles.bundle import Bundle
from ensembles.compare import true_values
from ensembles.thresholds import answered

if TYPE_CHECKING:
    import pandas as pd

# Of withheld rows at the end of a sweep: enough to tell columns apart, few enough for a graph of many trees.
MOST_ROWS = 2000
FEWEST_ROWS = 50
PROBE_ROWS = 50
CHANGE = "prediction_change"


@dataclass(frozen=True)
class ColumnImportance:
    """What a column is worth.

    Attributes:
        column: Its name.
        loss: By metric, how much worse the score got on average; below 0 it got better.
        spread: By metric, the standard deviation over the repetitions.
    """

    column: str
    loss: dict[str, float]
    spread: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"column": self.column, "loss": self.loss, "spread": self.spread}


def permutation_importance(
    bundle: Bundle,
    frame: pd.DataFrame,
    n_repeats: int = 5,
    seed: int = 0,
    on_column: Callable[[str], None] = lambda _: None,
) -> list[ColumnImportance]:
    """Shuffle one raw column after another and score the rows again.

    Columns that say the same hide each other: what is lost with one, the other still tells.

    Args:
        bundle: The model.
        frame: Rows with its target, best such as it was not trained on.
        n_repeats: How often each column is shuffled.
        seed: Seeds the shuffling.
        on_column: Told the name of each column before its turn.

    Returns: by falling loss in the model's own metric.
    Raises: DataError: a column or the target is missing, or a value does not fit.
    Source: Breiman 2001, "Random Forests"; Fisher et al. 2019, model reliance.
    """
    y, X = true_values(bundle, frame), bundle.encode(frame)
    scorer = Scorer(
        lambda rows: bundle.predict_encoded(rows).mean, y, bundle.target.problem_type, bundle.threshold
    )
    rng, base, found = np.random.default_rng(seed), scorer(X), []
    for name, features in column_features(bundle.encoder).items():
        on_column(name)
        found.append(_shuffled(scorer, X, (name, features), base, [rng] * n_repeats))
    own = bundle.manifest["metric"]
    return sorted(found, key=lambda one: -one.loss[own])


def prediction_change(
    bundle: Bundle, n_repeats: int = 5, seed: int = 0, on_column: Callable[[str], None] = lambda _: None
) -> list[ColumnImportance]:
    """How far predictions of the training rows in a bundle move when a column's values are shuffled.

    A number is the mean absolute change of the value, or half the summed change of all classes' probabilities. It
    needs no labels, and says what the model goes by, not whether it is right to.

    Args:
        bundle: The model.
        n_repeats: How often each column is shuffled.
        seed: Seeds the shuffling.
        on_column: Told the name of each column before its turn.

    Returns: by falling change.
    """
    X, rng, found = np.array(bundle.background), np.random.default_rng(seed), []
    base = bundle.predict_encoded(X).mean
    share = 1.0 if bundle.target.problem_type == "regression" else 0.5
    for name, features in column_features(bundle.encoder).items():
        on_column(name)
        changes = []
        for _ in range(n_repeats):
            mixed = X.copy()
            mixed[:, features] = X[rng.permutation(len(X))][:, features]
            changes.append(share * np.abs(bundle.predict_encoded(mixed).mean - base).sum(axis=1).mean())
        found.append(
            ColumnImportance(name, {CHANGE: float(np.mean(changes))}, {CHANGE: float(np.std(changes))})
        )
    return sorted(found, key=lambda one: -one.loss[CHANGE])


@dataclass(frozen=True)
class Scorer:
    """Scores encoded rows by every metric.

    Attributes:
        predict: Encoded rows -> (n_samples, n_outputs).
        y: True values of the rows, (n_samples,).
        problem_type: Which metrics there are.
        threshold: Which class is answered, see ensembles.thresholds; None: the likeliest.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    y: np.ndarray
    problem_type: ProblemType
    threshold: Mapping[str, Any] | None = None

    def __call__(self, X: np.ndarray) -> dict[str, float]:
        """Scores by metric."""
        P = self.predict(X)
        names = [m.name for m in METRICS.values() if self.problem_type in m.problem_types]
        return {name: score(name, self.y, answered(name, P, self.threshold)) for name in names}


def importance_in_time(
    scorer: Scorer, X: np.ndarray, encoder: Encoder, limit_s: float, seed: int = 0
) -> list[ColumnImportance]:
    """Shuffle each column once, on as many of the rows as the time allows.

    Args:
        scorer: Of these rows.
        X: Encoded rows, (n_samples, n_features).
        encoder: Says which features each column became.
        limit_s: Seconds that it may take, about.
        seed: Chooses the rows, and seeds the shuffling.

    Returns: by column, in the encoder's order; empty where the time is too short for FEWEST_ROWS rows.
    """
    groups, n_probe = column_features(encoder), min(len(X), PROBE_ROWS)
    start = time.monotonic()
    scorer.predict(X[:n_probe])
    row_s = (time.monotonic() - start) / n_probe
    n_rows = min(len(X), MOST_ROWS, int(limit_s / (row_s * (len(groups) + 1))))
    if n_rows < min(FEWEST_ROWS, len(X)):
        return []
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(X))[:n_rows]
    X, scorer = X[chosen], replace(scorer, y=scorer.y[chosen])
    base = scorer(X)
    return [_shuffled(scorer, X, group, base, [rng]) for group in groups.items()]


def _shuffled(
    scorer: Scorer,
    X: np.ndarray,
    group: tuple[str, list[int]],
    base: dict[str, float],
    rngs: Sequence[np.random.Generator],
) -> ColumnImportance:
    name, features = group
    losses = []
    for rng in rngs:
        shuffled = X.copy()
        shuffled[:, features] = X[rng.permutation(len(X))][:, features]
        losses.append({k: _loss(k, base[k], v) for k, v in scorer(shuffled).items()})
    values = {k: np.array([loss[k] for loss in losses]) for k in base}
    mean, spread = ({k: float(fn(v)) for k, v in values.items()} for fn in (np.mean, np.std))
    return ColumnImportance(name, mean, spread)


def column_features(encoder: Encoder) -> dict[str, list[int]]:
    """Which encoded features each raw column became, by the column's name."""
    end, places = 0, {}
    for column in encoder.columns:
        start, end = end, end + len(column.feature_names)
        places[column.name] = list(range(start, end))
    return places


def _loss(metric: str, before: float, after: float) -> float:
    return before - after if METRICS[metric].mode == "max" else after - before
