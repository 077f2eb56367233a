"""Which columns the ensemble lives on: how much worse it scores when a column's values are shuffled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.encoder import Encoder
from data.metrics import METRICS, score_all
from ensembles.bundle import Bundle
from ensembles.compare import true_values

if TYPE_CHECKING:
    import pandas as pd


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
    rng = np.random.default_rng(seed)

    def scores(rows: np.ndarray) -> dict[str, float]:
        return score_all(y, bundle.predict_encoded(rows).mean, bundle.target.problem_type)

    base, found = scores(X), []
    for name, features in column_features(bundle.encoder).items():
        on_column(name)
        losses = []
        for _ in range(n_repeats):
            shuffled = X.copy()
            shuffled[:, features] = X[rng.permutation(len(X))][:, features]
            losses.append({k: _loss(k, base[k], v) for k, v in scores(shuffled).items()})
        values = {k: np.array([loss[k] for loss in losses]) for k in base}
        mean, spread = ({k: float(fn(v)) for k, v in values.items()} for fn in (np.mean, np.std))
        found.append(ColumnImportance(name, mean, spread))
    own = bundle.manifest["metric"]
    return sorted(found, key=lambda one: -one.loss[own])


def column_features(encoder: Encoder) -> dict[str, list[int]]:
    """Which encoded features each raw column became, by the column's name."""
    end, places = 0, {}
    for column in encoder.columns:
        start, end = end, end + len(column.feature_names)
        places[column.name] = list(range(start, end))
    return places


def _loss(metric: str, before: float, after: float) -> float:
    return before - after if METRICS[metric].mode == "max" else after - before
