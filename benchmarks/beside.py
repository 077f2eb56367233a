"""Does training slow predictions down? Latency of single rows at a fixed rate, alone and beside a sweep of networks.

    python -m benchmarks.beside

The sweep runs on the same machine, started over HTTP, on all the CPUs that the replica leaves. Printed: p50, p99 and
the longest of each phase, in ms, the requests that failed, and the trials that ended meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np

from benchmarks.httpload import Result, load
from benchmarks.served import Served, a_request, loading_parser, make_registry

WITHIN_S = 180.0
TRAIN = {
    "dataset_path": "table0.csv",
    "target_column": "y",
    "search": {"families": ["dnn", "lightgbm"], "num_trials": 5000, "n_folds": 3},
}


def main() -> None:
    """Measure and print."""
    parser = loading_parser(__doc__, rate=100.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        registry = make_registry(folder, n_versions=1)
        body = a_request(registry)
        training = ("training.overrides=[tracking=none]", "training.idle_s=0")
        options = (f"replicas={given.replicas}", *training, *given.options)
        with Served(folder, *options, port=given.port) as served:
            asyncio.run(load(served.predict_url, body, None, 4, 2.0))
            show("alone", measure(served, body, given))
            task_id = ask(f"{served.url}/api/ml/train", TRAIN)["task_id"]
            before = wait_until_searching(served, task_id)
            show("beside a sweep", measure(served, body, given))
            after = ask(f"{served.url}/api/ml/train/status/{task_id}")["trials"]["completed"]
            print(f"trials that ended meanwhile: {after - before}")
            ask(f"{served.url}/api/ml/train/cancel/{task_id}", {})
            wait_for(served, task_id, lambda status: status["status"] == "stopped")
            show("alone again", measure(served, body, given))


def measure(served: Served, body: bytes, given: argparse.Namespace) -> Result:
    """One phase."""
    return asyncio.run(load(served.predict_url, body, given.rate, given.clients, given.seconds))


def show(phase: str, result: Result) -> None:
    """Print a phase."""
    p50, p99, longest = np.percentile(np.array(result.latencies) * 1e3, (50, 99, 100))
    print(
        f"{phase}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, longest {longest:.1f} ms, {result.n_failed} failed",
        flush=True,
    )


def wait_until_searching(served: Served, task_id: str) -> int:
    """The trials that have ended when the sweep is well under way."""
    status = wait_for(served, task_id, lambda status: status["trials"].get("completed", 0) > 1)
    return status["trials"]["completed"]


def wait_for(served: Served, task_id: str, reached: Any) -> dict[str, Any]:
    """The first status that is asked for.

    Raises: TimeoutError: it does not come.
    """
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        status = ask(f"{served.url}/api/ml/train/status/{task_id}")
        if reached(status):
            return status
        time.sleep(0.5)
    raise TimeoutError(f"after {WITHIN_S:g} s: {status}")


def ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A JSON answer, to a POST where there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
