"""A replica's HTTP server calls our application directly, instead of through Ray Serve's bookkeeping per request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ray.serve._private import http_util, replica
from ray.serve._private.common import RequestMetadata, RequestProtocol
from starlette.types import ASGIApp, Receive, Scope, Send

# Counting is all that remains of it; autoscaling and draining go by these counts.
COUNTED_AS = RequestMetadata(
    "fast", "fast", is_direct_ingress=True, _http_method="POST", _request_protocol=RequestProtocol.HTTP
)


def shortcut(app: ASGIApp, paths: Collection[str]) -> None:
    """Let this process's replica answer POSTs to some paths with an application itself.

    Ray Serve 2.60 wraps each request in a task, a waiting disconnect task, metadata, contexts, metrics and a log
    line, which together take longer than a prediction. Ids, limits, metrics and the log are ours already, so only the
    count of requests under way is kept. Where requests come through Ray's own proxy, nothing changes.

    Args:
        app: The application that the replica has as well.
        paths: Exact paths.
    """
    slow_way = replica.Replica._direct_ingress_asgi

    async def direct(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in paths or scope["method"] != "POST":
            await slow_way(self, scope, receive, send)
            return
        self._metrics_manager.inc_num_ongoing_requests(COUNTED_AS)
        try:
            await app(scope, receive, send)
        finally:
            self._metrics_manager.dec_num_ongoing_requests(COUNTED_AS)

    replica.Replica._direct_ingress_asgi = direct
    # Ray's middleware would give each request a second id.
    http_util._apply_middlewares = lambda app, _middlewares: _Application(app)


class _Application:
    """An object, for uvicorn takes a bound method for an application of ASGI 2."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
