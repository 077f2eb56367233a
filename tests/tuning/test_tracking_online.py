import contextlib
import os
import socket
import subprocess
import sys
import time

import pytest

from tests.tuning import tracked_runs as sweep
from tests.tuning.wandb_files import read_runs
from tests.tuning.wandb_server import KEY, wandb_server
from tuning.tracked import Ledger
from tuning.tracking import TrackingProcess, track_run

NAMES = {"0000-dnn", "0001-bnn", "0002-dnn"}
ONLINE = ("tracking.mode=online", "tracking.timeout_s=4")


@pytest.fixture
def server(monkeypatch):
    with wandb_server() as server:
        use(monkeypatch, server.url)
        yield server


@pytest.fixture
def run(tmp_path):
    return sweep.make_run(tmp_path, *ONLINE)


def use(monkeypatch, url):
    for name, value in {"BASE_URL": url, "API_KEY": KEY}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.delenv("WANDB_MODE", raising=False)


def started(run):
    tracking = TrackingProcess(run, run.config().tracking)
    tracking.start()
    return tracking


def wait_for(what, limit_s=60):
    end = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def check(server, run):
    """Everything arrived, each run once, as the panels of W&B want it."""
    runs = server.named()
    assert set(runs) == {*NAMES, f"{run.name}-summary"}
    dnn, bnn, dead = (runs[n] for n in sorted(NAMES))
    assert {r.value("groupName") for r in runs.values()} == {run.name}
    assert {r.value("jobType") for n, r in runs.items() if n in NAMES} == {"trial"}
    assert set(dnn.value("tags")) == {"dnn", "portfolio"}
    assert dnn.config == {"family": "dnn", "lr": 0.1, "n_blocks": 2}
    assert [h["fold"] for h in dnn.history] == [0, 1]
    assert [h["fold_score"] for h in dnn.history] == [0.5, 0.6]
    assert (dnn.summary["roc_auc"], dnn.summary["score"], dnn.summary["state"]) == (0.55, 0.55, "completed")
    assert (dnn.exit_code, bnn.exit_code, dead.exit_code) == (0, 1, 1)
    summary = runs[f"{run.name}-summary"]
    assert summary.value("jobType") == "summary"
    assert summary.summary["oof"] == 0.61
    assert any("leaderboard" in name for name in summary.files)
    assert any("member_weights" in name and name.endswith(".png") for name in summary.files)


def test_a_sweep_online_is_a_wandb_sweep_with_our_space(server, run):
    sweep.begin(run)
    tracking = started(run)
    sweep.trial(run, 0)
    sweep.trial(run, 1, 1, state="failed", reason="ValueError: no")
    sweep.trial(run, 2, 0, state="failed", reason="the worker died")
    sweep.summary(run)
    run.log("close")
    assert tracking.finish() == ""
    check(server, run)
    (sweep_id, made), *others = server.sweeps.items()
    assert not others
    config = made["config"]
    assert (made["project"], config["name"]) == ("tabularay", run.name)
    assert config["controller"] == {"type": "local"}
    assert config["metric"] == {"name": "roc_auc", "goal": "maximize"}
    assert config["parameters"]["family"] == {"values": ["dnn", "bnn"]}
    lr = {"distribution": "log_uniform_values", "min": 0.0005, "max": 0.5}
    assert config["parameters"]["lr"].items() >= lr.items()
    assert all(set(r.config) - set(config["parameters"]) == set() for n, r in trials(server))
    assert {r.value("sweep") for _, r in trials(server)} == {sweep_id}
    assert server.named()[f"{run.name}-summary"].value("sweep") is None


def trials(server):
    return [(n, r) for n, r in server.named().items() if not n.endswith("-summary")]


def test_a_resumed_sweep_goes_on_with_its_runs_and_its_wandb_sweep(server, run):
    sweep.begin(run)
    tracking = started(run)
    sweep.trial(run, 0)
    sweep.start(run, 1)
    sweep.fold(run, 1, 0)
    wait_for(lambda: len(server.runs) == 2 and all(r.history for r in server.runs.values()))
    wait_for(lambda: 0 in Ledger(run).read().trials.get("online", {}))
    tracking.process.kill()
    tracking.process.wait()
    before = [v for n, v in server.calls if n == "UpsertBucket"]
    sweep.begin(run, "resume")
    tracking = started(run)
    sweep.start(run, 1)
    sweep.fold(run, 1, 1)
    sweep.end(run, 1)
    run.log("close")
    assert tracking.finish() == ""
    again = [v for n, v in server.calls if n == "UpsertBucket"][len(before) :]
    assert {v["name"] for v in again} == {f"{run.name}-0001-bnn"}
    assert len(server.sweeps) == 1
    assert {r.value("sweep") for r in server.runs.values()} == set(server.sweeps)
    assert {n: [h["fold"] for h in r.history] for n, r in trials(server)} == {
        "0000-dnn": [0, 1],
        "0001-bnn": [0, 1],
    }


