"""Answers of the routes that FastAPI serves, as its document shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Base of answers; model_id is a name of ours, not of pydantic's."""

    model_config = ConfigDict(protected_namespaces=())


class RequestModel(BaseModel):
    """Base of what clients send: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


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
    """That the endpoint is up, and what it serves.

    Attributes:
        status: ok.
        model_id: What answers requests that name no model.
        live: That the process answers.
        ready: That a model is loaded; a replica takes no requests before.
        last_failure: A version that should have been served and was refused; null: none.
    """

    status: str
    model_id: str
    live: bool = True
    ready: bool = True
    last_failure: dict[str, Any] | None = None


class Problem(Answer):
    """An error, as RFC 9457 has it.

    Attributes:
        type: about:blank: the title says it.
        title: The status in words.
        status: HTTP status.
        detail: What, the value got, what was allowed, and where.
        code: Which error; never changes its meaning.
        request_id: The request, as the log names it.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = None
