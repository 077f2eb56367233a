"""Which rule for the next family, and which scheduler, makes the best ensemble in equal time?

    python -m benchmarks.search --record 60 --seconds 15 30 FILE:TARGET FILE:TARGET FILE:TARGET

Per table every family's trials are recorded first: its starting points, then random ones, none stopped, until it
has had `--record` seconds. Fits have one thread and are timed by the processor's clock, so that a busy machine does not
count. The rules are then replayed on them in virtual time with two workers and the same code of rule, scheduler,
running ensemble and selection as in a sweep; a trial that would end after the time is lost. Random proposals do not
depend on one another, so their order is shuffled and each rule is replayed many times: printed are the mean loss of
the selected ensemble on the withheld rows, relative to that of turns without a scheduler on the same shuffle, and its
standard error. What a sampler learns on the way is out of it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from optuna.trial import TrialState

from configs.load import load_config
from configs.schema import SearchConfig
from data.dataset import TabularDataset
from data.metrics import get_metric, loss
from data.sources import load_table
from ensembles.running import Entry, RunningEnsemble, sample_rows, try_entry
from ensembles.selection import select
from models.base import Task
from models.trials import StoredTrial, read_trials, write_trial
from tuning.choice import CHOICES
from tuning.folds import FoldJob, SweepData, fit_fold
from tuning.ledger import Ledger, Proposal
from tuning.plan import plan_sweep
from tuning.runs import Run, create_run
from tuning.scheduler import make_scheduler
from tuning.spaces import family_spaces
from tuning.studies import FamilyStudy

SLOTS = 2
RULES = [("turns", "none"), ("turns", "race"), ("time", "race"), ("gain", "race"), ("gain", "ensemble"),
         ("time", "none"), ("gain", "none"), ("time", "median")]  # fmt: skip


@dataclass(frozen=True)
class Taped:
    """A recorded trial: what it proposed, how long its folds took, how they scored, what it predicts."""

    family: str
    origin: str
    seconds: tuple[float, ...]
    means: tuple[float, ...]
    oof: np.ndarray
    test: np.ndarray


class Tape:
    """A recorded sweep.

    Args:
        run: Its run directory.
    """

    def __init__(self, run: Path) -> None:
        dataset = TabularDataset.load(run / "dataset")
        self.metric = get_metric(Run(run).config().metric, dataset.problem_type)
        self.loss = partial(loss, self.metric.name)
        self.n_folds, self.folds = dataset.n_folds, np.asarray(dataset.folds)
        self.y, self.X_test, self.y_test = (
            np.asarray(dataset.y),
            np.asarray(dataset.X_test),
            np.asarray(dataset.y_test),
        )
        done = [t for t in read_trials(run / "trials") if t.state == "completed"]
        self.trials = [self._read(trial) for trial in done]
        self.families = tuple(dict.fromkeys(t.family for t in self.trials))

    def _read(self, trial: StoredTrial) -> Taped:
        test = np.mean(
            [trial.load_model(f.fold).predict(self.X_test, SLOTS).mean for f in trial.folds], axis=0
        )
        seconds, means = tuple(f.total_s for f in trial.folds), tuple(trial.running_means)
        return Taped(trial.family, trial.origin, seconds, means, trial.oof(self.folds), test)

    def shuffled(self, seed: int) -> dict[str, list[Taped]]:
        """Each family's trials: its starting points, then the others in some order."""
        order = np.random.default_rng(seed).permutation(len(self.trials))
        out = {
            f: [t for t in self.trials if t.family == f and t.origin == "portfolio"] for f in self.families
        }
        for i in order:
            if self.trials[i].origin != "portfolio":
                out[self.trials[i].family].append(self.trials[i])
        return out


