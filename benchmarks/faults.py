"""kill -9 under load of a replica, the proxy, the actor that keeps the proxy, and the controller: what clients see.

    python -m benchmarks.faults --rate 200 --times 3

Of each fault: requests that failed, seconds from the kill to the last of them, and seconds until everything is there
again: as many replicas answering as before, a proxy that lets clients in, a controller. Ends with 1 where the death of
a replica or of the controller made a request fail.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.httpload import Result, load
from benchmarks.served import Served, a_request, is_well, listens, loading_parser, make_registry

BEFORE_S = 5.0
REPLICA_PORTS = range(30000, 32000)
WATCH_S = 0.05
ACTORS = {
    "replica": r"^ray::ServeReplica",
    "controller": r"^ray::ServeController",
    "manager": r"^ray::HAProxyManager",
}
PROXIES = {
    "proxy": r"^\S*haproxy -db -f \S+\.cfg |^ray::(ProxyActor|HTTPProxy)",
    "stand-in": r"^\S*haproxy -db -f \S+\.cfg\.",
}
MUST_NOT_SHOW = ("replica", "controller")


def main() -> None:
    """Run the faults and print a line each."""
    parser = loading_parser(__doc__, replicas=2)
    parser.add_argument(
        "--faults", nargs="+", default=["replica", "proxy", "stand-in", "manager", "controller"]
    )
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1, help="rows of a request")
    parser.add_argument("--after", type=float, default=40.0, help="seconds of load after each kill")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        body = a_request(make_registry(folder), given.rows)
        with Served(folder, f"replicas={given.replicas}", *given.options, port=given.port) as served:
            n = len(replicas(served))
            print(
                f"ready in {served.ready_s:.1f} s; {n} replicas; requests of {len(body):,} bytes", flush=True
            )
            seen = 0
            for fault in given.faults * given.times:
                failed = asyncio.run(one_fault(served, fault, body, given))
                seen += failed * (fault in MUST_NOT_SHOW)
    sys.exit(bool(seen))


async def one_fault(served: Served, fault: str, body: bytes, given: argparse.Namespace) -> int:
    """Kill something under load and print what came of it; the number of failed requests."""
    await load(served.predict_url, body, None, 4, 2.0)
    began = perf_counter()
    loading = asyncio.create_task(
        load(served.predict_url, body, given.rate, given.clients, BEFORE_S + given.after, timeout_s=10.0)
    )
    await asyncio.sleep(BEFORE_S)
    before = pids(served, fault)
    if not before:
        raise RuntimeError(f"no {fault} below process {served.process.pid}")
    os.kill(before[0], signal.SIGKILL)
    killed_at = perf_counter() - began
    is_whole = {"replica": replica_is_back, "manager": actor_is_back, "controller": actor_is_back}.get(
        fault, proxy_is_back
    )
    mended = await asyncio.to_thread(
        wait, lambda: is_whole(served, fault, before, given.replicas), given.after - 1
    )
    result = await loading
    show(fault, result, killed_at, mended)
    return result.n_failed


def wait(is_whole: Callable[[], bool], most_s: float) -> float:
    """Seconds until it is whole again; infinite if it is not in time."""
    began = perf_counter()
    while not is_whole():
        if perf_counter() - began > most_s:
            return float("inf")
        sleep(WATCH_S)
    return perf_counter() - began


def pids(served: Served, fault: str) -> list[int]:
    """The processes that a fault is about, oldest first."""
    if fault in ACTORS:
        return served.find(ACTORS[fault])
    return [pid for pid in served.find(PROXIES[fault]) if served.port in listens(pid)]


def replicas(served: Served) -> list[int]:
    """Replicas that answer: those with a port of their own are asked on it."""
    well = []
    for pid in served.find(ACTORS["replica"]):
        ports = [port for port in listens(pid) if port in REPLICA_PORTS]
        if not ports or any(is_well(f"http://127.0.0.1:{port}") for port in ports):
            well.append(pid)
    return well


def replica_is_back(served: Served, fault: str, before: list[int], n_replicas: int) -> bool:
    """As many answer as before, and not the one that was killed."""
    well = replicas(served)
    return len(well) >= n_replicas and before[0] not in well


def proxy_is_back(served: Served, fault: str, before: list[int], n_replicas: int) -> bool:
    """A new connection is answered, and Ray has started another proxy, which listens."""
    return bool(set(pids(served, fault)) - set(before)) and is_well(served.url)


def actor_is_back(served: Served, fault: str, before: list[int], n_replicas: int) -> bool:
    """There is another, a proxy of Ray's listens, and clients are answered."""
    there = bool(set(pids(served, fault)) - set(before)) and bool(pids(served, "proxy"))
    return there and is_well(served.url)


def show(fault: str, result: Result, killed_at: float, mended: float) -> None:
    """Print a fault's line."""
    after = [at - killed_at for at in result.failed_at if at >= killed_at]
    last = f"{max(after):.2f} s" if after else "-"
    slow = [
        latency
        for start, latency in zip(result.starts, result.latencies, strict=True)
        if start >= killed_at - 1
    ]
    print(
        f"{fault:10s} {result.n_failed:4d} of {result.statuses.total() + result.failures.total()} failed, "
        f"last after {last}; whole again after {mended:.1f} s; longest answer {max(slow) * 1e3:.0f} ms; "
        f"{dict(result.statuses)} {dict(result.failures)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
