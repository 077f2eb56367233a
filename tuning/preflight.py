"""Is the run directory the same folder on every node? Asked before the first trial, not found out after it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from configs.schema import ClusterConfig
from errors import ConfigError
from tuning.runs import Run

WITHIN_S = 60.0


def check_nodes(run: Run, cluster: ClusterConfig) -> None:
    """Prove on every node of a cluster that it reads what the driver writes, and the driver what it writes.

    Raises: ConfigError: names the nodes, and what each could not do.
    """
    if cluster.address is None:
        return
    folder = run.path / "preflight"
    folder.mkdir(exist_ok=True)
    word = uuid4().hex
    (folder / "driver").write_text(word, "utf-8")
    nodes = {n["NodeID"]: n["NodeManagerHostname"] for n in ray.nodes() if n["Alive"]}
    asked = {node: _remote_probe(node).remote(str(folder), node) for node in nodes}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=WITHIN_S)
    wrong = [
        f"{nodes[node]} ({node[:8]}): {trouble}"
        for node, answer in asked.items()
        if (trouble := _trouble(folder, node, word, answer))
    ]
    if wrong:
        raise ConfigError(
            f"runs={run.path.parent}: not one folder that all nodes share; {'; '.join(wrong)}. "
            "Give a folder that every node mounts at the same path (NFS, EFS, ...)"
        )
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _remote_probe(node: str) -> ray.remote_function.RemoteFunction:
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, max_retries=0)(_probe).options(scheduling_strategy=strategy)


def _probe(folder: str, node: str) -> str:
    """Runs on the node: what the driver has written, after writing something itself."""
    (Path(folder) / node).write_text(node, "utf-8")
    return (Path(folder) / "driver").read_text("utf-8")


def _trouble(folder: Path, node: str, word: str, answer: ray.ObjectRef) -> str:
    try:
        read = ray.get(answer, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return f"did not answer within {WITHIN_S:g} s"
    except ray.exceptions.RayTaskError as error:
        return f"cannot use {folder}: {error.cause}"
    except ray.exceptions.RayError as error:
        return str(error).splitlines()[0]
    if read != word:
        return "reads another folder than the driver"
    return "" if (folder / node).is_file() else "what it writes does not reach the driver"
