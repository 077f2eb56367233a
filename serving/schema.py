"""Requests and answers of the endpoint, as its OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, model_validator

Cell = StrictBool | int | float | StrictStr | None
Values = Annotated[list[Cell], Field(min_length=1)]
Label = StrictBool | int | float | StrictStr


class RequestModel(BaseModel):
    """Base of what clients send: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class Rows(RequestModel):
    """Rows to predict, as `records` or as `features`; exactly one of them."""

    records: list[dict[str, Cell]] | None = Field(
        None,
        min_length=1,
        description="Column name to value, per row; null or absent cells need not be guessed.",
    )
    features: Values | list[Values] | None = Field(
        None,
        min_length=1,
        description="One row's values, or several rows', in the order of the model's features.",
    )

    @model_validator(mode="after")
    def _one_of(self) -> Rows:
        if (self.records is None) == (self.features is None):
            raise ValueError("give either 'records' or 'features'")
        return self

    def rows(self) -> list[Any]:
        """The rows as a list, whichever way they came."""
        if self.records is not None:
            return self.records
        features = self.features or []
        return features if isinstance(features[0], list) else [features]


class PredictRequest(RequestModel):
    """A request for predictions."""

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"data": {"records": [{"age": 42, "city": "Seoul"}]}}]},
    )

    data: Rows
    model_id: str | None = Field(
        None,
        description="NAME, NAME:VERSION or NAME@ALIAS; default: the production version of the served model.",
    )


class Uncertainty(BaseModel):
    """How unsure an answer is.

    Classes: entropies in nats, total = aleatoric + epistemic. Numbers: standard deviations in the target's
    unit, total^2 = aleatoric^2 + epistemic^2. Epistemic is what more data could remove.
    """

    total: float
    aleatoric: float
    epistemic: float


class ClassAnswer(BaseModel):
    """Answer for one row of a classification model."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    predicted_class: Label
    confidence: float
    probabilities: dict[str, float]
    uncertainty: Uncertainty


class ValueAnswer(BaseModel):
    """Answer for one row of a regression model."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    predicted_value: float
    uncertainty: Uncertainty


class PredictResponse(BaseModel):
    """One answer per row, in the order of the request."""

    predictions: list[ClassAnswer | ValueAnswer]


class ModelInfo(BaseModel):
    """A registered version."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    aliases: list[str]
    problem_type: str
    target: str
    features: list[str]
    metric: str
    oof_score: float
    test_score: float | None
    n_members: int


class ModelList(BaseModel):
    """Registered versions."""

    models: list[ModelInfo]


class Health(BaseModel):
    """That the endpoint is up, and what it serves."""

    model_config = ConfigDict(protected_namespaces=())

    status: str
    model_id: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
