"""The DNN's starting points beside pytabkit's RealMLP, on the same splits.

python -m benchmarks.networks --peer ../peer/bin/python homes.csv:price
python -m benchmarks.networks --peer ../peer/bin/python --whole homes.csv:price   all 256 epochs

--peer names the Python of an environment with pytabkit[models]. A fifth of the rows is for the test, a fifth of the
others stops the fit and chooses the epoch and, of ours, the starting point. "TD-S" and "TD" are RealMLP's defaults with
as many epochs as fit into the seconds that all our starting points took together.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.splits import Split, fit, read, say, split
from data.metrics import default_metric, score
from search_spaces import get_space

SCRIPT = Path(__file__).parent / "realmlp.py"


def main() -> None:
    """Print one line per table and seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="+", metavar="FILE:TARGET")
    parser.add_argument(
        "--categorical", nargs="*", default=[], help="columns that are categories, whatever they hold"
    )
    parser.add_argument("--ignore", nargs="*", default=[], help="columns left out")
    parser.add_argument("--peer", metavar="PYTHON")
    parser.add_argument("--kinds", nargs="+", default=["TD_S", "TD"])
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for table in options.tables:
        dataset = read(table, options.categorical, options.ignore)
        metric = default_metric(dataset.problem_type)
        for seed in range(options.seeds):
            part = split(dataset, 0.2, 0.2, seed)
            say(f"{dataset.name}, seed {seed}, {metric}")
            seconds = ours(part, metric, seed, options.threads)
            for kind in options.kinds if options.peer else []:
                peer = {"kind": kind, "time_s": None if options.whole else seconds, "seed": seed}
                theirs(part, metric, options.peer, peer | {"n_threads": options.threads})


def ours(part: Split, metric: str, seed: int, n_threads: int) -> float:
    """Fit every starting point; seconds they took together."""
    total, results = 0.0, []
    for params in get_space("dnn", part.task.problem_type)[1]:
        model, seconds = fit("dnn", params, part, seed, n_threads)
        total += seconds
        value = score(metric, part.y_test, model.predict(part.X_test, n_threads).mean)
        results.append((min(model.history.val), value))
        say(f"  DNN     {value:12.5f} {seconds:6.0f} s  best epoch {model.history.best + 1}  {params}")
    say(f"  ours    {min(results)[1]:12.5f} {total:6.0f} s  the best of them on the validation rows")
    return total


def theirs(part: Split, metric: str, python: str, options: dict) -> None:
    """Fit RealMLP in an interpreter of its own."""
    arrays = {
        "X_train": part.fold.X_train, "y_train": part.fold.y_train, "X_val": part.fold.X_val,
        "y_val": part.fold.y_val, "X_test": part.X_test, "cardinalities": part.task.cardinalities,
    }  # fmt: skip
    options |= {"n_classes": 0 if part.task.is_regression else part.task.n_outputs}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "split.npz"), Path(folder, "answers.npy")
        np.savez(source, **arrays)
        command = [python, str(SCRIPT), str(source), str(target), json.dumps(options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        about = json.loads(done.stdout.strip().splitlines()[-1])
        value = score(metric, part.y_test, np.load(target))
    say(f"  {options['kind']:<7} {value:12.5f} {about['seconds']:6.0f} s  {about['epochs']} epochs")


if __name__ == "__main__":
    main()
