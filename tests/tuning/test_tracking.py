import os
import signal
import subprocess
import sys
import time

import pytest

from configs.schema import TrackingConfig
from errors import ConfigError
from tests.tuning import tracked_runs as sweep
from tests.tuning.wandb_files import read_runs
from tuning.artifact import bundle_artifact
from tuning.tracked import Ledger, read_lines
from tuning.tracker import resolve_mode
from tuning.tracking import TrackingProcess, track_run

NAMES = {"0000-dnn", "0001-bnn", "0002-dnn"}


@pytest.fixture(autouse=True)
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def run(tmp_path):
    return sweep.make_run(tmp_path)


def started(run):
    tracking = TrackingProcess(run, run.config().tracking)
    tracking.start()
    return tracking


def named(run):
    """The W&B runs in files by name; each is there once."""
    runs = read_runs(run.path)
    assert len({r.name for r in runs}) == len(runs)
    return {r.name: r for r in runs}


def wait_for(what, limit_s=30):
    end = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def check(run):
    runs = named(run)
    assert set(runs) == {*NAMES, f"{run.name}-summary"}
    assert {r.group for r in runs.values()} == {run.name}
    dnn, bnn, dead = (runs[n] for n in sorted(NAMES))
    summary = runs[f"{run.name}-summary"]
    assert (dnn.job_type, summary.job_type) == ("trial", "summary")
    assert set(dnn.tags) == {"dnn", "portfolio"}
    assert dnn.config == {"family": "dnn", "lr": 0.1, "n_blocks": 2}
    assert [h["fold_score"] for h in dnn.history] == [0.5, 0.6]
    assert [h["fold"] for h in dnn.history] == [0, 1]
    assert dnn.metrics["roc_auc"] == "fold"
    assert (dnn.summary["state"], dnn.summary["roc_auc"], dnn.summary["score"]) == ("completed", 0.55, 0.55)
    assert not any(isinstance(v, dict) for v in dnn.summary.values())
    assert (bnn.summary["reason"], bnn.exit_code, dnn.exit_code) == ("ValueError: no", 1, 0)
    assert (dead.summary["reason"], "score" in dead.summary) == ("the worker died", False)
    assert summary.config["data"]["source"] == "churn.csv"
    assert summary.summary["oof"] == 0.61
    assert summary.history[0]["leaderboard.nrows"] == 2
    assert summary.history[0]["figures/member_weights._type"] == "image-file"
    assert summary.history[1]["warnings.nrows"] == 2
    assert summary.summary["suspected_leaks"] == "email"
    assert summary.summary["doubts"] == "'email' is suspected to give the target away"


def test_a_process_of_its_own_writes_every_run(run):
    sweep.begin(run)
    tracking = started(run)
    sweep.trial(run, 0)
    sweep.trial(run, 1, 1, state="failed", reason="ValueError: no")
    sweep.trial(run, 2, 0, state="failed", reason="the worker died")
    sweep.summary(run)
    run.log("close")
    assert tracking.finish() == ""
    check(run)


def test_what_was_not_sent_can_be_sent_later(run):
    sweep.whole_sweep(run)
    run.log("close")
    command = [sys.executable, "-m", "tuning.tracking", str(run.path)]
    subprocess.run(command, check=True, timeout=60)
    check(run)


def test_the_bundle_is_an_artifact_of_the_summary(run):
    sweep.whole_sweep(run)
    sweep.bundle(run)
    run.log("close")
    assert track_run(run, run.config().tracking)["complete"]
    runs = named(run)
    assert all(not runs[name].artifacts for name in NAMES)
    files = {"card.md", "manifest.json", "deep/model.onnx"}
    assert runs[f"{run.name}-summary"].artifacts["churn-rate"] == files
    kept = {p.read_bytes() for p in run.path.glob("wandb/**/staging/**/*") if p.is_file()}
    assert b"x" * 10 in kept, "a later ensemble replaces the bundle before it is synced"


def test_of_a_large_bundle_only_the_card_is_sent(run, monkeypatch):
    sweep.bundle(run, size=100)
    whole = bundle_artifact(run)
    monkeypatch.setattr("tuning.artifact.MAX_BYTES", 100)
    part = bundle_artifact(run)
    assert (whole.whole, set(whole.files)) == (True, {"card.md", "manifest.json", "deep/model.onnx"})
    assert (part.whole, set(part.files)) == (False, {"card.md", "manifest.json"})
    assert part.facts["bytes"] > 100
    assert (part.card, part.facts["bundle_id"]) == ("# churn", "ab12")


def test_tracking_again_repeats_nothing(run):
    sweep.whole_sweep(run)
    assert track_run(run, run.config().tracking)["complete"]
    files = {p: p.stat().st_mtime_ns for p in run.path.glob("wandb/*/*.wandb")}
    assert track_run(run, run.config().tracking)["message"].startswith("3 of 3 trials recorded in files")
    assert {p: p.stat().st_mtime_ns for p in run.path.glob("wandb/*/*.wandb")} == files
    sweep.summary(run, oof=0.7)
    assert track_run(run, run.config().tracking)["complete"]
    assert named(run)[f"{run.name}-summary"].summary["oof"] == 0.7


def test_a_killed_tracker_is_said_once_with_what_is_missing(run):
    sweep.begin(run)
    tracking = started(run)
    sweep.trial(run, 0)
    wait_for(lambda: Ledger(run).read().trials)
    tracking.process.kill()
    for number in range(1, 5):
        sweep.trial(run, number)
    run.log("close")
    said = tracking.finish()
    assert "was ended by signal 9: 4 of 5 trials not recorded" in said
    assert f"tabularay track {run.path}" in said
    assert track_run(run, run.config().tracking)["complete"]
    assert len(named(run)) == 5


