"""Requests per second and latency of the endpoint, beside the same bundle behind other servers, in one run.

    python -m benchmarks.serving BUNDLE --seconds 8
    python -m benchmarks.serving BUNDLE --soak 1200      ours alone: memory and errors over twenty minutes

Everything shares this machine with the load generator, so ratios hold and absolute figures do not. LitServe and
BentoML get an environment of their own, made on the first use in --environments.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.httpload import describe, load
from ensembles.bundle import load_bundle

ROOT = Path(__file__).parent.parent
PEERS = ("fastapi", "rayserve", "litserve", "bentoml")
PACKAGES = ["litserve", "bentoml", "numpy", "onnxruntime", "msgspec", "uvicorn[standard]", "fastapi"]
START_S = 180


def main() -> None:
    """Print one line per server and number of clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--who", nargs="+", default=["ours", *PEERS], choices=["ours", *PEERS])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 16, 128])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--port", type=int, default=8700)
    parser.add_argument("--soak", type=float, help="Seconds of load on ours alone, at half its top rate.")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache/tabularay-benchmarks")
    given = parser.parse_args()
    records = load_bundle(given.bundle).golden["records"]
    bodies = [json.dumps({"data": {"records": [record]}}).encode() for record in records]
    if given.soak:
        soak(given, bodies)
        return
    for _ in range(given.rounds):
        for who in given.who:
            with served(who, given) as url:
                asyncio.run(load(url, bodies, None, 4, 2))
                top = 0.0
                for n_clients in given.clients:
                    result = asyncio.run(load(url, bodies, None, n_clients, given.seconds))
                    top = max(top, result.rate)
                    print(f"{who:9s} {n_clients:4d} clients: {describe(result)}", flush=True)
                result = asyncio.run(load(url, bodies, top / 2, 64, given.seconds))
                print(f"{who:9s} half its top rate: {describe(result)}", flush=True)


def soak(given: argparse.Namespace, bodies: list[bytes]) -> None:
    """Load for long; print memory by the minute."""
    with served("ours", given) as url:
        top = asyncio.run(load(url, bodies, None, 16, 5)).rate
        print(f"top rate {top:,.0f} req/s; now half of it for {given.soak:g} s", flush=True)
        until = time.time() + given.soak
        while time.time() < until:
            result = asyncio.run(load(url, bodies, top / 2, 64, 60))
            print(f"{describe(result)}; {memory_mb():.0f} MB", flush=True)


def memory_mb() -> float:
    """Memory of all processes below this one, each page shared by n of them counted as an nth."""
    parents = {
        int(p.parent.name): int(p.read_text().rpartition(")")[2].split()[1])
        for p in Path("/proc").glob("[0-9]*/stat")
    }
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    total = 0
    for pid in below - {os.getpid()}:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1])
    return total / 1e3


@contextmanager
def served(who: str, given: argparse.Namespace) -> Iterator[str]:
    """Start a server and wait until it answers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'benchmarks'}"}
        command = [
            python_of(who, given),
            ROOT / "benchmarks/serving_peers.py",
            who,
            given.bundle.resolve(),
            str(given.port),
        ]
        if who == "ours":
            # A registry of one model, through the command a user would type.
            from ensembles.registry import Registry  # noqa: PLC0415 - not for peers

            Registry(folder / "registry").register("bench", given.bundle.resolve(), alias="production")
            command = [
                sys.executable,
                "-m",
                "cli",
                "serve",
                "bench",
                "--port",
                str(given.port),
                "--registry",
                folder / "registry",
            ]
        out = (folder / "out.txt").open("w")
        start = time.time()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=out, stderr=out, start_new_session=True
        )
        url = f"http://127.0.0.1:{given.port}/api/ml/predict"
        try:
            wait(url, process, folder / "out.txt")
            print(f"{who:9s} ready after {time.time() - start:.1f} s", flush=True)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            out.close()


def python_of(who: str, given: argparse.Namespace) -> Path:
    """The interpreter that has the server's packages."""
    if who in ("ours", "rayserve", "fastapi"):
        return Path(sys.executable)
    folder = given.environments.expanduser() / "serving"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", *PACKAGES], check=True)
        (folder / "ready").touch()
    return folder / "bin/python"


def wait(url: str, process: subprocess.Popen, log: Path) -> None:
    """Until the server understands requests, even if this one is refused."""
    until = time.time() + START_S
    request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})
    while time.time() < until:
        if process.poll() is not None:
            raise SystemExit(log.read_text())
        try:
            urllib.request.urlopen(request, timeout=2).close()
        except urllib.error.HTTPError as error:
            if error.code != 404:  # noqa: PLR2004 - a proxy that has no application yet
                return
        except OSError:
            pass
        else:
            return
        time.sleep(0.05)
    raise SystemExit(f"no answer from {url} within {START_S} s:\n{log.read_text()}")


if __name__ == "__main__":
    main()
