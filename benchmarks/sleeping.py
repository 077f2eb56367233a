"""The project with the sleeper family added, and sweeps of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from sklearn.datasets import load_breast_cancer

ROOT = Path(__file__).parent.parent
PACKAGES = ("configs", "data", "models", "search_spaces", "tuning", "ensembles", "serving")
# A hundred processes on few cores take long to start, and longer when they all start at once.
PATIENT = {
    "RAY_worker_maximum_startup_concurrency": "4",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_failure_threshold": "20",
}
LINE = '    "bnn": "BNN",\n'


def make_project(folder: Path) -> Path:
    """Copy the project, add the family as a user would, and write a table beside it."""
    project = folder / "project"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "samples"))
    for path in ROOT.glob("*.py"):
        shutil.copy(path, project)
    shutil.copy(ROOT / "benchmarks/sleeper/model.py", project / "models/sleeper.py")
    shutil.copy(ROOT / "benchmarks/sleeper/space.py", project / "search_spaces/sleeper.py")
    families = project / "models/families.py"
    families.write_text(
        families.read_text("utf-8").replace(LINE, LINE + '    "sleeper": "Sleeper",\n'), "utf-8"
    )
    load_breast_cancer(as_frame=True).frame.to_csv(folder / "table.csv", index=False)
    return project


def sweep(folder: Path, seconds: float, n_trials: int, *overrides: str) -> tuple[dict[str, Any], list[float]]:
    """Run a sweep of sleeping trials, one fit each.

    Returns: what it printed, and the memory of its driver in MB, once a second.
    """
    job = [
        "data.source=table.csv",
        "data.target=target",
        "data.val_size=0.2",
        "families=[sleeper]",
        f"params.sleeper.seconds={seconds}",
        f"search.num_trials={n_trials}",
        "search.scheduler=none",
    ]
    with (folder / "sweep.err").open("w") as errors, (folder / "sweep.json").open("w") as answer:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "tune", *job, *overrides, "--json"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder / "project"), "WANDB_MODE": "offline"} | PATIENT,
            stdout=answer,
            stderr=errors,
        )
        memory = watch(process)
    if process.returncode or not (folder / "sweep.json").stat().st_size:
        raise SystemExit((folder / "sweep.err").read_text())
    return json.loads((folder / "sweep.json").read_text("utf-8")), memory


def watch(process: subprocess.Popen[bytes]) -> list[float]:
    """Memory of a process in MB, once a second until it ends."""
    memory = []
    while True:
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        else:
            return memory
