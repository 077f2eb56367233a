"""What the endpoint refuses, and how it says so."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import (
    BundleError,
    ConfigError,
    ConflictError,
    DataError,
    ModelNotFoundError,
    TabularayError,
    TaskNotFoundError,
    VersionRefusedError,
)
from serving.refusals import OverloadedError, PayloadTooLargeError, UnsupportedMediaTypeError
from serving.schema import Problem

STATUS = {
    ModelNotFoundError: HTTPStatus.NOT_FOUND,
    TaskNotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    VersionRefusedError: HTTPStatus.CONFLICT,
    ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
    PayloadTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
    DataError: HTTPStatus.UNPROCESSABLE_ENTITY,
    BundleError: HTTPStatus.SERVICE_UNAVAILABLE,
}
SHOWN_ERRORS = 5


class BodyLimit:
    """ASGI middleware that stops reading a body at a number of bytes and answers 413."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.max_bytes:
            await self._refuse()(scope, receive, send)
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.max_bytes:
                await self._refuse()(scope, receive, send)
                return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, replay, send)

    def _refuse(self) -> JSONResponse:
        return problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {self.max_bytes:,} bytes"
        )


def problem(status: HTTPStatus, detail: str) -> JSONResponse:
    """An error as a problem document."""
    content = Problem(title=status.phrase, status=status, detail=detail).model_dump()
    return JSONResponse(content, status, media_type="application/problem+json")


def explain_validation(errors: list[dict[str, Any]]) -> str:
    """What is wrong with a request, and where, in one line."""
    lines = []
    for error in errors[:SHOWN_ERRORS]:
        where = ".".join(str(part) for part in error["loc"] if part != "body") or "body"
        lines.append(f"{where}: {error['msg']}")
    more = f"; and {len(errors) - SHOWN_ERRORS} more" if len(errors) > SHOWN_ERRORS else ""
    return "; ".join(lines) + more


def add_error_answers(api: FastAPI) -> None:
    """Answer the project's own errors with their HTTP codes."""

    @api.exception_handler(TabularayError)
    async def _deliberate(_request: Request, error: TabularayError) -> JSONResponse:
        kinds = (status for kind, status in STATUS.items() if isinstance(error, kind))
        return problem(next(kinds, HTTPStatus.INTERNAL_SERVER_ERROR), str(error))

    @api.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, explain_validation(list(error.errors())))

    @api.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(HTTPStatus(error.status_code), str(error.detail))
