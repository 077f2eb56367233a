"""A small portfolio of all families, fitted without a cluster, as a run that an ensemble can be built from.

What the benchmarks of the ensemble share: tables by FILE:TARGET or by a manifest, fitting, building, predicting.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.load import SAMPLES
from configs.schema import DataConfig, EnsembleConfig, ProblemType
from data.dataset import TabularDataset, load_dataset
from data.folds import training_rows
from data.metrics import default_metric, score
from data.sources import load_table
from ensembles.build import Ensemble, build_ensemble
from ensembles.scoring import Answers, predict_rows
from models.base import FitContext, Fold, Task
from models.families import FAMILIES, get_family
from models.trials import FoldRecord, trial_name, write_fold, write_trial
from search_spaces import get_space

SAMPLE = f"{SAMPLES / 'credit_default.csv.gz'}:default payment next month"


@dataclass(frozen=True)
class Table:
    """A table to learn from.

    Attributes:
        name: Short name.
        source: File.
        target: Column to predict.
        ignore: Columns left out.
        problem_type: Where it is known.
    """

    name: str
    source: str
    target: str
    ignore: tuple[str, ...] = ()
    problem_type: ProblemType | None = None


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that all benchmarks of the ensemble have."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "tables", nargs="*", default=[SAMPLE], metavar="FILE:TARGET", help="or names in the manifest"
    )
    options.add_argument(
        "--manifest", type=Path, help="JSON: datasets with name, file, target, id_columns, task"
    )
    options.add_argument("--all", action="store_true", help="every table of the manifest")
    options.add_argument("--seconds", type=float, default=60, help="of fitting, each table")
    options.add_argument("--rows", type=int, default=30_000, help="at most so many, at random")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--runs", type=Path, help="folder where fitted portfolios are kept and used again")
    return options


def find_tables(options: argparse.Namespace) -> list[Table]:
    """The tables that were named."""
    known: dict[str, Table] = {}
    if options.manifest:
        for entry in json.loads(options.manifest.read_text("utf-8"))["datasets"]:
            source = str(options.manifest.parent / entry["file"])
            ignore = tuple(entry.get("id_columns", ()))
            known[entry["name"]] = Table(entry["name"], source, entry["target"], ignore, entry["task"])
        if options.all:
            return list(known.values())
    return [known.get(table) or _named(table) for table in options.tables]


def _named(table: str) -> Table:
    source, _, target = table.rpartition(":")
    return Table(Path(source).name.partition(".")[0], source, target)


@contextmanager
def fitted(
    table: Table, options: argparse.Namespace, seed: int = 0, test_size: float = 0.2
) -> Iterator[Path]:
    """A run directory with a portfolio fitted on a table."""
    with tempfile.TemporaryDirectory() as folder:
        name = f"{table.name}-{options.rows}-{options.seconds:g}-{test_size:g}-{seed}"
        run = (options.runs or Path(folder)) / name
        if not (run / "done").exists():
            dataset = read(table, options.rows, seed, test_size)
            dataset.save(run / "dataset")
            fit_portfolio(run, dataset, options.seconds, options.threads)
            (run / "done").touch()
        yield run


def read(table: Table, most_rows: int, seed: int, test_size: float) -> TabularDataset:
    """The table, or as many of its rows at random, divided as a job divides it."""
    config = DataConfig(source=table.source, target=table.target, ignore=table.ignore, test_size=test_size)
    frame = load_table(table.source)
    if len(frame) <= most_rows:
        return load_dataset(config, table.problem_type, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{table.name}.parquet"
        frame.sample(most_rows, random_state=seed).to_parquet(path)
        return load_dataset(config.model_copy(update={"source": str(path)}), table.problem_type, seed)


def fit_portfolio(run: Path, dataset: TabularDataset, seconds: float, n_threads: int) -> None:
    """Fit starting points of all families, each family's strongest first, until the time is over.

    Every family gets one trial whatever the time, so that ensembles are of the kinds that a sweep makes; a fit has
    an even share of what is left, and at least a fiftieth of it all.
    """
    starts = {family: get_space(family, dataset.problem_type)[1] for family in FAMILIES}
    rounds = max(map(len, starts.values()))
    queue = [(f, starts[f][i]) for i in range(rounds) for f in FAMILIES if i < len(starts[f])]
    end = time.monotonic() + seconds
    for number, (family, params) in enumerate(queue):
        if number >= len(FAMILIES) and time.monotonic() > end:
            break
        ahead = len(FAMILIES) - number % len(FAMILIES) if number < len(FAMILIES) else 1
        share = max((end - time.monotonic()) / ahead, seconds / 50) / dataset.n_folds
        _fit_trial(
            run / "trials" / trial_name(number, family), (number, family, params), dataset, share, n_threads
        )


def _fit_trial(
    path: Path, trial: tuple[int, str, dict], dataset: TabularDataset, fold_s: float, n_threads: int
) -> None:
    number, family, params = trial
    values = {"number": number, "family": family, "params": params, "seed": number, "origin": "portfolio"}
    write_trial(path, values | {"state": "completed"})
    metric, folds = default_metric(dataset.problem_type), np.asarray(dataset.folds)
    for k in range(dataset.n_folds):
        train, val = training_rows(folds, k, dataset.split), folds == k
        fold = Fold(dataset.X[train], dataset.y[train], dataset.X[val], dataset.y[val])
        start = time.monotonic()
        context = FitContext(n_threads, seed=number + k, deadline=start + fold_s)
        model = get_family(family).fit(params, Task.of(dataset), fold, context)
        prediction = model.predict(fold.X_val, n_threads)
        took, history = time.monotonic() - start, model.history
        value = score(metric, fold.y_val, prediction.mean)
        record = FoldRecord(k, value, took, took, history.stop_reason, best_step=history.best)
        write_fold(path, record, model, prediction)


def build(
    run: Path, config: EnsembleConfig | None = None, n_threads: int = 1
) -> tuple[Ensemble, TabularDataset]:
    """The ensemble of a run, without a baseline, and its table."""
    dataset = TabularDataset.load(run / "dataset")
    context = FitContext(n_threads, deadline=time.monotonic())  # no time: the baseline is left out
    facts = {"name": run.name, "created": 0}
    metric = default_metric(dataset.problem_type)
    return build_ensemble(run, config or EnsembleConfig(), metric, facts, context), dataset


def predict_test(
    ensemble: Ensemble, dataset: TabularDataset, n_threads: int = 1
) -> tuple[Answers, np.ndarray]:
    """What the ensemble says of the withheld rows, and the truth."""
    rows = (np.asarray(dataset.X_test), n_threads)
    answers = predict_rows(ensemble.members, ensemble.best_single, ensemble.honesty, dataset, rows)
    return answers, np.asarray(dataset.y_test)


def say(*values: object) -> None:
    """Print a line at once."""
    print(*values, flush=True)
