"""What a row is reckoned to take, beside what it takes here: every complete trial of some runs, one model and all.

    python -m benchmarks.reckoning runs/RUN runs/OTHER

Microseconds of the processor, one encoded row at a time, one thread, each trial in a graph of its own. The limit of an
ensemble's latency goes by the first figure, so that it is the same on every machine.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from data.dataset import TabularDataset
from ensembles.graph import ExportMember, build_graph
from ensembles.member import Deployed
from ensembles.session import GraphSession
from ensembles.work import work_of
from models.base import Task
from models.boosting import TargetScale
from models.trials import read_trials

REPEATS = 300


def main() -> None:
    """Print a line per trial, and how the two figures compare over all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=2, help="trials of a family in a run")
    given = parser.parse_args()
    print(f"{'run':28s} {'trial':18s} {'models':>6s} {'reckoned us':>12s} {'taken us':>9s} {'ratio':>6s}")
    ratios = []
    for run in given.runs:
        dataset = TabularDataset.load(run / "dataset")
        seen: dict[str, int] = {}
        for trial in read_trials(run / "trials"):
            seen[trial.family] = seen.get(trial.family, 0) + 1
            if len(trial.folds) < dataset.n_folds or not trial.has_models or seen[trial.family] > given.most:
                continue
            whole = Deployed.whole(trial, dataset.split)
            for folds in sorted({whole.folds[:1], whole.folds}, key=len):
                reckoned, taken = compare(Deployed(trial, folds, whole.n_shares), dataset)
                ratios.append(reckoned / taken)
                print(
                    f"{run.name[:28]:28s} {trial.name:18s} {len(folds):6d} {reckoned:12.0f} {taken:9.0f} "
                    f"{ratios[-1]:6.2f}",
                    flush=True,
                )
    low, median, high = np.percentile(ratios, [10, 50, 90])
    print(
        f"reckoned / taken: median {median:.2f}, 8 in 10 from {low:.2f} to {high:.2f}, {len(ratios)} graphs"
    )


def compare(one: Deployed, dataset: TabularDataset) -> tuple[float, float]:
    """Microseconds of a row: reckoned, and the median of those taken here."""
    task = Task.of(dataset)
    units = TargetScale.of(np.asarray(dataset.y), task)
    member = ExportMember(one.trial.name, one.trial.family, 1.0, 0.0, one.load(), one.n_shares)
    session = GraphSession(build_graph([member], task, units, None).SerializeToString())
    X = np.asarray(dataset.X[:REPEATS])
    seconds = []
    for i in range(REPEATS):
        row = X[i % len(X)][None]
        start = time.process_time()
        session.predict(row)
        seconds.append(time.process_time() - start)
    reckoned = work_of(member.parts, task, units).row_ms
    return 1000 * reckoned, 1e6 * float(np.median(seconds))


if __name__ == "__main__":
    main()
