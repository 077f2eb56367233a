"""Promotions under load: how many requests fail, how long a switch takes, and what it does to latency.

    python -m benchmarks.switches --switches 20 --rate 200

Each promotes a version that has to be loaded. Odd promotions go through the API, even ones straight to the registry, as
the command or another machine does it. Half-way a version that lacks a byte is promoted in the registry: it must never
answer. Ends with 1 if a request failed, the broken version answered, or a promotion was not followed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter
from urllib.request import Request, urlopen

import numpy as np

from benchmarks.httpload import OK, Result, describe, load
from benchmarks.served import NAME, Served, a_request, loading_parser, make_registry
from ensembles.bundle import bundle_id
from ensembles.registry import Registry
from ensembles.versions import ModelVersion

SETTLE_S = 2.0
# More than a replica keeps in memory: each promotion loads.
N_COPIES = 10
WINDOW_S = 1.0


class Answers:
    """Which version answered when."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str]] = []

    def __call__(self, at: float, status: int, body: bytes) -> None:
        """Take an answer."""
        start = body.find(b'"model_id":"') + 12
        who = body[start : body.find(b'"', start)].decode() if status == OK else str(status)
        self.seen.append((at, who))

    def switched(self, since: float, model_id: str) -> tuple[float, float]:
        """Seconds from a moment to a version's first answer, and to the last answer of any other."""
        later = [(at, who) for at, who in self.seen if at >= since]
        first = next((at for at, who in later if who == model_id), float("nan"))
        last = max((at for at, who in later if who != model_id), default=since)
        return first - since, last - since


def main() -> None:
    """Run the promotions and print what came of them."""
    parser = loading_parser(__doc__)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between promotions")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        registry = make_registry(folder)
        broken = add_broken(registry)
        versions = [add_copy(registry, 2 - n % 2, f"copy {n}").version for n in range(N_COPIES)]
        with Served(folder, f"replicas={given.replicas}", *given.options, port=given.port) as served:
            print(f"ready in {served.ready_s:.1f} s; {given.replicas} replicas", flush=True)
            sys.exit(asyncio.run(run(served, registry, (broken, versions), given)))


async def run(
    served: Served, registry: Registry, made: tuple[int, list[int]], given: argparse.Namespace
) -> bool:
    """Load the service and promote meanwhile; whether anything was wrong."""
    broken, versions = made
    answers, body = Answers(), a_request(registry)
    await load(served.predict_url, body, None, 4, 2.0)
    seconds = SETTLE_S + (given.switches + 1) * given.every + SETTLE_S
    began = perf_counter()
    loading = asyncio.create_task(
        load(served.predict_url, body, given.rate, given.clients, seconds, on_answer=answers)
    )
    await asyncio.sleep(SETTLE_S)
    moments, model_id = [], f"{NAME}:1"
    for number in range(given.switches):
        if number == given.switches // 2:
            await asyncio.to_thread(registry.promote, NAME, broken, why="broken on purpose")
            await asyncio.sleep(given.every)
        version = versions[number % len(versions)]
        model_id = f"{NAME}:{version}"
        moments.append((perf_counter() - began, model_id))
        if number % 2:
            await asyncio.to_thread(registry.promote, NAME, version)
        else:
            await asyncio.to_thread(promote, served.url, model_id)
        await asyncio.sleep(max(0.0, moments[-1][0] + given.every - (perf_counter() - began)))
    result = await loading
    return show(result, answers, moments, broken)


def show(result: Result, answers: Answers, moments: list[tuple[float, str]], broken: int) -> bool:
    """Print what came of it; whether anything was wrong."""
    print(describe(result))
    counts = Counter(who for _, who in answers.seen)
    print("answers by version:", dict(sorted(counts.items())))
    ends = [*(at for at, _ in moments[1:]), float("inf")]
    times = []
    for (at, who), end in zip(moments, ends, strict=True):
        part = Answers()
        part.seen = [(t, w) for t, w in answers.seen if t < end]
        times.append(part.switched(at, who))
    firsts, lasts = np.array(times).T
    for how, rows in (("through the API", slice(0, None, 2)), ("through the registry", slice(1, None, 2))):
        first, last = firsts[rows], lasts[rows]
        print(
            f"promoted {how}: first answer of the new version after {np.median(first):.2f} s "
            f"(longest {first.max():.2f}), last of the old after {np.median(last):.2f} s (longest {last.max():.2f})"
        )
    starts, latencies = np.array(result.starts), np.array(result.latencies) * 1e3
    near = np.zeros(len(starts), bool)
    for at, _ in moments:
        near |= (starts >= at) & (starts < at + WINDOW_S)
    for what, chosen in (("within 1 s of a promotion", near), ("at other times", ~near)):
        values = ", ".join(f"p{q:g} {np.percentile(latencies[chosen], q):.2f}" for q in (50, 99, 99.9, 100))
        print(f"latency {what}, ms: {values}")
    n_broken, n_missed = counts[f"{NAME}:{broken}"], int(np.isnan(firsts).sum())
    print(
        f"{len(moments)} switches, {n_missed} not followed; {result.n_failed} of {len(latencies)} requests failed; "
        f"{n_broken} answers by the broken version"
    )
    return bool(result.n_failed or n_broken or n_missed)


def promote(url: str, model_id: str) -> None:
    """Promote through the API.

    Raises: OSError: it was refused.
    """
    request = Request(
        f"{url}/api/ml/models/{model_id}/promote",
        data=json.dumps({"why": "benchmark"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as answer:
        answer.read()


def add_copy(registry: Registry, source: int, note: str) -> ModelVersion:
    """Register a version again, with a note in its manifest that makes it another."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bundle"
        shutil.copytree(registry.resolve(f"{NAME}:{source}").fetch(), folder)
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        manifest["note"] = note
        manifest["bundle_id"] = bundle_id(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        return registry.register(NAME, folder, alias=None)


def add_broken(registry: Registry) -> int:
    """Register a version and take a byte from what the registry keeps of it."""
    version = add_copy(registry, 1, "broken on purpose")
    graph = version.fetch() / "graph.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    return version.version


if __name__ == "__main__":
    main()
