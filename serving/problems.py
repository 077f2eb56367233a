"""Errors as RFC 9457 problem documents with stable codes."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec

from errors import (
    BundleError,
    ConfigError,
    ConflictError,
    DataError,
    ModelNotFoundError,
    PredictionError,
    ServingError,
    TabularayError,
    TaskNotFoundError,
    TrainingError,
    VersionRefusedError,
)
from serving.refusals import (
    AnswerTimeoutError,
    ForbiddenError,
    OverloadedError,
    PayloadTooLargeError,
    SlowRequestError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)

MEDIA_TYPE = "application/problem+json"
STATUS: dict[type[TabularayError], HTTPStatus] = {
    UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    PayloadTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    SlowRequestError: HTTPStatus.REQUEST_TIMEOUT,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
    AnswerTimeoutError: HTTPStatus.GATEWAY_TIMEOUT,
    ModelNotFoundError: HTTPStatus.NOT_FOUND,
    TaskNotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    VersionRefusedError: HTTPStatus.CONFLICT,
    ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DataError: HTTPStatus.UNPROCESSABLE_ENTITY,
    BundleError: HTTPStatus.SERVICE_UNAVAILABLE,
    PredictionError: HTTPStatus.INTERNAL_SERVER_ERROR,
    TrainingError: HTTPStatus.CONFLICT,
    ServingError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
ROOM = 2000
SHOWN_ERRORS = 5


def status_of(error: TabularayError) -> HTTPStatus:
    """The HTTP status of an error: that of its nearest ancestor in STATUS."""
    return next(
        (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), HTTPStatus.INTERNAL_SERVER_ERROR
    )


def code_of(error: TabularayError) -> str:
    """The stable code of an error: its class's name, like data_load_error."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def problem_body(status: HTTPStatus, detail: str, code: str, request_id: str | None = None) -> bytes:
    """The document, as JSON."""
    document = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail[:ROOM]}
    document["code"] = code
    if request_id is not None:
        document["request_id"] = request_id
    return msgspec.json.encode(document)


def problem_headers(error: Exception) -> dict[str, str]:
    """Headers that go with an error's document."""
    if isinstance(error, OverloadedError):
        return {"retry-after": str(error.retry_after_s)}
    if isinstance(error, UnauthorizedError):
        return {"www-authenticate": "Bearer"}
    return {}


def describe(
    error: TabularayError, request_id: str | None = None
) -> tuple[HTTPStatus, bytes, dict[str, Any]]:
    """Status, body and headers of an error's answer."""
    status = status_of(error)
    return status, problem_body(status, str(error), code_of(error), request_id), problem_headers(error)


def explain_validation(errors: list[dict[str, Any]]) -> str:
    """What is wrong with a request, and where, in one line."""
    lines = []
    for error in errors[:SHOWN_ERRORS]:
        where = ".".join(str(part) for part in error["loc"] if part != "body") or "body"
        lines.append(f"{where}: {error['msg']}")
    more = f"; and {len(errors) - SHOWN_ERRORS} more" if len(errors) > SHOWN_ERRORS else ""
    return "; ".join(lines) + more