def test_without_a_wandb_sweep_the_runs_are_still_sent(server, run):
    server.refuse_sweeps = True
    sweep.whole_sweep(run)
    assert track_run(run, run.config().tracking)["complete"]
    check(server, run)
    assert "no W&B sweep" in (run.logs / "tracking.log").read_text()


@contextlib.contextmanager
def silent_server():
    """Accepts and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextlib.contextmanager
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("server_of", [silent_server, closed_port])
def test_a_dead_server_is_said_once_and_files_are_written(server_of, run, monkeypatch):
    with server_of() as url:
        use(monkeypatch, url)
        sweep.begin(run)
        tracking = started(run)
        for number in range(3):
            sweep.trial(run, number)
        sweep.summary(run)
        run.log("close")
        said = tracking.finish()
    assert said.startswith("W&B could not be reached (")
    assert "3 of 3 trials are in files only; record them: tabularay track" in said
    assert {r.name for r in read_runs(run.path)} == {*NAMES, f"{run.name}-summary"}


def test_wandb_sync_sends_the_files_of_a_sweep_whose_server_was_dead(run, monkeypatch):
    with closed_port() as url:
        use(monkeypatch, url)
        sweep.whole_sweep(run)
        assert not track_run(run, run.config().tracking)["complete"]
    with wandb_server() as server:
        folders = [str(p) for p in run.path.glob("wandb/offline-run-*")]
        environment = os.environ | server.environment
        command = [sys.executable, "-m", "wandb", "sync", *folders]
        done = subprocess.run(
            command, env=environment, cwd=run.path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        check(server, run)


def test_what_is_in_files_is_sent_once_the_server_is_back(run, monkeypatch):
    with closed_port() as url:
        use(monkeypatch, url)
        sweep.whole_sweep(run)
        assert not track_run(run, run.config().tracking)["complete"]
    with wandb_server() as server:
        use(monkeypatch, server.url)
        result = track_run(run, run.config().tracking)
        assert result["message"] == "3 of 3 trials recorded in W&B"
        check(server, run)
        assert {r.value("sweep") for _, r in trials(server)} == set(server.sweeps)
    assert not list(run.path.glob("wandb/offline-run-*"))


def test_a_server_that_hangs_in_mid_sweep_loses_nothing(server, run):
    sweep.begin(run)
    tracking = started(run)
    sweep.trial(run, 0)
    wait_for(lambda: 0 in Ledger(run).read().trials.get("online", {}))
    sweep.start(run, 1)
    sweep.fold(run, 1, 0)
    wait_for(lambda: len(server.runs) == 2)
    server.hang.set()
    sweep.fold(run, 1, 1)
    sweep.end(run, 1)
    sweep.trial(run, 2)
    run.log("close")
    said = tracking.finish()
    assert "2 of 3 trials are in files only" in said
    assert {r.name for r in read_runs(run.path)} == {"0001-bnn", "0002-dnn"}
    server.hang.clear()
    assert track_run(run, run.config().tracking)["complete"]
    assert {n: len(r.history) for n, r in trials(server)} == dict.fromkeys(NAMES, 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_loses_trials_which_are_counted_and_sent_later(tmp_path):
    run = sweep.make_run(tmp_path)
    (run.path / "wandb").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(run.path / "wandb")]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        sweep.begin(run)
        tracking = started(run)
        sweep.trial(run, 0)
        wait_for(lambda: Ledger(run).read().trials)
        fill(run.path / "wandb" / "fill")
        for number in range(1, 5):
            sweep.trial(run, number)
        sweep.summary(run)
        run.log("close")
        assert "4 of 5 trials not recorded" in tracking.finish()
        (run.path / "wandb" / "fill").unlink()
        subprocess.run([*mount[:4], "remount,size=8m", *mount[5:]], check=True)
        assert track_run(run, run.config().tracking)["complete"]
        runs = read_runs(run.path)
        assert sorted(r.name for r in runs if r.job_type == "trial") == [
            "0000-dnn", "0001-bnn", "0002-dnn", "0003-dnn", "0004-dnn",
        ]  # fmt: skip
        assert all(len(r.history) == 2 for r in runs if r.job_type == "trial")
    finally:
        subprocess.run(["umount", str(run.path / "wandb")], check=True)


def fill(path):
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def test_offline_never_dials_out(tmp_path):
    """In a network namespace without any network, not even loopback."""
    blocked = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*blocked, "true"], capture_output=True).returncode:
        pytest.skip("a network namespace cannot be made here")
    run = sweep.make_run(tmp_path)
    sweep.whole_sweep(run)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    log = tmp_path / "calls"
    trace = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(log)] if has("strace") else []
    command = [*blocked, *trace, sys.executable, "-m", "tuning.tracking", str(run.path)]
    began = time.monotonic()
    subprocess.run(command, env=environment, check=True, timeout=120)
    assert time.monotonic() - began < 60
    assert {r.name for r in read_runs(run.path)} == {*NAMES, f"{run.name}-summary"}
    if trace:
        assert "AF_INET" not in log.read_text()


def has(program):
    import shutil

    return shutil.which(program) is not None
