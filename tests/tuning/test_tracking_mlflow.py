import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from configs.load import save_config
from configs.schema import JobConfig
from errors import ConfigError, UnreachableError
from tests.servers import free_port
from tests.tuning import tracked_runs as sweep
from tuning.tracking import TrackingProcess, track_run

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'tabularay[mlflow]'")
NAMES = {"0000-dnn", "0001-bnn", "0002-dnn"}


@pytest.fixture(autouse=True)
def no_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def run(tmp_path):
    return sweep.make_run(tmp_path, "tracking=mlflow", "tracking.mode=auto", "tracking.finish_timeout_s=90")


def started(run):
    tracking = TrackingProcess(run, run.config().tracking)
    tracking.start()
    return tracking


def stored(run, uri=None):
    """The client, the sweep's run, and its trials' runs by name; each is there once."""
    client = mlflow.MlflowClient(uri or f"sqlite:///{run.path.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tabularay").experiment_id
    runs = [r for r in client.search_runs([experiment]) if r.data.tags["tabularay.run"] == run.name]
    trials = {r.info.run_name: r for r in runs if "mlflow.parentRunId" in r.data.tags}
    (parent,) = (r for r in runs if "mlflow.parentRunId" not in r.data.tags)
    assert len(trials) == len(runs) - 1
    return client, parent, trials


def check(run, uri=None):
    client, parent, trials = stored(run, uri)
    assert set(trials) == NAMES
    assert {t.data.tags["mlflow.parentRunId"] for t in trials.values()} == {parent.info.run_id}
    dnn, bnn, dead = (trials[n] for n in sorted(NAMES))
    assert dnn.data.params == {"family": "dnn", "lr": "0.1", "n_blocks": "2"}
    folds = client.get_metric_history(dnn.info.run_id, "fold_score")
    assert [(m.step, m.value) for m in folds] == [(0, 0.5), (1, 0.6)]
    assert dnn.data.metrics["roc_auc"] == dnn.data.metrics["score"] == 0.55
    assert [t.info.status for t in (dnn, bnn, dead)] == ["FINISHED", "FAILED", "FAILED"]
    assert bnn.data.tags["reason"] == "ValueError: no"
    assert (parent.info.run_name, parent.info.status) == (run.name, "FINISHED")
    assert parent.data.metrics["oof"] == 0.61
    artifacts = {a.path for a in client.list_artifacts(parent.info.run_id)}
    assert artifacts == {"config.yaml", "leaderboard.csv", "warnings.csv", "figures"}
    assert parent.data.tags["suspected_leaks"] == "email"
    assert client.list_artifacts(parent.info.run_id, "figures")[0].path == "figures/member_weights.png"
    return parent


def test_a_sweep_is_a_run_with_a_child_per_trial(run):
    sweep.begin(run)
    tracking = started(run)
    sweep.trial(run, 0)
    sweep.trial(run, 1, 1, state="failed", reason="ValueError: no")
    sweep.trial(run, 2, 0, state="failed", reason="the worker died")
    sweep.summary(run)
    run.log("close")
    assert tracking.finish() == ""
    parent = check(run)
    board = Path(run.path.parent, "mlartifacts", parent.info.run_id, "artifacts", "leaderboard.csv")
    assert board.read_text().splitlines()[:2] == ["trial,roc_auc,weight", "0000-dnn,0.6,1.0"]


def test_the_bundle_lies_with_the_sweep(run):
    sweep.whole_sweep(run)
    sweep.bundle(run)
    assert track_run(run, run.config().tracking)["complete"]
    client, parent, _ = stored(run)
    folders = ("bundle", "bundle/deep")
    found = {a.path for f in folders for a in client.list_artifacts(parent.info.run_id, f)}
    assert found == {"bundle/card.md", "bundle/manifest.json", "bundle/deep", "bundle/deep/model.onnx"}


def test_a_killed_tracker_leaves_runs_that_the_next_goes_on_with(run):
    sweep.begin(run)
    tracking = started(run)
    sweep.trial(run, 0)
    sweep.start(run, 1)
    sweep.fold(run, 1, 0)
    end = time.monotonic() + 180
    while sum(map(len, folds(run).values())) < 3:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)
    tracking.process.kill()
    tracking.process.wait()
    sweep.begin(run, "resume")
    tracking = started(run)
    sweep.start(run, 1)
    sweep.fold(run, 1, 1)
    sweep.end(run, 1)
    run.log("close")
    assert tracking.finish() == ""
    assert folds(run) == {"0000-dnn": [0, 1], "0001-bnn": [0, 1]}


def has_experiment(run):
    """Whether the tracker has made its store; two processes that make it at once fail."""
    path = run.path.parent / "mlflow.db"
    if not path.exists():
        return False
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        try:
            return bool(store.execute("SELECT 1 FROM experiments WHERE name = 'tabularay'").fetchall())
        except sqlite3.OperationalError:  # its tables are being made
            return False


def folds(run):
    """Trial -> its recorded folds."""
    if not has_experiment(run):
        return {}
    client = mlflow.MlflowClient(f"sqlite:///{run.path.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tabularay")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    trials = {r.info.run_name: r.info.run_id for r in runs if r.data.tags.get("tabularay.trial")}
    return {n: [m.step for m in client.get_metric_history(i, "fold_score")] for n, i in trials.items()}


def test_a_run_recorded_in_wandb_can_be_recorded_in_mlflow_too(tmp_path):
    run = sweep.make_run(tmp_path)
    sweep.whole_sweep(run)
    assert track_run(run, run.config().tracking)["complete"]
    config = run.config().tracking.model_copy(update={"backend": "mlflow"})
    assert track_run(run, config)["message"] == "3 of 3 trials recorded in MLflow"
    check(run)


def test_a_dead_server_is_said_with_what_is_missing(run):
    config = run.config().tracking.model_copy(
        update={"uri": f"http://127.0.0.1:{free_port()}", "timeout_s": 1.0}
    )
    sweep.whole_sweep(run)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        track_run(run, config)
    tracking = TrackingProcess(run, config)
    tracking.start(follow=False)
    assert "3 of 3 trials not recorded" in tracking.wait(None)
    assert track_run(run, run.config().tracking)["complete"]
    check(run)


def test_a_stores_password_is_not_kept(run):
    config = run.config().model_dump()
    config["tracking"]["uri"] = "postgresql://me:s3cr3t@127.0.0.1/mlflow"
    save_config(JobConfig(**config), run.path / "config.yaml")
    assert "s3cr3t" not in (run.path / "config.yaml").read_text()
    with pytest.raises(ConfigError, match="password is not kept"):
        track_run(run, run.config().tracking)


def test_without_mlflow_the_message_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"pip install 'tabularay\[mlflow\]'"):
        started(run)
