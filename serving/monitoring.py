"""Prometheus metrics of all replicas on a machine, added up by whichever is asked."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A replica that has not written for so long is gone: its sums stay, its present state does not.
GONE_S = 10.0


class Metrics:
    """Counts in this process; `save` writes the sums beside those of the other replicas.

    Args:
        folder: Shared by the replicas of one server on one machine.
        state: Says what is so now: waiting rows, served model, canary.
    """

    def __init__(self, folder: Path, state: Callable[[], dict[str, Any]]) -> None:
        self.folder = folder
        self._file = folder / f"{os.getpid()}-{time.time_ns():x}.json"
        self._state = state
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._sums: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    def observe(
        self, route: str, status: int, seconds: float, rows: int = 0, model_id: str = "", code: str = ""
    ) -> None:
        """Count one request."""
        self._requests[route, status] += 1
        buckets = self._buckets.get(route)
        if buckets is None:
            buckets = self._buckets[route] = [0] * (len(SECONDS) + 1)
        buckets[bisect_left(SECONDS, seconds)] += 1
        self._sums[route] += seconds
        if rows:
            self._rows[model_id] += rows
        if code:
            self._errors[code] += 1

    def save(self) -> None:
        """Write this replica's sums, at once or not at all."""
        content = {
            "time": time.time(),
            "requests": [[*key, n] for key, n in self._requests.items()],
            "buckets": self._buckets,
            "sums": self._sums,
            "rows": self._rows,
            "errors": self._errors,
            "state": self._state(),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(content))
        part.replace(self._file)

    def text(self) -> bytes:
        """All replicas' metrics, in Prometheus's text format."""
        self.save()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(
            _Collected([msgspec.json.decode(p.read_bytes()) for p in sorted(self.folder.glob("*.json"))])
        )
        return generate_latest(registry)


class _Collected:
    """What the replicas wrote, as metric families."""

    def __init__(self, replicas: list[dict[str, Any]]) -> None:
        self.replicas = replicas

    def collect(self) -> Iterator[Metric]:
        """The families."""
        yield self._requests()
        yield self._latency()
        yield self._counter("tabularay_rows", "Rows predicted.", "model_id", "rows")
        yield self._counter(
            "tabularay_errors", "Requests answered with an error, by its code.", "code", "errors"
        )
        yield from self._gauges()

    def _requests(self) -> Metric:
        family = CounterMetricFamily("tabularay_requests", "Requests answered.", labels=["route", "status"])
        total: Counter[tuple[str, str]] = Counter()
        for replica in self.replicas:
            for route, status, n in replica["requests"]:
                total[route, str(status)] += n
        for labels, n in sorted(total.items()):
            family.add_metric(labels, n)
        return family

    def _latency(self) -> Metric:
        family = HistogramMetricFamily(
            "tabularay_request_seconds",
            "Time to answer, from the headers to the last byte.",
            labels=["route"],
        )
        routes = sorted({route for replica in self.replicas for route in replica["buckets"]})
        for route in routes:
            counts = [
                sum(column)
                for column in zip(
                    *(r["buckets"][route] for r in self.replicas if route in r["buckets"]), strict=True
                )
            ]
            total, buckets = 0, []
            for edge, count in zip([*map(str, SECONDS), "+Inf"], counts, strict=True):
                total += count
                buckets.append((edge, total))
            family.add_metric([route], buckets, sum(r["sums"].get(route, 0.0) for r in self.replicas))
        return family

    def _counter(self, name: str, help_text: str, label: str, key: str) -> Metric:
        family = CounterMetricFamily(name, help_text, labels=[label])
        total: Counter[str] = Counter()
        for replica in self.replicas:
            total.update(replica[key])
        for value, n in sorted(total.items()):
            family.add_metric([value], n)
        return family

    def _gauges(self) -> Iterator[Metric]:
        alive = [r["state"] for r in self.replicas if time.time() - r["time"] < GONE_S]
        replicas = GaugeMetricFamily("tabularay_replicas", "Replicas on this machine.")
        replicas.add_metric([], len(alive))
        yield replicas
        waiting = GaugeMetricFamily("tabularay_waiting_rows", "Rows that wait for their prediction.")
        waiting.add_metric([], sum(state.get("waiting_rows", 0) for state in alive))
        yield waiting
        served = GaugeMetricFamily(
            "tabularay_model", "Replicas that serve a version.", labels=["model_id", "role"]
        )
        roles = Counter(
            (state[role], role)
            for state in alive
            for role in ("production", "canary", "shadow")
            if state.get(role)
        )
        for labels, n in sorted(roles.items()):
            served.add_metric(labels, n)
        yield served
