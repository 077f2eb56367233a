"""Seconds and peak memory of greedy selection among many trials, read from their files as a run leaves them.

python -m benchmarks.selection                                            500 trials x 50,000 rows x 10 classes
python -m benchmarks.selection --classes 2 --metrics roc_auc accuracy

Each metric runs in a process of its own, whose peak is what the operating system saw. Goal: 60 s and 4 GiB on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.portfolio import say
from data.metrics import loss
from ensembles.candidates import Candidates
from ensembles.selection import select
from models.trials import FoldRecord, StoredTrial

N_FOLDS = 5


def main() -> None:
    """Print one line per metric."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--metrics", nargs="+", default=["log_loss", "roc_auc", "accuracy"])
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "METRIC"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(Path(given.measure[0]), given.measure[1], given.trials)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), given.trials, given.rows, given.classes)
        say(f"{given.trials} trials x {given.rows:,} rows x {given.classes} classes")
        say(
            f"{'metric':<10} {'seconds':>8} {'CPU s':>7} {'peak GiB':>9} {'members':>8} {'best single':>12} "
            f"{'ensemble':>10}"
        )
        for metric in given.metrics:
            found = _in_process(folder, metric, given.trials)
            say(
                f"{metric:<10} {found['seconds']:>8.1f} {found['cpu_s']:>7.1f} {found['peak_gib']:>9.2f} "
                f"{found['members']:>8} {found['best']:>12.6f} {found['loss']:>10.6f}"
            )


def write(folder: Path, n_trials: int, n_rows: int, n_classes: int) -> None:
    """Out-of-fold files of trials that know something, each in its own way and with its own strength."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=n_rows)
    folds = np.arange(n_rows) % N_FOLDS
    np.save(folder / "y.npy", y)
    np.save(folder / "folds.npy", folds)
    views = rng.normal(size=(8, n_rows, n_classes)).astype(np.float32)
    for number in range(n_trials):
        mix = rng.dirichlet(np.full(8, 0.5)).astype(np.float32)
        z = np.tensordot(mix, views, 1) / np.linalg.norm(mix)
        z += 0.3 * rng.standard_normal(z.shape, np.float32)
        z[np.arange(n_rows), y] += rng.uniform(1.0, 2.0)
        P = np.exp(z)
        P /= P.sum(axis=1, keepdims=True)
        for k in range(N_FOLDS):
            path = folder / f"{number:04d}" / f"fold_{k}"
            path.mkdir(parents=True)
            np.save(path / "oof.npy", P[folds == k])


def measure(folder: Path, metric: str, n_trials: int) -> dict[str, float]:
    """Select once in this process."""
    y, folds = np.load(folder / "y.npy"), np.load(folder / "folds.npy")
    records = tuple(FoldRecord(k, 0.0, 0.0, 0.0) for k in range(N_FOLDS))
    trials = [
        StoredTrial(folder / f"{n:04d}", n, "lightgbm", {}, n, "made", "completed", "", records)
        for n in range(n_trials)
    ]
    start, cpu = time.monotonic(), time.process_time()
    candidates = Candidates(trials, folds)
    found = select(candidates, y, metric)
    seconds, cpu_s = time.monotonic() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if found.loss > loss(metric, y, candidates[found.best]):
        raise SystemExit(f"{metric}: worse than the best single trial")
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "peak_gib": peak,
        "members": len(found.weights),
        "best": found.best_loss,
        "loss": found.loss,
    }


def _in_process(folder: str, metric: str, n_trials: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.selection", "--trials", str(n_trials)]
    one_core = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--measure", folder, metric],
        env={**os.environ, **one_core},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
