"""Reading a request's body, so much and no more, and in so much time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.refusals import ClientLeftError, PayloadTooLargeError, SlowRequestError


async def read_body(receive: Receive, max_bytes: int, declared: bytes = b"") -> bytes:
    """A request's body.

    Args:
        receive: The request's.
        max_bytes: Most that is read.
        declared: Value of the Content-Length header, where there is one.

    Raises: PayloadTooLargeError: it is larger. ClientLeftError: the client left.
    """
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    message = await receive()
    if not message.get("more_body") and message["type"] == "http.request":
        body = message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        return body
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientLeftError("the client left before its body was read")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


class BodyLimit:
    """ASGI middleware that reads bodies with read_body before the application begins.

    Args:
        app: The application.
        max_bytes: Most that is read of a body.
        seconds: Time a client has to send it.
        streaming: Paths whose bodies are left to the application.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float, streaming: Collection[str] = ()) -> None:
        self.app, self.max_bytes, self.seconds, self.streaming = app, max_bytes, seconds, streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or scope["path"] in self.streaming:
            await self.app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"")
        try:
            async with asyncio.timeout(self.seconds):
                body = await read_body(receive, self.max_bytes, declared)
        except TimeoutError:
            raise slow(self.seconds) from None
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


def slow(seconds: float) -> SlowRequestError:
    """The error of a body that did not come in time."""
    return SlowRequestError(f"the body did not arrive within {seconds:g} s")


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"the body is larger than {max_bytes:,} bytes")