class Replay:
    """A sweep in virtual time.

    Args:
        tape: What is played.
        queues: Each family's trials in the order of their proposal.
        choice: Key of choice.CHOICES.
        scheduler: As search.scheduler.
        seconds: Its time.
    """

    def __init__(
        self, tape: Tape, queues: dict[str, list[Taped]], choice: str, scheduler: str, seconds: float
    ):
        self.tape, self.queues, self.choose, self.end = tape, queues, CHOICES[choice], seconds
        self.ledger = Ledger(tape.families, tape.n_folds)
        self.rows = sample_rows(tape.folds, 0)
        self.places = np.searchsorted(np.flatnonzero(tape.folds >= 0), self.rows)
        self.ensemble = RunningEnsemble(tape.y[self.rows], tape.loss)
        self.playing: dict[int, Taped] = {}
        knows = SimpleNamespace(
            rung=lambda number, n: self.ledger.rung(number, n, self.ledger.n_searched), entry=self._entry
        )
        self.scheduler = make_scheduler(
            SearchConfig(scheduler=scheduler), knows, tape.metric.mode, tape.n_folds
        )
        self.complete: list[Taped] = []

    def run(self) -> float:
        """Play to the end of the time; returns the loss of the selected ensemble on the withheld rows."""
        events: list[tuple[float, int, int]] = []  # time, trial, folds finished
        for _slot in range(SLOTS):
            self._start(0.0, events)
        while events:
            now, number, n_done = heapq.heappop(events)
            if now > self.end:
                break
            trial = self.playing[number]
            self.ledger.progress(number, list(trial.means[:n_done]), sum(trial.seconds[:n_done]))
            if n_done == self.tape.n_folds or self._stops(number, trial, n_done):
                self._finish(number, trial, n_done)
                self._start(now, events)
            else:
                heapq.heappush(events, (now + trial.seconds[n_done], number, n_done + 1))
        return self._score()

    def _start(self, now: float, events: list[tuple[float, int, int]]) -> None:
        facts = self.ledger.families
        open_ = [
            f for f in self.tape.families
            if facts[f].n_proposed < len(self.queues[f]) and (facts[f].whole_min_s or 0.0) <= self.end - now
        ]  # fmt: skip
        if not open_:
            return
        fresh = [f for f in open_ if not facts[f].n_proposed]
        family = fresh[0] if fresh else self.choose(open_, self.ledger)[0]
        trial, number = self.queues[family][facts[family].n_proposed], self.ledger.n_searched
        self.ledger.add(Proposal(number, family, {}, trial.origin, ""))
        self.playing[number] = trial
        heapq.heappush(events, (now + trial.seconds[0], number, 1))

    def _stops(self, number: int, trial: Taped, n_done: int) -> bool:
        asked = SimpleNamespace(config={"number": number, "origin": trial.origin})
        result = {"n_folds": n_done, "score": trial.means[n_done - 1], "error": ""}
        return self.scheduler.on_trial_result(None, asked, result) == "STOP"

    def _entry(self, number: int, n_done: int) -> Entry | None:
        if self.ensemble.mean is None:
            return None
        done = self.tape.folds[self.rows] < n_done
        predictions = self.playing[number].oof[self.places[done]]
        return try_entry(self.ensemble.y[done], self.ensemble.mean[done], predictions, self.tape.loss)

    def _finish(self, number: int, trial: Taped, n_done: int) -> None:
        whole = n_done == self.tape.n_folds
        gain = self.ensemble.add(trial.oof[self.places]) if whole else 0.0
        self.ledger.end(number, TrialState.COMPLETE if whole else TrialState.PRUNED, gain)
        if whole:
            self.complete.append(trial)

    def _score(self) -> float:
        if not self.complete:
            return float("nan")
        y = self.tape.y[self.tape.folds >= 0]
        weights = select([t.oof for t in self.complete], y, self.tape.metric.name).weights
        test = sum(w * self.complete[i].test for i, w in weights.items())
        return self.tape.loss(self.tape.y_test, test)


