"""Kills a sweep at random moments, resumes it, and holds what is left to an undisturbed run of the same job.

    python -m benchmarks.recovery --moments 20

Each moment kills -9 the driver, a worker, or the whole Ray cluster (every process below the driver), in turn.
Of each it is checked that
no fold that was finished is fitted again, no finished trial is lost, the study holds each trial once,
the trial budget is kept, and the ensemble is the one of the undisturbed run. Ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sklearn.datasets import load_breast_cancer

ROOT = Path(__file__).parent.parent
N_TRIALS = 10
TARGETS = ("driver", "worker", "cluster")
LONGEST_S = 300
MOST_SESSIONS = 3


def main() -> None:
    """Run the moments and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        load_breast_cancer(as_frame=True).frame.to_csv(Path(folder, "table.csv"), index=False)
        start = time.time()
        finish(launch(folder, "undisturbed"))
        length = time.time() - start
        expected = ensemble_of(run_of(folder, "undisturbed"))
        print(f"undisturbed: {N_TRIALS} trials in {length:.0f} s; ensemble {expected}", flush=True)
        wrong = 0
        for moment in range(arguments.moments):
            name, target = f"moment{moment}", TARGETS[moment % len(TARGETS)]
            troubles = one_moment(folder, name, target, rng.uniform(0.02, 0.98), expected)
            wrong += bool(troubles)
            print(f"{moment + 1:3d} {target:8s} {'; '.join(troubles) or 'as undisturbed'}", flush=True)
        print(f"{arguments.moments - wrong} of {arguments.moments} moments left the sweep as undisturbed")
    sys.exit(bool(wrong))


def one_moment(folder: str, name: str, target: str, share: float, expected: dict[str, float]) -> list[str]:
    """Kill one sweep when a share of its folds is finished, resume it, and say what is wrong with the outcome."""
    job = launch(folder, name)
    wait_for_folds(folder, name, share)
    run = run_of(folder, name)
    kill(job, target)
    killed_at = time.time()
    if target != "worker":  # a worker's death is the driver's to mend
        job.wait(LONGEST_S)
    before = snapshot(run)
    n_before = len(before["folds"])
    sessions = 1
    while finish(job):
        job = launch(folder, name, "--resume", str(run))
        sessions += 1
        if sessions > MOST_SESSIONS:
            return [f"it did not finish in {MOST_SESSIONS} sessions"]
    troubles = compare(run, before, expected)
    print(
        f"    killed with {n_before} folds finished, {sessions} sessions, "
        f"{time.time() - killed_at:.0f} s until the end",
        flush=True,
    )
    return troubles


def launch(folder: str, name: str, *resume: str) -> subprocess.Popen[bytes]:
    """Start a sweep, or go on with one."""
    job = [
        f"name={name}",
        "data.source=table.csv",
        "data.target=target",
        "families=[lightgbm,xgboost]",
        f"search.num_trials={N_TRIALS}",
        "params.lightgbm.num_boost_round=150",
        "params.xgboost.num_boost_round=150",
        "tracking=none",
    ]
    with Path(folder, f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cli", "tune", *(resume or job), "--json"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def finish(job: subprocess.Popen[bytes]) -> int:
    """Wait for a sweep to end; its exit code."""
    try:
        return job.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        return job.wait()


def run_of(folder: str, name: str) -> Path:
    """The run directory of a sweep; waits until it is there."""
    end = time.time() + LONGEST_S
    while time.time() < end:
        found = sorted(Path(folder, "runs").glob(f"{name}-*/events.jsonl"))
        if found:
            return found[0].parent
        time.sleep(0.05)
    raise SystemExit(f"{name}: no run directory; see {folder}/{name}.log")


def wait_for_folds(folder: str, name: str, share: float) -> None:
    """Wait until a share of the folds is on disk."""
    run, n_folds = run_of(folder, name), round(share * N_TRIALS * 5)
    end = time.time() + LONGEST_S
    while time.time() < end and not (run / "result.json").exists():
        if len(list(run.glob("trials/*/fold_*/fold.json"))) >= n_folds:
            return
        time.sleep(0.01)


def kill(job: subprocess.Popen[bytes], target: str) -> None:
    """Kill -9 the driver, one of the processes that run trials, or all of Ray."""
    below = descendants(job.pid)
    workers = [pid for pid, title in below.items() if "ray::" in title]
    if target == "driver":
        os.kill(job.pid, signal.SIGKILL)
    elif target == "worker":
        for pid in workers[:1]:
            os.kill(pid, signal.SIGKILL)
    else:
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # ended with the one that started it


def descendants(pid: int) -> dict[int, str]:
    """Processes below a process, with their titles."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)  # noqa: S607
    parents, titles = {}, {}
    for line in listed.stdout.splitlines():
        child, parent, title = line.split(None, 2)
        parents[int(child)], titles[int(child)] = int(parent), title
    below = {child for child, parent in parents.items() if parent == pid}
    while new := {child for child, parent in parents.items() if parent in below} - below:
        below |= new
    return {child: titles[child] for child in below}


def snapshot(run: Path) -> dict[str, Any]:
    """Finished folds with the time of their files, and trials that have ended."""
    folds = {str(p.relative_to(run)): p.stat().st_mtime_ns for p in run.glob("trials/*/fold_*/fold.json")}
    ended = {
        t["number"]: t["state"] for t in trials_of(run) if t["state"] in ("completed", "stopped", "failed")
    }
    return {"folds": folds, "ended": ended}


def trials_of(run: Path) -> list[dict[str, Any]]:
    """The trials of a run as their folders tell them."""
    return [json.loads(p.read_text("utf-8")) for p in sorted(run.glob("trials/*/trial.json"))]


def ensemble_of(run: Path) -> dict[str, float]:
    """Members and weights."""
    result = json.loads((run / "result.json").read_text("utf-8"))
    return {m["trial"]: round(m["weight"], 6) for m in result["members"]}


def compare(run: Path, before: dict[str, Any], expected: dict[str, float]) -> list[str]:
    """What is not as it should be after the last session."""
    after = snapshot(run)
    troubles = []
    again = [f for f, when in before["folds"].items() if after["folds"].get(f) != when]
    if again:
        troubles.append(f"finished folds fitted again: {again}")
    lost = {n: s for n, s in before["ended"].items() if after["ended"].get(n) != s}
    if lost:
        troubles.append(f"ended trials lost: {lost}")
    if len(after["ended"]) != N_TRIALS:
        troubles.append(f"{len(after['ended'])} trials ended instead of {N_TRIALS}")
    if "failed" in after["ended"].values():
        troubles.append("a trial counts as failed")
    storage = JournalStorage(JournalFileBackend(str(run / "study.log")))
    told = [
        t.user_attrs["trial"]
        for study in optuna.get_all_study_summaries(storage)
        for t in optuna.load_study(study_name=study.study_name, storage=storage).trials
    ]
    if sorted(told) != sorted(p.parent.name for p in run.glob("trials/*/trial.json")):
        troubles.append(f"the study holds {sorted(told)}")
    if ensemble_of(run) != expected:
        troubles.append(f"another ensemble: {ensemble_of(run)}")
    return troubles


if __name__ == "__main__":
    main()
