"""A sweep on a cluster of three Ray nodes that loses one of them for good.

    python -m benchmarks.nodes

The nodes are processes of `ray start` on this machine, one CPU each. When a share of the folds is finished, every
process of one node that runs trials is killed -9. Ends with 1 unless all trials complete, none counts as failed, and no
finished fold was fitted again.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.recovery import snapshot
from benchmarks.sleeping import make_project

N_TRIALS = 8
LONGEST_S = 120


@dataclass
class Cluster:
    """Ray nodes on this machine, each with its processes in a group of their own.

    Attributes:
        environment: What a command needs to use it.
        address: Its GCS.
        nodes: The nodes, the head first.
    """

    environment: dict[str, str]
    address: str
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add(self, *options: str, before: Sequence[str] = ()) -> None:
        """Start a node with one CPU; `before` is a command that runs it."""
        ray = str(Path(sys.executable).with_name("ray"))
        command = [*before, ray, "start", "--block", "--num-cpus=1", *options]
        quiet = subprocess.DEVNULL
        self.nodes.append(
            subprocess.Popen(
                command, env=self.environment, stdout=quiet, stderr=quiet, start_new_session=True
            )
        )

    def kill(self, node: int) -> None:
        """Kill -9 all processes of a node."""
        os.killpg(self.nodes[node].pid, signal.SIGKILL)
        self.nodes[node].wait()


@contextmanager
def cluster(n_nodes: int, folder: Path) -> Iterator[Cluster]:
    """A cluster that asks for a token, ended with all its processes."""
    port = free_port()
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(folder / "project"),
    }
    it = Cluster(environment, f"127.0.0.1:{port}")
    ray = tempfile.TemporaryDirectory(prefix="ray")  # a path short enough for Ray's sockets
    try:
        it.add("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={ray.name}")
        for present in range(1, n_nodes + 1):  # one by one: nodes that start together pick the same ports
            wait_for_nodes(it, present)
            if present < n_nodes:
                it.add(f"--address={it.address}")
        yield it
    finally:
        for node, process in enumerate(it.nodes):
            if process.poll() is None:
                it.kill(node)
        ray.cleanup()


def free_port() -> int:
    """A TCP port nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lose_a_node(folder: Path, share: float, seconds: float) -> dict[str, object]:
    """Run a sweep on three nodes, kill one, and tell what became of it."""
    make_project(folder)
    with cluster(3, folder) as nodes:
        command = [
            *(sys.executable, "-m", "cli", "tune", "data.source=table.csv", "data.target=target"),
            *("families=[sleeper]", f"params.sleeper.seconds={seconds}", "data.n_folds=5", "name=nodes"),
            *("search.scheduler=none", f"search.num_trials={N_TRIALS}", "tracking=none", "--json"),
            f"cluster.address={nodes.address}",
        ]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            job = subprocess.Popen(command, cwd=folder, env=nodes.environment, stdout=out, stderr=err)
        run = wait_for_folds(folder, round(share * 5 * N_TRIALS), job)
        before = snapshot(run)
        killed = time.time()
        nodes.kill(1)
        job.wait(LONGEST_S)
        if job.returncode:
            raise SystemExit((folder / "err").read_text("utf-8"))
    result = json.loads((folder / "out").read_text("utf-8"))
    after = snapshot(run)
    return {
        "trials completed": result["n_completed"],
        "trials failed": result["n_failed"],
        "folds finished at the loss": len(before["folds"]),
        "of them fitted again": sum(after["folds"].get(f) != t for f, t in before["folds"].items()),
        "trials begun again": result["n_retries"],
        "worker processes": result["n_workers"],
        "seconds from the loss to the end": round(time.time() - killed),
    }


def wait_for_nodes(nodes: Cluster, n_nodes: int) -> None:
    """Wait until a cluster has all its CPUs."""
    count = "import ray; ray.init(address={!r}, log_to_driver=False); print(ray.cluster_resources().get('CPU', 0))"
    end = time.time() + LONGEST_S
    while time.time() < end and all(node.poll() is None for node in nodes.nodes):
        done = subprocess.run(
            [sys.executable, "-c", count.format(nodes.address)],
            env=nodes.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and float(done.stdout.split()[-1]) >= n_nodes:
            return
    raise SystemExit(f"the cluster did not get its {n_nodes} nodes")


def wait_for_folds(folder: Path, n_folds: int, job: subprocess.Popen[bytes]) -> Path:
    """Wait until a sweep has finished some folds; its run directory."""
    end = time.time() + LONGEST_S
    while time.time() < end and job.poll() is None:
        done = list(folder.glob("runs/*/trials/*/fold_*/fold.json"))
        if len(done) >= n_folds:
            return done[0].parents[3]
        time.sleep(0.05)
    raise SystemExit((folder / "err").read_text("utf-8"))


def main() -> None:
    """Lose a node, and print what became of the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--share", type=float, default=0.4, help="Share of the folds finished at the loss.")
    parser.add_argument("--seconds", type=float, default=1.0, help="Seconds of a fit.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = lose_a_node(Path(folder), given.share, given.seconds)
    for what, value in outcome.items():
        print(f"{what:36s} {value}")
    kept = outcome["trials completed"] == N_TRIALS and not outcome["of them fitted again"]
    sys.exit(not kept or bool(outcome["trials failed"]))


if __name__ == "__main__":
    main()