def test_a_resumed_sweep_sends_each_trial_once(run):
    """Trial 0 ended before the crash; trial 1 had one fold then, and trial 2 is new."""
    sweep.begin(run)
    tracking = started(run)
    sweep.trial(run, 0)
    sweep.start(run, 1)
    sweep.fold(run, 1, 0)
    wait_for(lambda: len(list(run.path.glob("wandb/*/*.wandb"))) == 2)
    tracking.process.kill()
    tracking.process.wait()
    first = next(p for p in run.path.glob("wandb/*0000-dnn/*.wandb")).stat()
    with run.events.open("a") as file:
        file.write('{"event": "fold", "numb')  # the driver died in the middle of a line
    run.log("close")
    sweep.begin(run, "resume")
    tracking = started(run)
    sweep.start(run, 1)
    sweep.fold(run, 1, 1)
    sweep.end(run, 1)
    sweep.trial(run, 2)
    run.log("close")
    assert tracking.finish() == ""
    runs = named(run)
    assert set(runs) == NAMES
    assert [h["fold"] for h in runs["0001-bnn"].history] == [0, 1]
    assert next(p for p in run.path.glob("wandb/*0000-dnn/*.wandb")).stat() == first


def test_a_trial_that_goes_on_after_its_end_is_recorded_again(run):
    sweep.begin(run)
    sweep.trial(run, 0, 1, state="stopped", reason="Ctrl-C")
    assert track_run(run, run.config().tracking)["complete"]
    sweep.begin(run, "resume")
    sweep.start(run, 0)
    sweep.fold(run, 0, 1)
    sweep.end(run, 0)
    assert track_run(run, run.config().tracking)["complete"]
    assert named(run)["0000-dnn"].summary["state"] == "completed"
    assert [h["fold"] for h in named(run)["0000-dnn"].history] == [0, 1]


def test_wandb_service_killed_in_mid_sweep_loses_nothing(run):
    sweep.begin(run)
    tracking = started(run)
    sweep.start(run, 0)
    sweep.fold(run, 0, 0)
    wait_for(lambda: list(run.path.glob("wandb/*/*.wandb")))
    service = subprocess.run(["pgrep", "-P", str(tracking.process.pid)], capture_output=True, check=True)
    os.kill(int(service.stdout), signal.SIGKILL)
    sweep.fold(run, 0, 1)
    sweep.end(run, 0)
    sweep.trial(run, 1)
    run.log("close")
    assert tracking.finish() == ""
    assert [h["fold"] for h in named(run)["0000-dnn"].history] == [0, 1]
    assert set(named(run)) == {"0000-dnn", "0001-bnn"}


def test_the_end_waits_no_longer_than_it_may(run):
    sweep.begin(run)
    tracking = started(run)
    tracking.process.send_signal(signal.SIGSTOP)
    sweep.trial(run, 0)
    run.log("close")
    began = time.monotonic()
    assert "was stopped after waiting 0.5 s for it: 1 of 1 trials not recorded" in tracking.finish(0.5)
    assert time.monotonic() - began < 3
    assert tracking.process.poll() is not None


def test_the_tracker_and_its_service_end_when_the_sweep_is_killed(run):
    code = (
        "import sys, os, time; from pathlib import Path; from tuning.runs import Run; "
        "from tests.tuning import tracked_runs as sweep; from tuning.tracking import TrackingProcess; "
        "run = Run(Path(sys.argv[1])); sweep.begin(run); "
        "t = TrackingProcess(run, run.config().tracking); t.start(); sweep.start(run, 0); "
        "[time.sleep(.1) for _ in range(300) if not list(run.path.glob('wandb/*/*.wandb'))]; "
        "print(t.process.pid, flush=True); os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, timeout=60
    )
    wait_for(lambda: not alive(int(done.stdout)))
    wait_for(lambda: not subprocess.run(["pgrep", "-f", run.name], capture_output=True).stdout)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_tracker_gives_way_to_the_fits(run):
    sweep.begin(run)
    tracking = started(run)
    assert os.getpriority(os.PRIO_PROCESS, tracking.process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 10
    run.log("close")
    assert tracking.finish() == ""


def test_a_run_has_one_tracker_at_a_time(run):
    sweep.whole_sweep(run)
    with Ledger(run).held():
        process = TrackingProcess(run, run.config().tracking)
        process.start(follow=False)
        with pytest.raises(subprocess.TimeoutExpired):
            process.process.wait(3)
        assert not (run.path / "wandb").exists()
    assert process.wait(30) == ""
    check(run)


def test_a_driven_run_is_not_tracked_from_elsewhere(run):
    with run.driven(), pytest.raises(ConfigError, match="its sweep is running"):
        track_run(run, run.config().tracking)


def test_lines_cut_off_are_left_out(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": 1}\n{"b": {"c": 2}\n{"d": 3}\n{"e"')
    assert list(read_lines(path)) == [(0, {"a": 1}), (24, {"d": 3})]


def test_mode_is_offline_without_a_key(monkeypatch, tmp_path):
    assert resolve_mode(TrackingConfig()) == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password x")
    assert resolve_mode(TrackingConfig()) == "online"
    assert resolve_mode(TrackingConfig(mode="offline")) == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert resolve_mode(TrackingConfig()) == "disabled"


def test_disabled_starts_nothing(run):
    tracking = TrackingProcess(run, TrackingConfig(mode="disabled"))
    tracking.start()
    assert tracking.process is None
    assert tracking.finish() == ""
