"""What a trial costs beyond its fit: ours, Ray Tune as it comes, with its W&B callback, and a plain Optuna loop.

    python -m benchmarks.overhead

Every trial is one fit that sleeps; two workers (the plain loop has one). Printed per trial: wall clock beyond the fits,
that is (wall clock - fits / workers) / trials, the start of the workers included, and of ours also without it, from
the first end of a trial to the last. The start is shared by all trials, so only lines with
equally many trials compare; ours has both counts. Ours is the search of the whole command with everything it writes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from itertools import product
from pathlib import Path

import optuna
import ray
from ray import tune
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.search.optuna import OptunaSearch

from benchmarks.scale import ends_of
from benchmarks.sleeping import make_project, sweep

WORKERS = 2


def main() -> None:
    """Print one line per contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--stock-trials", type=int, default=30, help="Trials of the slow ones.")
    parser.add_argument("--seconds", type=float, default=0.2, help="Seconds of a fit.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder)
        for tracking, n_trials in product(("none", "wandb"), (given.stock_trials, given.trials)):
            result, _memory = sweep(
                folder, given.seconds, n_trials, f"tracking={tracking}", f"cluster.num_cpus={WORKERS}"
            )
            say(f"tabularay, tracking={tracking}", result["seconds"]["search"], n_trials, given.seconds)
            ends = ends_of(Path(result["run"]))
            say("    once the workers run", ends[-1] - ends[0], n_trials - 1, given.seconds)
        os.chdir(folder)
        for wandb in (False, True):
            wall = stock(given.stock_trials, given.seconds, folder, wandb=wandb)
            title = "Ray Tune + OptunaSearch" + (" + WandbLoggerCallback" if wandb else "")
            say(title, wall, given.stock_trials, given.seconds)
        say("plain Optuna loop", loop(given.trials, given.seconds, folder), given.trials, given.seconds, 1)


def say(who: str, wall: float, n_trials: int, seconds: float, workers: int = WORKERS) -> None:
    """Print a contender's figures."""
    beyond = wall / n_trials - seconds / workers
    print(
        f"{who:48s} {1000 * beyond:8.0f} ms a trial beyond its fit   ({n_trials} trials, {wall:.1f} s)",
        flush=True,
    )


def stock(n_trials: int, seconds: float, folder: Path, *, wandb: bool) -> float:
    """Seconds of the same trials in Ray Tune with its own searcher and loggers."""
    os.environ["WANDB_MODE"] = "offline"
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def objective(config: dict[str, float]) -> None:
        time.sleep(seconds)
        tune.report({"score": config["x"]})

    callbacks = [WandbLoggerCallback(project="overhead")] if wandb else []
    try:
        start = time.time()
        tune.Tuner(
            objective,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(
                metric="score", mode="max", num_samples=n_trials, search_alg=OptunaSearch()
            ),
            run_config=tune.RunConfig(storage_path=str(folder / "stock"), callbacks=callbacks, verbose=0),
        ).fit()
        return time.time() - start
    finally:
        ray.shutdown()


def loop(n_trials: int, seconds: float, folder: Path) -> float:
    """Seconds of the same trials in a plain loop, with Optuna's SQLite storage."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{folder / 'loop.db'}", direction="maximize")

    def objective(trial: optuna.Trial) -> float:
        time.sleep(seconds)
        return trial.suggest_float("x", 0, 1)

    start = time.time()
    study.optimize(objective, n_trials=n_trials)
    return time.time() - start


if __name__ == "__main__":
    main()
