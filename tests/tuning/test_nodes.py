"""Sweeps on clusters of several Ray nodes, each a `ray start` of its own on this machine."""

import os
import shutil
import subprocess
import sys

import pytest

from benchmarks import nodes
from benchmarks.sleeping import make_project

NAMESPACES = [shutil.which("unshare") or "", "--mount", "true"]
CAN_HIDE = bool(NAMESPACES[0]) and os.geteuid() == 0 and not subprocess.run(NAMESPACES).returncode


def test_a_lost_node_costs_nothing_that_was_finished(tmp_path):
    outcome = nodes.lose_a_node(tmp_path, 0.3, 0.5)
    assert outcome["trials completed"] == nodes.N_TRIALS
    assert outcome["trials failed"] == 0
    assert outcome["of them fitted again"] == 0
    assert outcome["trials begun again"] >= 1


@pytest.mark.skipif(not CAN_HIDE, reason="needs root and `unshare --mount`, to hide a folder from a node")
def test_a_node_that_does_not_share_the_run_directory_is_named_before_the_first_trial(tmp_path):
    make_project(tmp_path)
    runs = tmp_path / "runs"
    runs.mkdir()
    with nodes.cluster(1, tmp_path) as cluster:
        hidden = f'mount -t tmpfs none "{runs}" && exec "$@"'
        cluster.add(f"--address={cluster.address}", before=["unshare", "--mount", "sh", "-c", hidden, "sh"])
        nodes.wait_for_nodes(cluster, 2)
        table = ["data.source=table.csv", "data.target=target", "families=[sleeper]", "search.num_trials=2"]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "cli",
                "tune",
                *table,
                "tracking=none",
                f"cluster.address={cluster.address}",
            ],
            cwd=tmp_path,
            env=cluster.environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
    assert done.returncode == 2, done.stderr
    assert f"runs={runs}" in done.stderr
    assert "not one folder that all nodes share" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(runs.glob("*/trials/*"))
