"""A load generator that costs little itself: one process, keep-alive connections, no HTTP library.

    python -m benchmarks.httpload http://127.0.0.1:8000/api/ml/predict body.json --clients 16 --seconds 10
    python -m benchmarks.httpload http://127.0.0.1:8000/api/ml/predict body.json --rate 200 --seconds 10

Without a rate each client asks again as soon as it is answered. With a rate requests come due at even distances
whether or not earlier ones were answered, and a latency counts from when the request was due: a server that stalls
is charged for all who waited. A request fails when its connection breaks or refuses, or when it times out; it is
never sent a second time, nor on a connection that has ended while it was idle: HTTP libraries look before they use
one again, and connect anew. An answer of any status is an answer.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import sys
from argparse import ArgumentParser
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import numpy as np

RECONNECT_S = 0.02
CHECK_S = 0.05
HEAD_END = b"\r\n\r\n"
OK = 200
# Hang-ups and errors are told unasked; that only the other side has closed is Linux's.
ENDED = getattr(select, "POLLRDHUP", 0)


@dataclass
class Result:
    """What a load saw.

    Attributes:
        seconds: How long it lasted, the last answers included.
        starts: When each answered request was due, in seconds from the beginning.
        latencies: How long each of them took, in seconds.
        statuses: Answers by HTTP status.
        failures: Requests without an answer, by reason.
        failed_at: When each of them failed, in seconds from the beginning.
    """

    seconds: float = 0.0
    starts: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    failed_at: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers with status 200 per second."""
        return self.statuses[OK] / self.seconds

    @property
    def n_failed(self) -> int:
        """Requests without an answer of status 200."""
        return self.failures.total() + self.statuses.total() - self.statuses[OK]

    def latency_ms(self, percent: float) -> float:
        """A percentile of the latencies, in milliseconds; nan without any."""
        return float(np.percentile(self.latencies, percent)) * 1e3 if self.latencies else float("nan")


