"""A sweep that is killed goes on as if nothing had happened; benchmarks/recovery.py does it at many more moments."""

import json
import signal
import subprocess
import sys
import time

import pytest
from sklearn.datasets import load_breast_cancer

from benchmarks import recovery
from tests.conftest import ENVIRONMENT, tabularay
from tuning.runs import Run


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recovery")
    load_breast_cancer(as_frame=True).frame.to_csv(folder / "table.csv", index=False)
    assert recovery.finish(recovery.launch(folder, "undisturbed")) == 0
    return folder, recovery.ensemble_of(recovery.run_of(folder, "undisturbed"))


@pytest.mark.parametrize(("target", "share"), [("driver", 0.5), ("worker", 0.3), ("cluster", 0.7)])
def test_killed_and_resumed_it_ends_with_the_same_ensemble(undisturbed, target, share):
    folder, expected = undisturbed
    assert recovery.one_moment(str(folder), target, target, share, expected) == []


def test_a_finished_run_is_not_run_again_unless_it_is_given_more(undisturbed):
    folder, _ = undisturbed
    run = recovery.run_of(folder, "undisturbed")
    refused = tabularay("tune", "--resume", run, cwd=folder, check=False)
    assert refused.returncode == 2
    assert "search.num_trials" in refused.stderr
    other = tabularay("tune", "--resume", run, "seed=3", cwd=folder, check=False)
    assert other.returncode == 2
    assert "seed" in other.stderr
    before = recovery.snapshot(run)
    more = recovery.N_TRIALS + 2
    done = tabularay("tune", "--resume", run, f"search.num_trials={more}", "--json", cwd=folder)
    assert json.loads(done.stdout)["n_trials"] == more
    after = recovery.snapshot(run)
    assert {fold: after["folds"][fold] for fold in before["folds"]} == before["folds"]
    assert len(after["ended"]) == more


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_run_that_can_be_resumed(undisturbed, number):
    folder, expected = undisturbed
    name = f"signal{int(number)}"
    job = recovery.launch(folder, name)
    recovery.wait_for_folds(folder, name, 0.3)
    run = Run(recovery.run_of(folder, name))
    assert run.is_driven()
    job.send_signal(number)
    assert recovery.finish(job) == 130
    assert not run.is_driven()
    assert json.loads(run.result.read_text())["interrupted"]
    used = run.used_s()
    time.sleep(2)
    assert run.used_s() == used
    before = recovery.snapshot(run.path)
    assert recovery.finish(recovery.launch(folder, name, "--resume", str(run.path))) == 0
    assert recovery.compare(run.path, before, expected) == []


def test_a_run_has_one_driver(tmp_path):
    run = Run(tmp_path)
    hold = "import sys; from pathlib import Path; from tuning.runs import Run\n"
    hold += "with Run(Path(sys.argv[1])).driven(): print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", hold, tmp_path], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    assert run.is_driven()
    from errors import ConfigError

    with pytest.raises(ConfigError, match=f'"pid": {process.pid}'), run.driven():
        pytest.fail("two drivers")
    process.kill()
    process.wait()
    assert not run.is_driven()
    with run.driven():
        assert run.is_driven()
