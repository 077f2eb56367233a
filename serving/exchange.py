"""One request and its answer, from the first byte to the line in the log."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import TabularayError
from serving.monitoring import Metrics
from serving.problems import MEDIA_TYPE, code_of, describe, problem_body
from serving.refusals import ClientLeftError
from serving.requestlog import RequestIds, RequestLog

KEY = "tabularay.exchange"
FLUSH_S = 0.5
# The client left before it was answered; nobody sees this status but the log.
CLIENT_LEFT = 499
logger = logging.getLogger("tabularay.serving")


class Exchange:
    """What is known of a request when it is over."""

    __slots__ = ("code", "model_id", "principal", "request_id", "route", "rows", "status", "trace")

    def __init__(self, request_id: str, route: str) -> None:
        self.request_id, self.route = request_id, route
        self.principal = self.model_id = self.code = self.trace = ""
        self.rows = self.status = 0


class Front:
    """The outermost application: ids, the log, metrics, and an answer to every error.

    Args:
        fast: Applications by path, for POST; what they raise is answered as a problem document.
        app: Answers everything else.
        metrics: Counts.
        log: Notes.
    """

    def __init__(self, fast: dict[str, ASGIApp], app: ASGIApp, metrics: Metrics, log: RequestLog) -> None:
        self.fast, self.app, self.metrics, self.log = fast, app, metrics, log
        self._ids = RequestIds()
        self._flushing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush_forever())
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        exchange = scope[KEY] = Exchange(self._ids.of(given), scope["path"])
        request_id = exchange.request_id.encode()

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        app = self.fast.get(scope["path"]) if scope["method"] == "POST" else None
        try:
            await (app or self.app)(scope, receive, send_named)
        except ClientLeftError:
            exchange.status = CLIENT_LEFT
        except TabularayError as error:
            exchange.code = code_of(error)
            status, body, headers = describe(error, exchange.request_id)
            await answer_unless_begun(exchange, send_named, status, body, headers)
        except asyncio.CancelledError:
            exchange.status = exchange.status or CLIENT_LEFT
            raise
        except Exception:
            exchange.code = "internal_error"
            exchange.trace = traceback.format_exc()
            logger.exception("request %s", exchange.request_id)
            status, body = HTTPStatus.INTERNAL_SERVER_ERROR, internal_body(exchange)
            await answer_unless_begun(exchange, send_named, status, body)
        finally:
            self._note(exchange, scope, time.perf_counter() - start)

    def _note(self, exchange: Exchange, scope: Scope, seconds: float) -> None:
        # A route's pattern rather than its path: paths hold ids, and metrics must not grow with them.
        found = scope.get("route")
        route = exchange.route if exchange.route in self.fast else getattr(found, "path", "other")
        self.metrics.observe(route, exchange.status, seconds, exchange.rows, exchange.model_id, exchange.code)
        what: dict[str, Any] = {
            "method": scope["method"],
            "path": exchange.route,
            "status": exchange.status,
            "ms": round(1000 * seconds, 3),
        }
        if exchange.rows:
            what |= {"rows": exchange.rows, "model_id": exchange.model_id}
        if exchange.code:
            what["code"] = exchange.code
        if exchange.trace:
            what["trace"] = exchange.trace
        if exchange.principal:
            what["principal"] = exchange.principal
        self.log.add(exchange.request_id, **what)

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                self.log.flush()
                self.metrics.save()
            except OSError as error:  # a full disk: the answers matter more
                logger.error("request log or metrics: %s", error)


def internal_body(exchange: Exchange) -> bytes:
    """The document of an error of ours; the log has more."""
    detail = f"an error of the server; its log has it under the request id {exchange.request_id}"
    return problem_body(HTTPStatus.INTERNAL_SERVER_ERROR, detail, "internal_error", exchange.request_id)


async def answer_unless_begun(
    exchange: Exchange, send: Send, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    """Send a problem document, where nothing was sent yet; a stream that fails just ends."""
    if not exchange.status:
        await answer(send, status, body, MEDIA_TYPE, headers)


async def answer(
    send: Send, status: int, body: bytes, media_type: str, headers: dict[str, str] | None = None
) -> None:
    """Send a whole answer."""
    fields = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]
    if headers:
        fields += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": fields})
    await send({"type": "http.response.body", "body": body})
