"""Answers of the routes that FastAPI serves, as its document shows them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Base of answers; model_id is a name of ours, not of pydantic's."""

    model_config = ConfigDict(protected_namespaces=())


class ModelInfo(Answer):
    """A registered version."""

    model_id: str
    aliases: list[str]
    problem_type: str
    target: str
    features: list[str]
    metric: str
    oof_score: float
    test_score: float | None
    n_members: int


class ModelList(Answer):
    """Registered versions."""

    models: list[ModelInfo]


class Health(Answer):
    """That the endpoint is up, and what it serves."""

    status: str
    model_id: str