def main() -> None:
    """Print a table per set and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "tables", nargs="+", metavar="FILE:TARGET", help="Or the run directory of a recorded sweep."
    )
    parser.add_argument("--record", type=float, default=60, help="Seconds of each family.")
    parser.add_argument(
        "--most-rows", type=int, default=5000, help="Of larger tables so many rows at random."
    )
    parser.add_argument("--seconds", type=float, nargs="+", default=[15, 30], help="Times that are replayed.")
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="Folder in which recorded sweeps stay.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for table in given.tables:
            source, _, target = table.rpartition(":")
            run = (
                Path(table)
                if Path(table).is_dir()
                else record(source, target, given.record, given.keep or scratch, given.most_rows)
            )
            tape = Tape(run)
            counts = {f: sum(t.family == f for t in tape.trials) for f in tape.families}
            print(f"{table}: {len(tape.trials)} recorded trials {counts}, {tape.metric.name}", flush=True)
            for seconds in given.seconds:
                say(tape, seconds, given.shuffles)


def record(source: str, target: str, seconds: float, folder: str | Path, most_rows: int) -> Path:
    """Fit every family's trials for some seconds each; returns the run directory."""
    table = load_table(source)
    table = table.sample(min(len(table), most_rows), random_state=0)
    path = Path(folder) / f"{Path(source).name.split('.')[0]}.parquet"
    table.to_parquet(path)
    plan = plan_sweep(
        load_config(
            [f"data.source={path}", f"data.target={target}", "data.test_size=0.25", "data.n_folds=3",
             f"runs={Path(folder).resolve()}"]
        )
    )  # fmt: skip
    run = create_run(plan.config)
    plan.dataset.save(run.dataset)
    dataset = plan.dataset
    data = SweepData(
        np.asarray(dataset.X), np.asarray(dataset.y), np.asarray(dataset.folds), dataset.n_folds, dataset.split,
        Task.of(dataset), plan.metric.name, run.trials, None,
    )  # fmt: skip
    number = 0
    for family, space in family_spaces(plan.config, dataset.problem_type).items():
        study, spent = FamilyStudy(space.space, "random", 0, "minimize"), 0.0
        points = list(space.portfolio)
        while spent < seconds or points:
            origin = "portfolio" if points else "random"
            params = space.fixed | study.ask(number, points.pop(0) if points else None)
            spent += _fit(data, run.trial_path(number, family), (number, family, params, origin))
            number += 1
    return run.path


def _fit(data: SweepData, path: Path, trial: tuple[int, str, dict[str, Any], str]) -> float:
    """Fit a trial's folds; returns the processor's seconds, which are also written as the folds' own."""
    number, family, params, origin = trial
    facts = {"number": number, "family": family, "params": params, "seed": 0, "origin": origin}
    write_trial(path, facts | {"state": "completed"})
    job, spent = FoldJob(path, family, params, 0, 1, 0.0, None), 0.0
    for fold in range(data.n_folds):
        began = time.process_time()
        record = fit_fold(data, job, fold, None)
        seconds = time.process_time() - began
        spent += seconds
        record = replace(record, total_s=seconds, train_loss=[], val_loss=[])
        (path / f"fold_{fold}" / "fold.json").write_text(json.dumps(asdict(record)), "utf-8")
    return spent


def say(tape: Tape, seconds: float, shuffles: int) -> None:
    """Print each rule's mean loss, and its ratio to that of turns without a scheduler."""
    queues = [tape.shuffled(seed) for seed in range(shuffles)]
    losses = {rule: np.array([Replay(tape, q, *rule, seconds).run() for q in queues]) for rule in RULES}
    base = losses[RULES[0]]
    for (choice, scheduler), values in losses.items():
        ratio = values / base
        print(
            f"  {seconds:5.0f} s  choice={choice:6s} scheduler={scheduler:8s} loss {values.mean():.6g}  "
            f"of turns without scheduler {ratio.mean():.4f} +- {ratio.std(ddof=1) / len(ratio) ** 0.5:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