async def load(  # noqa: PLR0913 - what describes a load
    url: str,
    body: bytes | Sequence[bytes],
    rate: float | None = None,
    n_clients: int = 16,
    seconds: float = 10.0,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
    on_answer: Callable[[float, int, bytes], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Result:
    """Send a body, or several in turn, to a URL for a time.

    Args:
        url: http or https; a certificate is not checked.
        body: Posted as JSON unless headers say otherwise; an empty one is sent as GET.
        rate: Requests per second; None: as many as n_clients get answered.
        n_clients: Connections, and so most requests in flight.
        seconds: How long new requests are sent.
        headers: More headers.
        timeout_s: When a request has failed.
        on_answer: Called with the time since the beginning, the status and the body of every answer.
        stop: Ends it early when set.

    Raises: OSError: the first connection cannot be made.
    """
    bodies = [body] if isinstance(body, bytes) else list(body)
    run = _Load(url, bodies, dict(headers or {}), timeout_s, on_answer)
    await asyncio.gather(*(run.connect() for _ in range(n_clients)))
    await run.send(rate, seconds, stop or asyncio.Event())
    return run.result


class _Connection(asyncio.Protocol):
    """A client: at most one request in flight."""

    def __init__(self, load: _Load) -> None:
        self.load = load
        self.due: float | None = None
        self.transport: asyncio.Transport
        self._read = bytearray()
        self._needed = 0
        self._body_from = 0
        self._status = 0
        self._last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._ended = select.poll()
        self._ended.register(transport.get_extra_info("socket"), ENDED)
        self.load.connections.add(self)
        self.load.free(self)

    def has_ended(self) -> bool:
        """Whether the other side has closed it, which the event loop may not have seen yet."""
        return self.transport.is_closing() or bool(self._ended.poll(0))

    def send(self, due: float, request: bytes) -> None:
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._needed and not self._read_head():
            return
        if len(self._read) < self._needed or self.due is None:
            return
        body = bytes(self._read[self._body_from : self._needed])
        due, self.due = self.due, None
        self._read.clear()
        self._needed = 0
        self.load.answered(due, self._status, body)
        if self._last:
            self.transport.close()
        else:
            self.load.free(self)

    def _read_head(self) -> bool:
        end = self._read.find(HEAD_END)
        if end < 0:
            return False
        head = bytes(self._read[:end]).lower()
        self._status = int(head[9:12])
        at = head.find(b"\r\ncontent-length:")
        if at < 0:
            self.fail("an answer without content-length")
            return False
        self._body_from = end + len(HEAD_END)
        self._needed = self._body_from + int(head[at + 17 :].split(b"\r\n", 1)[0])
        self._last = b"\r\nconnection: close" in head
        return True

    def fail(self, reason: str) -> None:
        if self.due is not None:
            self.due = None
            self.load.failed(reason)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.connections.discard(self)
        self.load.lost(self)
        if self.due is not None:
            self.due = None
            self.load.failed(
                f"connection lost: {exc.strerror or exc}" if isinstance(exc, OSError) else "closed"
            )


class _Load:
    """The requests that are due, and the connections that are free for them."""

    def __init__(
        self,
        url: str,
        bodies: list[bytes],
        headers: dict[str, str],
        timeout_s: float,
        on_answer: Callable[[float, int, bytes], None] | None,
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl._create_unverified_context() if parts.scheme == "https" else None  # noqa: S323
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        self._requests = [_request(parts.netloc, target, body, headers) for body in bodies]
        self._timeout_s = timeout_s
        self._on_answer = on_answer
        self.result = Result()
        self.connections: set[_Connection] = set()
        self._free: deque[_Connection] = deque()
        self._due: deque[float] = deque()
        self._endless = False
        self._open = True
        self._n_sent = 0
        self._began = perf_counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: _Connection(self), self._host, self._port, ssl=self._tls)

    async def send(self, rate: float | None, seconds: float, stop: asyncio.Event) -> None:
        self._began = began = perf_counter()
        watch = asyncio.create_task(self._watch())
        if rate is None:
            self._endless = True
            for connection in [*self._free]:
                self._free.remove(connection)
                self._next(connection, perf_counter())
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), seconds)
            self._endless = False
        else:
            for number in range(int(rate * seconds)):
                wait = began + number / rate - perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                if stop.is_set():
                    break
                self._due.append(max(began + number / rate, perf_counter()))
                self._pass_on()
        while self._due or any(c.due is not None for c in self.connections):
            await asyncio.sleep(CHECK_S / 10)
        self.result.seconds = perf_counter() - began
        self._open = False
        watch.cancel()
        for task in [*self._tasks]:
            task.cancel()
        for connection in [*self.connections]:
            connection.transport.abort()
        await asyncio.sleep(0)

    def free(self, connection: _Connection) -> None:
        if self._due:
            self._next(connection, self._due.popleft())
        elif self._endless:
            self._next(connection, perf_counter())
        else:
            self._free.append(connection)

    def answered(self, due: float, status: int, body: bytes) -> None:
        now = perf_counter()
        self.result.starts.append(due - self._began)
        self.result.latencies.append(now - due)
        self.result.statuses[status] += 1
        if self._on_answer:
            self._on_answer(now - self._began, status, body)

    def failed(self, reason: str) -> None:
        self.result.failures[reason] += 1
        self.result.failed_at.append(perf_counter() - self._began)

    def lost(self, connection: _Connection) -> None:
        if connection in self._free:
            self._free.remove(connection)
        if self._open:
            task = asyncio.create_task(self._reconnect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reconnect(self) -> None:
        """Connect again; while nobody listens, requests that are due fail as they would for any client."""
        while self._open:
            try:
                await self.connect()
            except OSError as error:
                reason = f"cannot connect: {error.strerror or error}"
            else:
                return
            if self._endless:
                self.failed(reason)
            elif self._due and not self._free:
                self._due.popleft()
                self.failed(reason)
            await asyncio.sleep(RECONNECT_S)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            oldest = perf_counter() - self._timeout_s
            for connection in [*self.connections]:
                if connection.due is not None and connection.due < oldest:
                    connection.fail(f"no answer in {self._timeout_s:g} s")
            while self._due and self._due[0] < oldest:
                self._due.popleft()
                self.failed(f"no answer in {self._timeout_s:g} s")

    def _pass_on(self) -> None:
        while self._due and self._free:
            self._next(self._free.popleft(), self._due.popleft())

    def _next(self, connection: _Connection, due: float) -> None:
        if connection.has_ended():
            connection.transport.abort()
            self._due.appendleft(due)
            return
        request = self._requests[self._n_sent % len(self._requests)]
        self._n_sent += 1
        connection.send(due, request)


def _request(host: str, target: str, body: bytes, headers: dict[str, str]) -> bytes:
    given = {"Host": host, "Content-Type": "application/json"} | headers
    if body:
        given["Content-Length"] = str(len(body))
    lines = [f"{'POST' if body else 'GET'} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in given.items())]
    return "\r\n".join(lines).encode() + HEAD_END + body


def describe(result: Result) -> str:
    """A load in one line."""
    p50, p99 = result.latency_ms(50), result.latency_ms(99)
    what = ", ".join(f"{n} x {k}" for k, n in [*result.statuses.items(), *result.failures.items()])
    return f"{result.rate:,.0f} req/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms; {result.n_failed} failed ({what})"


def main() -> None:
    """Load a URL and print what came of it."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("body", type=Path, nargs="?")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    body = given.body.read_bytes() if given.body else b""
    result = asyncio.run(load(given.url, body, given.rate, given.clients, given.seconds))
    print(describe(result))
    sys.exit(bool(result.n_failed))


if __name__ == "__main__":
    main()
