"""What clients are answered, as JSON or Arrow, and its shape for the API's document."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from ensembles.answers import answer_rows
from ensembles.bundle import Bundle
from ensembles.explanation import bundle_sampler
from ensembles.uncertainty import EnsemblePrediction
from errors import DataError, PredictionError
from serving.requests import Options

Label = bool | int | float | str


class Uncertainty(Struct):
    """How unsure an answer is.

    Classes: entropies in nats, total = aleatoric + epistemic. Numbers: standard deviations in the target's unit,
    total^2 = aleatoric^2 + epistemic^2. Epistemic is what more data could remove.
    """

    total: float
    aleatoric: float
    epistemic: float


class Interval(Struct):
    """Holds the true value in the asked share of rows."""

    low: float
    high: float


class ClassAnswer(Struct, tag_field=None):
    """Answer for one row of a classification model.

    Attributes:
        model_id: The version that answered.
        predicted_class: The decision.
        confidence: Its probability.
        probabilities: Of every class.
        uncertainty: How unsure.
        prediction_set: With ?interval=: classes that hold the true one in that share of rows, at least the likeliest.
        level: With ?interval=: that share.
        explained_class: With ?explain=true: the class of ?class=, else the positive one of two or the likeliest.
        base: With ?explain=true: mean probability of that class over background rows.
        contributions: With ?explain=true: what each column adds; with base they sum to that class's probability.
        contribution_error: With ?explain=true: the largest standard error of the contributions.
        draws: With ?draws=true: each member's own probabilities, uncalibrated.
    """

    model_id: str
    predicted_class: Label
    confidence: float
    probabilities: dict[str, float]
    uncertainty: Uncertainty
    prediction_set: list[Label] | UnsetType = UNSET
    level: float | UnsetType = UNSET
    explained_class: Label | UnsetType = UNSET
    base: float | UnsetType = UNSET
    contributions: dict[str, float] | UnsetType = UNSET
    contribution_error: float | UnsetType = UNSET
    draws: list[list[float]] | UnsetType = UNSET


class ValueAnswer(Struct):
    """Answer for one row of a regression model.

    Attributes:
        model_id: The version that answered.
        predicted_value: In the target's unit.
        uncertainty: How unsure.
        interval: With ?interval=.
        level: With ?interval=: the share of rows whose true value an interval holds.
        base: With ?explain=true: mean prediction of background rows.
        contributions: With ?explain=true: what each column adds; with base they sum to predicted_value.
        contribution_error: With ?explain=true: the largest standard error of the contributions.
        draws: With ?draws=true: each member's own value.
    """

    model_id: str
    predicted_value: float
    uncertainty: Uncertainty
    interval: Interval | UnsetType = UNSET
    level: float | UnsetType = UNSET
    base: float | UnsetType = UNSET
    contributions: dict[str, float] | UnsetType = UNSET
    contribution_error: float | UnsetType = UNSET
    draws: list[float] | UnsetType = UNSET


def answers_of(
    bundle: Bundle, model_id: str, prediction: EnsemblePrediction, options: Options
) -> list[dict[str, Any]]:
    """One answer per row, in the order of the request.

    Raises: DataError: the model has no intervals, or none of so high a level.
    """
    try:
        rows = answer_rows(bundle, prediction, options.interval)
    except PredictionError as error:  # it is the level that cannot be had, not the prediction
        raise DataError(f"query: interval={options.interval}: {error}") from None
    answers = [{"model_id": model_id, **row} for row in rows]
    if options.draws and prediction.members is not None:
        own = (
            prediction.members[:, :, 0] if bundle.target.problem_type == "regression" else prediction.members
        )
        for answer, draws in zip(answers, np.moveaxis(own, 1, 0).tolist(), strict=True):
            answer["draws"] = draws
    return answers


def add_explanation(
    bundle: Bundle, X: np.ndarray, answers: list[dict[str, Any]], outputs: np.ndarray
) -> None:
    """Add to each answer what each column's value adds to the output that is explained.

    Raises: PredictionError: the bundle has no background rows.
    """
    sampler = bundle_sampler(bundle)
    names = [column.name for column in bundle.encoder.columns]
    for x, answer, k in zip(X, answers, outputs, strict=True):
        contributions, errors = sampler.explain(x)
        if bundle.target.classes:
            answer["explained_class"] = bundle.target.classes[k]
        answer["base"] = float(sampler.base[k])
        answer["contributions"] = dict(zip(names, contributions[:, k].tolist(), strict=True))
        answer["contribution_error"] = float(errors[:, k].max())


def json_body(answers: list[dict[str, Any]]) -> bytes:
    """The answer as JSON."""
    return msgspec.json.encode({"predictions": answers})


def arrow_body(answers: list[dict[str, Any]]) -> bytes:
    """The answer as an Arrow IPC stream of one row per answer."""
    import pyarrow as pa  # noqa: PLC0415 - only for who asks for it

    table = pa.Table.from_pylist(answers)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()
