"""The trainer: alone in its folder, on a cluster that is given, and what it reads out of logs."""

import os
import subprocess
import sys
import time

import pytest

from configs.tasks import TaskFolder, TaskState
from errors import TaskNotFoundError
from tests.conftest import ROOT
from tests.tuning.test_submit import QUICK, TABLE, cluster  # noqa: F401 - a fixture
from tuning.supervisor import _error_of, _was_killed


def new_task(folder, *overrides, name="tasked"):
    runs = folder / "runs"
    fixed = (f"runs={runs}", f"registry={folder / 'registry'}", f"name={name}", "alias=candidate")
    table = [o.replace("table.csv", str(folder / "table.csv")) for o in TABLE]
    return TaskFolder(runs).create(
        who="me",
        kind="sweep",
        name=name,
        dataset_path="table.csv",
        target_column="target",
        overrides=(*table, *fixed, *overrides, "cluster=running", "cluster.address=auto"),
    )


def start_trainer(runs, environment, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "tuning.trainer", str(runs), "--idle-s=1", *options],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_tasks_go_to_a_given_cluster_which_goes_on(cluster):  # noqa: F811
    good = new_task(cluster.folder, "families=[lightgbm]", QUICK, "search.num_trials=1")
    bad = new_task(cluster.folder, "families=[lightgbm]", "data.target=gone", "search.num_trials=1")
    trainer = start_trainer(
        cluster.folder / "runs", cluster.environment, f"--address={cluster.address}", "--max-running=2"
    )
    _, log = trainer.communicate(timeout=150)
    assert trainer.returncode == 0, log
    state = good.state()
    assert (state.status, state.model_id, state.progress) == ("succeeded", "tasked:1", 100), state
    assert (state.sessions, state.deaths, state.trials["completed"]) == (1, 0, 1)
    assert "Registered as tasked:1" in good.log.read_text()
    assert (bad.state().status, bad.state().error.error) == ("failed", "DataError")
    jobs = [line for line in cluster("jobs").stdout.splitlines() if line.startswith("train-")]
    assert sorted(line.split()[1] for line in jobs) == ["failed", "finished"]


def test_a_cluster_that_is_away_is_waited_for(tmp_path):
    task = new_task(tmp_path, "search.num_trials=1")
    trainer = start_trainer(tmp_path / "runs", dict(os.environ), "--address=http://127.0.0.1:9")
    until = time.time() + 60
    while "waiting for Ray" not in task.state().message and time.time() < until:
        time.sleep(0.2)
    state = task.state()
    assert (state.status, state.job) == ("pending", None)
    assert "no job server can be reached there" in state.message
    task.cancel()
    _, log = trainer.communicate(timeout=60)
    assert task.state().status == "stopped"
    assert log.count("no job server can be reached") == 1


def test_there_is_one_trainer(tmp_path):
    task = new_task(tmp_path, "search.num_trials=1")
    folder = TaskFolder(tmp_path / "runs")
    assert not folder.has_trainer()
    first = start_trainer(tmp_path / "runs", dict(os.environ), "--address=http://127.0.0.1:9")
    until = time.time() + 60
    while not folder.has_trainer() and time.time() < until:
        time.sleep(0.1)
    second = start_trainer(tmp_path / "runs", dict(os.environ), "--address=http://127.0.0.1:9")
    _, log = second.communicate(timeout=60)
    assert (second.returncode, log) == (0, "")
    assert first.poll() is None
    task.cancel()
    first.communicate(timeout=60)
    assert not folder.has_trainer()


def test_a_task_on_disk(tmp_path):
    task = new_task(tmp_path, "search.num_trials=1")
    folder = TaskFolder(tmp_path / "runs")
    assert task.state() == TaskState()
    assert [t.task_id for t in folder.unfinished()] == [task.task_id]
    task.write_state(TaskState(status="stopped"))
    assert folder.unfinished() == []
    assert folder.find(task.task_id).state().status == "stopped"
    for name in ("train-00000000", "../tasks", "", f"{task.task_id}/..", f".{task.task_id}"):
        with pytest.raises(TaskNotFoundError):
            folder.find(name)


@pytest.mark.parametrize(
    ("log", "result", "error", "detail"),
    [
        ("searching\nDataError: no target\n  column 'x'\n", {}, "DataError", "no target\n  column 'x'"),
        ("\x1b[1;31mConfigError\x1b[0m: first\nTrainingError: last\n", {}, "TrainingError", "last"),
        ("some words\nlast words\n", {}, "TrainingError", "last words"),
        ("DataError: earlier\n", {"error": "2 of 3 trials failed"}, "TrainingError", "2 of 3 trials failed"),
        ("", {}, "TrainingError", "the job ended without a word"),
    ],
)
def test_what_went_wrong_is_what_the_command_says(tmp_path, log, result, error, detail):
    path = tmp_path / "log.txt"
    path.write_text(log)
    found = _error_of(path, result)
    assert (found.error, found.detail) == (error, detail)
    assert _error_of(tmp_path / "gone", result).detail


@pytest.mark.parametrize(
    ("state", "code", "killed"),
    [
        ("failed", -9, True),
        ("failed", None, True),
        ("failed", 137, True),
        ("failed", 3, False),
        ("failed", 130, False),
        ("running", None, False),
        ("finished", 0, False),
    ],
)
def test_a_process_that_was_killed_is_told_from_one_that_failed(state, code, killed):
    assert _was_killed({"state": state, "exit_code": code}) == killed
