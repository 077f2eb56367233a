import os
import subprocess
import sys

import pytest

from configs.load import load_config
from configs.schema import TrackingConfig
from tests.tuning.wandb_files import read_runs
from tuning.runs import create_run
from tuning.tracking import TrackingProcess, resolve_mode


@pytest.fixture
def run(tmp_path):
    return create_run(
        load_config(["data.source=churn.csv", "data.target=y", f"runs={tmp_path}", "tracking.mode=offline"])
    )


def log_sweep(run):
    run.log("trial", number=0, family="dnn", params={"lr": 0.1}, origin="portfolio", why="default")
    run.log("trial", number=1, family="bnn", params={"lr": 0.2}, origin="tpe", why="turn")
    for number, n_folds in ((0, 2), (1, 1)):
        for fold in range(n_folds):
            run.log(
                "fold", number=number, fold=fold, fold_score=0.5 + fold, score=0.6, fit_s=1.0, total_s=1.5
            )
    end = {"score": 0.6, "fit_s": 2.0, "wall_s": 3.0}
    run.log("end", number=0, state="completed", reason="all folds finished", n_folds=2, **end)
    run.log("end", number=1, state="failed", reason="ValueError: no", n_folds=1, **end)
    config = run.config().model_dump(mode="json")
    board = [
        {"trial": "0000-dnn", "roc_auc": 0.6, "weight": 1.0},
        {"trial": "0001-bnn", "roc_auc": None, "weight": 0.0},
    ]
    run.log("summary", config=config, leaderboard=board, scores={"oof": 0.61, "test.ensemble.roc_auc": 0.62})


def check(run):
    runs = {r.name: r for r in read_runs(run.path)}
    assert set(runs) == {"0000-dnn", "0001-bnn", f"{run.name}-summary"}
    assert {r.group for r in runs.values()} == {run.name}
    dnn, bnn, summary = runs["0000-dnn"], runs["0001-bnn"], runs[f"{run.name}-summary"]
    assert "dnn" in dnn.tags
    assert dnn.config["params"] == {"lr": 0.1}
    assert [h["fold_score"] for h in dnn.history if "fold_score" in h] == [0.5, 1.5]
    assert dnn.summary["state"] == "completed"
    assert (bnn.summary["reason"], bnn.exit_code, dnn.exit_code) == ("ValueError: no", 1, 0)
    assert summary.config["data"]["source"] == "churn.csv"
    assert summary.summary["oof"] == 0.61
    assert summary.history[0]["leaderboard.nrows"] == 2


def test_a_process_of_its_own_writes_every_run(run):
    tracking = TrackingProcess(run, run.config().tracking)
    tracking.start()
    log_sweep(run)
    run.log("close")
    assert tracking.finish() == ""
    check(run)


def test_what_was_not_sent_can_be_sent_later(run):
    log_sweep(run)
    subprocess.run([sys.executable, "-m", "tuning.tracking", str(run.path)], check=True, timeout=60)
    check(run)


def test_a_dead_tracker_is_said_once_and_loses_nothing(run):
    tracking = TrackingProcess(run, run.config().tracking)
    tracking.start()
    tracking.process.kill()
    log_sweep(run)
    run.log("close")
    assert f"python -m tuning.tracking {run.path}" in tracking.finish()


def test_the_tracker_ends_when_the_sweep_is_killed(run):
    code = (
        "import sys, os; from pathlib import Path; from tuning.runs import Run; "
        "from tuning.tracking import TrackingProcess; run = Run(Path(sys.argv[1])); run.log('sweep'); "
        "t = TrackingProcess(run, run.config().tracking); t.start(); print(t.process.pid, flush=True); os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, timeout=60
    )
    pid = int(done.stdout)
    wait_for_end(pid)


def wait_for_end(pid):
    import time

    for _ in range(200):
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the tracker is still running")


def test_mode_is_offline_without_a_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert resolve_mode(TrackingConfig()) == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password x")
    assert resolve_mode(TrackingConfig()) == "online"
    assert resolve_mode(TrackingConfig(mode="offline")) == "offline"


def test_disabled_starts_nothing(run):
    tracking = TrackingProcess(run, TrackingConfig(mode="disabled"))
    tracking.start()
    assert tracking.process is None
    assert tracking.finish() == ""
