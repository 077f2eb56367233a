"""Predictions as people and programs read them: rows of a table, or of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data.cell_format import Unreadable
from data.given import check_frame
from ensembles.bundle import Bundle
from ensembles.conformal import interval, prediction_set
from ensembles.thresholds import decide
from ensembles.uncertainty import EnsemblePrediction
from errors import PredictionError

if TYPE_CHECKING:
    import pandas as pd

UNCERTAINTIES = ("total", "aleatoric", "epistemic")


def answer_rows(
    bundle: Bundle, prediction: EnsemblePrediction, level: float | None = None
) -> list[dict[str, Any]]:
    """One JSON-safe answer per row.

    Classes: predicted_class (in the labels' own type; by the bundle's threshold where it has one), confidence (its
    probability), probabilities (by label), uncertainty. Numbers: predicted_value, uncertainty. With a level also
    prediction_set (labels), or interval (low, high), and level: what holds the truth in that share of rows.

    Raises:
        ConfigError: the level is not in (0, 1).
        PredictionError: the bundle has nothing to make intervals of, or not for so high a level.
    """
    parts = np.column_stack([getattr(prediction, name) for name in UNCERTAINTIES]).tolist()
    uncertainties = [dict(zip(UNCERTAINTIES, row, strict=True)) for row in parts]
    if bundle.target.problem_type == "regression":
        values = prediction.mean[:, 0].tolist()
        answers = [
            {"predicted_value": v, "uncertainty": u} for v, u in zip(values, uncertainties, strict=True)
        ]
    else:
        codes = decide(prediction.mean, bundle.threshold)
        names = [str(c) for c in bundle.target.classes]
        answers = [
            {
                "predicted_class": label,
                "confidence": row[code],
                "probabilities": dict(zip(names, row, strict=True)),
                "uncertainty": uncertainty,
            }
            for label, code, row, uncertainty in zip(
                bundle.target.decode(codes), codes, prediction.mean.tolist(), uncertainties, strict=True
            )
        ]
    if level is None:
        return answers
    ranges = _ranges(bundle, prediction, level)
    return [answer | found | {"level": level} for answer, found in zip(answers, ranges, strict=True)]


def _ranges(bundle: Bundle, prediction: EnsemblePrediction, level: float) -> list[dict[str, Any]]:
    if bundle.target.problem_type == "regression":
        ends = _ends(bundle, prediction, level).tolist()
        return [{"interval": {"low": low, "high": high}} for low, high in ends]
    return [{"prediction_set": labels} for labels in _sets(bundle, prediction, level)]


def _ends(bundle: Bundle, prediction: EnsemblePrediction, level: float) -> np.ndarray:
    return interval(prediction.mean, prediction.members, _conformal(bundle), level)


def _sets(bundle: Bundle, prediction: EnsemblePrediction, level: float) -> list[list[Any]]:
    held = prediction_set(prediction.mean, _conformal(bundle), level)
    return [bundle.target.decode(np.flatnonzero(row)) for row in held]


def _conformal(bundle: Bundle) -> dict[str, Any]:
    if bundle.conformal is None:
        raise PredictionError(
            f"{bundle.path}: the model was stored without what intervals are made of; build it again: "
            "tabularay ensemble RUN"
        )
    return bundle.conformal


def answer_frame(
    bundle: Bundle,
    frame: pd.DataFrame,
    uncertainty: bool = False,
    level: float | None = None,
    unreadable: Unreadable = "error",
) -> pd.DataFrame:
    """One row per row of the table, in order.

    Columns: `prediction`, for classes `probability_<class>` each, and on request `uncertainty_total`,
    `uncertainty_aleatoric`, `uncertainty_epistemic`; with a level `prediction_low` and `prediction_high`, or
    `prediction_set`, a list of labels.

    Args:
        bundle: The model.
        frame: The rows, as they were read.
        uncertainty: Whether its parts are added.
        level: Of intervals and sets.
        unreadable: What becomes of a cell that contradicts how its column was written in training.

    Raises:
        DataError: a column is missing, or a value does not fit.
        ConfigError, PredictionError: see answer_rows.
    """
    import pandas as pd  # noqa: PLC0415 - not on the serving path

    check_frame(frame)
    prediction = bundle.predict(frame, unreadable)
    columns: dict[str, Any] = {}
    if bundle.target.problem_type == "regression":
        columns["prediction"] = prediction.mean[:, 0]
        if level is not None:
            columns |= dict(
                zip(("prediction_low", "prediction_high"), _ends(bundle, prediction, level).T, strict=True)
            )
    else:
        codes = decide(prediction.mean, bundle.threshold)
        columns["prediction"] = bundle.target.decode(codes)
        if level is not None:
            columns["prediction_set"] = _sets(bundle, prediction, level)
        for i, label in enumerate(bundle.target.classes):
            columns[f"probability_{label}"] = prediction.mean[:, i]
    if uncertainty:
        columns |= {f"uncertainty_{name}": getattr(prediction, name) for name in UNCERTAINTIES}
    return pd.DataFrame(columns)


def one_sided(bundle: Bundle, answers: pd.DataFrame) -> list[str]:
    """What is said where no row of a binary problem is called positive: how likely one was, and what would change it.

    Args:
        bundle: The model.
        answers: What answer_frame made.
    """
    positive = bundle.target.positive
    if positive is None or bundle.threshold is not None or (answers["prediction"] == positive).any():
        return []
    highest = f"the highest probability is {answers[f'probability_{positive}'].max():.4g}"
    never = bundle.manifest.get("scores", {}).get("never_positive")
    if never is None:
        return [f"no row is called {positive!r}; {highest}"]
    return [
        f"no row is called {positive!r}; {highest}. A model built with ensemble.threshold=f1 decides from "
        f"{never['threshold']:.4g} on (F1 {never['f1']:.4g} out of fold)"
    ]
