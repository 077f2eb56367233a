"""What the benchmarks of the service share: a registry of small real models, and the command that serves them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pandas as pd

from ensembles.registry import Registry

ROOT = Path(__file__).parent.parent
NAME = "floats"
N_FLOATS = 20
N_ROWS = 2000
READY_S = 120
STOP_S = 90
LISTEN = "0A"


def make_registry(folder: Path, n_versions: int = 2, trees: int = 100) -> Registry:
    """Tune one LightGBM per version on its own table of 20 floats; version 1 is served.

    Args:
        folder: Where to; what is there already is used.
        n_versions: How many.
        trees: Boosting rounds of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registry = Registry(folder / "registry")
    have = len(registry.versions(NAME)) if NAME in registry.names() else 0
    for version in range(have, n_versions):
        rng = np.random.default_rng(version)
        X = rng.normal(size=(N_ROWS, N_FLOATS))
        frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(N_FLOATS)])
        noise = rng.normal(size=N_ROWS) * 0.5
        frame["y"] = np.where(X[:, 0] + X[:, 1] * X[:, 2] + noise > 0, "yes", "no")
        frame.to_csv(folder / f"table{version}.csv", index=False)
        tabularay(
            "tune",
            f"name={NAME}",
            f"data.source=table{version}.csv",
            "data.target=y",
            "data.n_folds=2",
            "families=[lightgbm]",
            "search.num_trials=1",
            f"params.lightgbm.num_boost_round={trees}",
            "tracking=none",
            folder=folder,
        )
    if registry.resolve(NAME).version != 1:
        registry.promote(NAME, 1, why="where the benchmark begins")
    return registry


def a_request(registry: Registry, n_rows: int = 1) -> bytes:
    """A request for some rows."""
    golden = json.loads((registry.resolve(NAME).fetch() / "golden.json").read_text("utf-8"))["records"]
    rows = [golden[i % len(golden)] for i in range(n_rows)]
    return json.dumps({"data": {"records": rows}}).encode()


def tabularay(*arguments: str, folder: Path) -> None:
    """Run the command to its end.

    Raises: subprocess.CalledProcessError: it failed; what it said is on the terminal.
    """
    command = [sys.executable, "-m", "cli", *arguments]
    subprocess.run(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, check=True)


def environment() -> dict[str, str]:
    """The environment in which this checkout's command runs."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def loading_parser(about: str, rate: float = 200.0, replicas: int = 1) -> ArgumentParser:
    """The options of benchmarks that load a service at a rate.

    Args:
        about: The benchmark's docstring.
        rate: Requests per second, by default.
        replicas: By default.
    """
    parser = ArgumentParser(description=about, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=rate, help="requests per second")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--replicas", type=int, default=replicas)
    parser.add_argument(
        "--options", nargs="*", default=[], help="more of the service's: request_log=null ..."
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the registry is made, and found the next time")
    return parser


class Served:
    """`tabularay serve` for the length of a block.

    Args:
        folder: Of the registry.
        options: Configuration of the service: replicas=2 and the like; or options of the command: --host and its value.
        model: What is served.
        port: Where; default: one that is free.
        variables: More of its environment.
        stderr: Where its errors go, as for Popen; default: to this process's.

    Attributes:
        port: Where it listens.
        url: Where it answers.
        ready_s: Seconds from the command to its word that it is ready.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        model: str = NAME,
        port: int = 0,
        variables: Mapping[str, str] | None = None,
        stderr: int | None = None,
    ) -> None:
        self.port = port or free_port()
        command = [sys.executable, "-m", "cli", "serve", model, "--port", str(self.port), "--json"]
        command += [o if o.startswith("--") else f"serving.{o}" for o in options]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment() | dict(variables or {}),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        self.url = ""
        self.ready_s = 0.0

    def __enter__(self) -> Served:
        """Wait until it is ready.

        Raises: RuntimeError: it ended instead.
        """
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError(f"tabularay serve ended with {self.process.wait()}")
        self.url = json.loads(line)["url"]
        self.ready_s = time.perf_counter() - self.began
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it as Ctrl-C does, and what is left of it if it does not."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for pid in [*self.find(""), self.process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()

    @property
    def predict_url(self) -> str:
        """Where predictions are asked for."""
        return f"{self.url}/api/ml/predict"

    def find(self, pattern: str) -> list[int]:
        """Processes below it whose command line holds a pattern, oldest first."""
        found = []
        for pid in descendants(self.process.pid):
            with suppress(OSError):
                command = (
                    Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
                if re.search(pattern, command):
                    found.append(pid)
        return sorted(found)


def descendants(pid: int) -> set[int]:
    """All processes below one."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text("utf-8").rpartition(")")[2].split()[1])
                below.setdefault(parent, []).append(int(entry.name))
    found, open_ = set(), [pid]
    while open_:
        for child in below.get(open_.pop(), []):
            found.add(child)
            open_.append(child)
    return found


def listens(pid: int) -> list[int]:
    """TCP ports on which a process listens; none once it is gone."""
    ports: list[int] = []
    with suppress(OSError):
        inodes = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text("utf-8").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and f"socket:[{fields[9]}]" in inodes:
                    ports.append(int(fields[1].rpartition(":")[2], 16))
    return ports


def is_well(url: str) -> bool:
    """Whether a service answers its health route."""
    try:
        with urlopen(f"{url}/api/ml/health", timeout=1) as answer:
            return answer.status == 200  # noqa: PLR2004 - OK
    except OSError:
        return False


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
