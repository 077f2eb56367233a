"""Runs seen from their directories: states, progress, torn files, and what `tabularay jobs` prints of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from cli import main
from configs.load import load_config
from models.trials import read_trials
from tests.conftest import ENVIRONMENT, ROOT
from tuning.runs import Run, create_run
from tuning.watch import EventTail, RunWatch, find_runs

FACTS = {
    "rows": 500,
    "features": 8,
    "n_folds": 3,
    "problem_type": "binary",
    "metric": "roc_auc",
    "mode": "max",
    "families": ["lightgbm", "xgboost"],
    "slots": 2,
    "num_trials": 10,
    "time_budget_s": None,
}
HOLD = """
import signal, sys, time
from pathlib import Path
from tuning.runs import Run
with Run(Path(sys.argv[1])).driven():
    print("held", flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        Run(Path(sys.argv[1])).write_result({"interrupted": True})
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return create_run(
        load_config(["data.source=sql:postgresql://me:hunter2@db/crm#churn", "data.target=churned"])
    )


@contextmanager
def driver(run):
    """A process that drives the run, as a sweep does."""
    command = [sys.executable, "-c", HOLD, str(run.path)]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def begin(run, event="sweep", used_s=20.0, **facts):
    run.log(event, run=run.name, started=time.time() - used_s, **(FACTS | facts))


def trial(
    run, number, family="lightgbm", scores=(0.7, 0.8, 0.9), end="completed", reason="all folds finished"
):
    run.log("trial", number=number, family=family, params={}, seed=0, origin="tpe", why="")
    score = float("nan")
    for fold, fold_score in enumerate(scores):
        score = sum(scores[: fold + 1]) / (fold + 1)
        run.log("fold", number=number, fold=fold, fold_score=fold_score, score=score, fit_s=0.1, total_s=0.2)
    if end:
        run.log(
            "end",
            number=number,
            state=end,
            reason=reason,
            score=score,
            n_folds=len(scores),
            fit_s=1,
            wall_s=1,
        )


def command(capsys, *arguments):
    """Run a command in this process; returns its exit code, output and errors."""
    with pytest.raises(SystemExit) as end:
        main(["jobs", *map(str, arguments)])
    return end.value.code or 0, *capsys.readouterr()


def test_states(run):
    assert RunWatch(run).state == "lost"  # its process never came so far as to take it
    with driver(run):
        assert RunWatch(run).state == "running"
    assert RunWatch(run).state == "lost"  # killed
    for result, state in (
        ({"interrupted": True}, "interrupted"),
        ({"interrupted": False, "error": "6 of 8 trials failed"}, "failed"),
        (
            {"interrupted": False, "model_id": "churn:1", "scores": {"oof": 0.9}, "members": [1, 2]},
            "finished",
        ),
    ):
        run.write_result(result)
        assert RunWatch(run).state == state
    with driver(run):  # resumed
        assert RunWatch(run).state == "running"


def test_progress(run):
    begin(run)
    trial(run, 0)
    trial(run, 1, "xgboost", (0.95,), end="stopped", reason="not among the best third")
    trial(run, 2, "xgboost", (), end="failed", reason="ValueError: no")
    trial(run, 3, "xgboost", (), end="failed", reason="ValueError: later")
    trial(run, 4, "lightgbm", (0.99, 0.99), end=None)
    run.log("ensemble", number=0, score=0.85, n_members=1)
    row = RunWatch(run).row()
    assert row["trials"] == {"running": 1, "interrupted": 0, "completed": 1, "stopped": 1, "failed": 2}
    assert row["share"] == 0.4
    assert row["best"] == {"score": pytest.approx(0.8), "number": 0, "family": "lightgbm", "complete": True}
    assert row["ensemble"] == {"score": 0.85, "n_members": 1}
    assert row["elapsed_s"] == pytest.approx(20, abs=1)
    detail = RunWatch(run).detail()
    assert detail["per_family"]["xgboost"]["failed"] == 2
    assert detail["per_family"]["xgboost"]["best"]["score"] == 0.95
    assert detail["first_failure"] == {"number": 2, "family": "xgboost", "reason": "ValueError: no"}
    assert detail["next"] == [
        f"tabularay tune --resume runs/{run.name}",
        f"tabularay ensemble runs/{run.name}",
    ]
    assert "hunter2" not in json.dumps(detail)


def test_only_what_is_new_is_read(run):
    begin(run)
    trial(run, 0)
    watch = RunWatch(run)
    trial(run, 1)
    assert watch.tally.n_ended() == 1
    watch.refresh()
    watch.refresh()
    assert watch.tally.n_ended() == 2
    assert watch.tally.n_folds == 6


def test_a_torn_last_line_waits_for_its_end(run):
    begin(run)
    line = json.dumps({"event": "ensemble", "time": 1.0, "number": 0, "score": 0.5, "n_members": 2})
    with run.events.open("a") as file:
        file.write(line[:30])
        file.flush()
        tail = EventTail(run.events)
        assert [e["event"] for e in tail.read()] == ["sweep"]
        file.write(line[30:] + "\n")
    assert [e["event"] for e in tail.read()] == ["ensemble"]
    assert list(tail.read()) == []


def test_a_line_torn_by_a_crash_takes_nothing_with_it(run):
    begin(run)
    trial(run, 0)
    trial(run, 1, end=None, scores=(0.5,))
    with run.events.open("a") as file:
        file.write('{"event": "fold", "time": 17')
    begin(run, "resume", used_s=300.0)
    trial(run, 1, scores=())  # it goes on: its finished fold is not repeated
    watch = RunWatch(run)
    assert watch.facts["event"] == "resume"
    assert watch.elapsed_s == pytest.approx(300, abs=1)
    assert watch.tally.count("completed") == 2
    assert watch.tally.count("running") == 0


@pytest.mark.parametrize("end", [None, "interrupted"])
def test_a_resumed_trial_keeps_its_folds(run, end, capsys):
    begin(run)
    trial(run, 0, end=end, scores=(0.5, 0.7))
    assert RunWatch(run).row()["share"] == 0.0
    _, text, _ = command(capsys, "show", run.name)
    assert text.splitlines()[3].split()[:2] == ["family", "unfinished"]
    assert text.splitlines()[4].split() == ["lightgbm", "1", "(0.6000)"]
    begin(run, "resume")
    run.log("trial", number=0, family="lightgbm", params={}, seed=0, origin="tpe", why="")
    tally = RunWatch(run).tally
    assert (tally.count("running"), tally.count("interrupted")) == (1, 0)
    assert tally.n_folds == 2
    assert tally.best().score == pytest.approx(0.6)


def test_a_lost_run_took_time_until_its_last_sign_of_life(run):
    begin(run, used_s=20.0)
    with driver(run):
        os.utime(run.driver, (time.time() + 40, time.time() + 40))
    assert RunWatch(run).elapsed_s == pytest.approx(60, abs=2)


def test_what_is_built_later_does_not_prolong_a_run(run):
    begin(run, used_s=50.0)
    run.log("close")
    event = {"event": "summary", "time": time.time() + 9999, "config": {}, "leaderboard": [], "scores": {}}
    with run.events.open("a") as file:
        file.write(json.dumps(event) + "\n")
    assert RunWatch(run).elapsed_s == pytest.approx(50, abs=1)


def test_jobs_lists_runs(run, capsys):
    begin(run)
    trial(run, 0)
    time.sleep(0.02)
    newer = create_run(run.config())
    code, text, _ = command(capsys)
    lines = text.splitlines()
    assert code == 0
    assert lines[0].split()[:4] == ["run", "state", "used", "trials"]
    assert lines[1].split()[:2] == [newer.name, "lost"]
    assert lines[2].split()[:6] == [run.name, "lost", "10%", "1/10", "0.8000", "0:20"]
    code, text, _ = command(capsys, "--json")
    listed = json.loads(text)
    assert [row["run"] for row in listed["runs"]] == [newer.name, run.name]
    assert listed["cluster_jobs"] == []
    assert [r.name for r in find_runs(run.path.parent)] == [run.name, newer.name]


def test_no_runs(tmp_path, capsys):
    code, text, _ = command(capsys, "--runs", tmp_path / "none")
    assert code == 0
    assert "tabularay tune" in text


def test_jobs_show(run, capsys):
    begin(run)
    trial(run, 0)
    trial(run, 1, "xgboost", (), end="failed", reason="ValueError: [weird] value")
    code, text, _ = command(capsys, "show", run.name)
    assert code == 0
    assert f"{run.name}: lost" in text
    assert "'churned' (binary) of sql:postgresql://me:***@db/crm#churn: 500 rows" in text
    assert "1 of 2 trials failed, first error: trial 1 (xgboost): ValueError: [weird] value" in text
    assert f"Next: tabularay tune --resume runs/{run.name}" in text
    with driver(run) as process:
        code, text, _ = command(capsys, "show", "latest", "--json")
        detail = json.loads(text)
    assert detail["driver"]["pid"] == process.pid
    assert detail["state"] == "running"
    assert detail["last_events"][-1]["score"] is None  # JSON has no NaN


def test_following_ends_with_the_run(run, capsys):
    begin(run)
    trial(run, 0)
    with driver(run) as process:
        show = subprocess.Popen(
            [sys.executable, "-m", "cli", "jobs", "show", run.name, "--follow"],
            cwd=run.path.parent.parent,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = show.stderr.readline()
        trial(run, 1)
        process.send_signal(signal.SIGINT)
        out, err = show.communicate(timeout=60)
    assert "trials 1 of 10: 1 done" in first
    assert "trials 2 of 10: 2 done" in err
    assert f"{run.name}: interrupted" in out


def test_cancel_is_ctrl_c(run, capsys):
    begin(run)
    with driver(run) as process:
        code, text, _ = command(capsys, "cancel", run.name)
        assert code == 0
        assert f"{run.name}: asked to end" in text
        process.wait(30)
    assert RunWatch(run).state == "interrupted"


def test_cancel_refuses_what_it_cannot_end(run, capsys):
    code, _, error = command(capsys, "cancel", run.name)
    assert code == 2
    assert f"{run.name}: not running; its state is lost" in error
    with driver(run):
        who = json.loads(run.driver.read_text())
        run.driver.write_text(json.dumps(who | {"host": "elsewhere"}))
        code, _, error = command(capsys, "cancel", run.name)
    assert code == 2
    assert f"runs on elsewhere as process {who['pid']}, this is {socket.gethostname()}" in " ".join(
        error.split()
    )


def test_options_before_the_subcommand_are_not_lost(capsys):
    code, _, error = command(capsys, "--runs", "x", "show", "latest")
    assert code == 2
    assert "--runs: give it after `jobs show`" in error


def test_a_real_run(binary_job):
    """Events of a real sweep and what its own result says agree."""
    watch = RunWatch(Run(binary_job.folder / binary_job.run))
    row, result = watch.row(), binary_job.result
    assert row["state"] == "finished"
    assert row["share"] == 1.0
    assert row["trials"]["completed"] == result["n_completed"]
    assert sum(row["trials"].values()) == result["n_trials"]
    trials = read_trials(binary_job.folder / binary_job.run / "trials")
    assert row["best"]["score"] == pytest.approx(max(t.score for t in trials if t.state == "completed"))
    assert row["ensemble"]["n_members"] == len(result["members"])
    assert row["elapsed_s"] == pytest.approx(result["seconds"]["total"], abs=3)
    assert os.path.samefile(row["path"], binary_job.folder / binary_job.run)
