"""How near a sweep comes to the ideal rate, and whether it stays there: many trials, many workers.

    python -m benchmarks.scale two            1-second fits on 2 workers
    python -m benchmarks.scale many           10,000 tiny trials
    python -m benchmarks.scale hundred        100 workers (logical CPUs), fits of 10 s

The ideal rate is workers / seconds of a fit. It is held against the rate once every worker has ended a trial, and
against the whole search, in which the workers' start is counted too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sleeping import make_project, sweep

SETTINGS = {"two": (2, 1.0, 120), "many": (2, 0.0, 10_000), "hundred": (100, 10.0, 1000)}
WINDOW = 0.1


def main() -> None:
    """Print the figures of one setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--trials", type=int, help="Another number of trials.")
    parser.add_argument("--tracking", default="none", choices=["none", "wandb"])
    given = parser.parse_args()
    workers, seconds, n_trials = SETTINGS[given.setting]
    n_trials = given.trials or n_trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder)
        result, memory = sweep(
            folder, seconds, n_trials, f"cluster.num_cpus={workers}", f"tracking={given.tracking}"
        )
        ends = ends_of(Path(result["run"]))
        print(f"{n_trials} trials of {seconds:g} s on {workers} workers, {result['n_workers']} processes")
        if seconds:
            run, whole = Path(result["run"]), n_trials / result["seconds"]["search"]
            say_rates(ends, all_there(run), workers / seconds, whole, workers)
        say_growth(ends, memory)
        say_disk(Path(result["run"]))


def events_of(run: Path) -> list[dict[str, Any]]:
    """What happened in a run."""
    return [json.loads(line) for line in (run / "events.jsonl").read_text("utf-8").splitlines()]


def ends_of(run: Path) -> np.ndarray:
    """Times at which the trials ended."""
    return np.array([e["time"] for e in events_of(run) if e["event"] == "end"])


def all_there(run: Path) -> float:
    """Time at which the last of the workers had finished its first fold."""
    first: dict[tuple[str, int], float] = {}
    for event in events_of(run):
        if event["event"] == "fold":
            first.setdefault((event["node"], event["worker"]), event["time"])
    return max(first.values())


def say_rates(ends: np.ndarray, start: float, ideal: float, whole: float, workers: int) -> None:
    """Rates as shares of the ideal; the last round, in which workers run out of trials, is left out."""
    body = ends[: len(ends) - workers + 1]
    body = body[body >= start]
    steady = (len(body) - 1) / (body[-1] - body[0])
    print(
        f"  rate once all {workers} work, {body[0] - ends[0]:.0f} s after the first end: {steady:.3f}/s, "
        f"{steady / ideal:.1%} of the ideal {ideal:.3f}/s ({len(body)} trials)"
    )
    print(f"  whole search, start of the workers included: {whole / ideal:.1%}")


def say_growth(ends: np.ndarray, memory: list[float]) -> None:
    """Time per trial and memory of the driver, early and late."""
    share = int(WINDOW * len(ends))
    early, late = (np.diff(part).mean() * 1000 for part in (ends[share : 2 * share], ends[-share:]))
    print(
        f"  time per trial: {early:.1f} ms in the second tenth, {late:.1f} ms in the last ({late / early - 1:+.0%})"
    )
    if len(memory) > 1 / WINDOW:
        # The last tenth of the time belongs to the ensemble in part.
        fifth, ninth = (memory[int(len(memory) * part)] for part in (0.2, 0.85))
        print(
            f"  driver: {fifth:.0f} MB after a fifth of the time, {ninth:.0f} MB late ({ninth / fifth - 1:+.0%})"
        )


def say_disk(run: Path) -> None:
    """Size of the run directory."""
    files: list[Any] = [p.stat() for p in run.rglob("*") if p.is_file()]
    size = sum(s.st_blocks * 512 for s in files) / 1e6
    print(f"  run directory: {len(files):,} files, {size:.0f} MB on disk")


if __name__ == "__main__":
    main()
