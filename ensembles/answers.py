"""Predictions as people and programs read them: rows of a table, or of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ensembles.bundle import Bundle
from ensembles.uncertainty import EnsemblePrediction
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd

UNCERTAINTIES = ("total", "aleatoric", "epistemic")


def answer_rows(bundle: Bundle, prediction: EnsemblePrediction) -> list[dict[str, Any]]:
    """One JSON-safe answer per row.

    Classes: predicted_class (in the labels' own type), confidence (its probability), probabilities
    (by label), uncertainty. Numbers: predicted_value, uncertainty.
    """
    parts = np.column_stack([getattr(prediction, name) for name in UNCERTAINTIES]).tolist()
    uncertainties = [dict(zip(UNCERTAINTIES, row, strict=True)) for row in parts]
    if bundle.target.problem_type == "regression":
        values = prediction.mean[:, 0].tolist()
        return [{"predicted_value": v, "uncertainty": u} for v, u in zip(values, uncertainties, strict=True)]
    labels = bundle.target.decode(prediction.mean.argmax(1))
    names = [str(c) for c in bundle.target.classes]
    return [
        {
            "predicted_class": label,
            "confidence": max(row),
            "probabilities": dict(zip(names, row, strict=True)),
            "uncertainty": uncertainty,
        }
        for label, row, uncertainty in zip(labels, prediction.mean.tolist(), uncertainties, strict=True)
    ]


def answer_frame(
    bundle: Bundle, frame: pd.DataFrame, id_column: str | None = None, uncertainty: bool = False
) -> pd.DataFrame:
    """One row per row of the table, in order.

    Columns: the id where one is named, `prediction`, for classes `probability_<class>` each, and on request
    `uncertainty_total`, `uncertainty_aleatoric`, `uncertainty_epistemic`.

    Raises: DataError: a column is missing, or a value does not fit.
    """
    import pandas as pd  # noqa: PLC0415 - not on the serving path

    if id_column is not None and id_column not in frame.columns:
        raise DataError(
            f"--id-column '{id_column}': no such column; there is: {', '.join(map(str, frame.columns))}"
        )
    prediction = bundle.predict(frame)
    columns: dict[str, Any] = {} if id_column is None else {id_column: frame[id_column].to_numpy()}
    if bundle.target.problem_type == "regression":
        columns["prediction"] = prediction.mean[:, 0]
    else:
        columns["prediction"] = bundle.target.decode(prediction.mean.argmax(1))
        for i, label in enumerate(bundle.target.classes):
            columns[f"probability_{label}"] = prediction.mean[:, i]
    if uncertainty:
        columns |= {f"uncertainty_{name}": getattr(prediction, name) for name in UNCERTAINTIES}
    return pd.DataFrame(columns)
