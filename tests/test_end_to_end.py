"""The main job as a user does it, for each problem type: tune, read the run, predict, serve, query."""

import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from configs.load import read_config
from ensembles import load_bundle
from models.trials import read_trials
from tests.conftest import ENVIRONMENT, FAMILIES, binary_table, run_job, tabularay
from tests.tuning.wandb_files import read_runs

DIVERGING = ("params.bnn.lr=1", "params.bnn.n_blocks=16", "params.bnn.activation=relu")


def test_every_family_ran_all_folds_and_the_best_ones_are_the_ensemble(job):
    trials = read_trials(job.run / "trials")
    assert len(trials) == job.result["n_trials"] == 7
    assert {t.family for t in trials} == set(FAMILIES)
    assert all(len(t.folds) == 3 for t in trials if t.origin == "portfolio")
    assert job.result["n_failed"] == 0
    sign = -1 if job.result["metric"] in ("log_loss", "rmse") else 1
    scores = job.result["scores"]
    # Cross-fitted it may score a little less than the best of all, which was chosen on these very rows.
    slack = 0.05 * abs(scores["oof_best_single"])
    assert sign * scores["oof"] >= sign * scores["oof_best_single"] - slack
    if "simpler" in scores:
        assert len(job.result["members"]) == 1
    assert set(scores["test"]) == {"ensemble", "best_single", "untuned_lightgbm"}
    assert job.result["test_looks"] == 1


def test_workers_are_reused(job):
    assert job.result["n_workers"] <= 2


def test_test_scores_are_those_of_the_withheld_rows(job):
    from data.dataset import TabularDataset
    from data.metrics import score_all

    dataset = TabularDataset.load(job.run / "dataset")
    mean = load_bundle(job.bundle).predict_encoded(dataset.X_test).mean
    found = score_all(dataset.y_test, mean, dataset.problem_type)
    assert found == pytest.approx(job.result["scores"]["test"]["ensemble"], rel=1e-5)
    assert len(dataset.y_test) == pytest.approx(0.25 * len(job.frame), abs=1)


def test_optuna_storage_holds_each_trial_once(job):
    storage = JournalStorage(JournalFileBackend(str(job.run / "study.log")))
    trials = [
        t
        for name in optuna.get_all_study_names(storage)
        for t in optuna.load_study(study_name=name, storage=storage).trials
    ]
    assert sorted(t.user_attrs["trial"] for t in trials) == sorted(
        p.name for p in (job.run / "trials").iterdir()
    )
    assert all(t.state.is_finished() for t in trials)


def test_every_trial_is_a_wandb_run(job):
    runs = read_runs(job.run)
    trials = {t.name: t for t in read_trials(job.run / "trials")}
    assert {r.name for r in runs} == {*trials, f"{job.run.name}-summary"}
    for run in runs:
        assert run.group == job.run.name
        if run.job_type == "summary":
            assert run.config["data"]["target"] == job.target
            assert run.summary["oof"] == pytest.approx(job.result["scores"]["oof"])
            assert run.summary["leaderboard.nrows"] == len(trials)
        else:
            trial = trials[run.name]
            assert trial.family in run.tags
            assert run.config == {"family": trial.family, **trial.params}
            folds = [h["fold_score"] for h in run.history if "fold_score" in h]
            assert folds == pytest.approx([f.score for f in trial.folds])
            assert run.summary["state"] == trial.state


def test_run_directory_holds_what_a_reviewer_looks_for(job):
    config = read_config(job.run / "config.yaml")
    assert (config.metric, config.problem_type) == (job.result["metric"], job.result["problem_type"])
    assert {p.name for p in (job.run / "figures").glob("*.png")} == {
        "optimisation_history.png",
        "loss_curves.png",
        "member_weights.png",
    }
    assert json.loads((job.run / "result.json").read_text())["model_id"] == job.result["model_id"]


def test_another_ensemble_from_the_same_run(job):
    done = tabularay("ensemble", job.run, "ensemble.max_members=1", "name=small", "--json", cwd=job.folder)
    result = json.loads(done.stdout)
    assert result["model_id"] == "small:1"
    assert len(result["members"]) == 1
    assert result["test_looks"] == 2


def test_predictions_for_every_row_in_order(job):
    table = job.frame.drop(columns=job.target).reset_index(names="UID").sample(frac=1, random_state=0)
    table.to_csv(job.folder / "new.csv", index=False)
    name = job.result["model_id"].partition(":")[0]
    tabularay(
        "predict",
        name,
        "--input",
        "new.csv",
        "--output",
        "submission.csv",
        "--id-column",
        "UID",
        cwd=job.folder,
    )
    found = pd.read_csv(job.folder / "submission.csv")
    assert found["UID"].tolist() == table["UID"].tolist()
    truth = job.frame[job.target].loc[table["UID"]].to_numpy()
    if job.result["problem_type"] == "regression":
        assert found.columns.tolist() == ["UID", "prediction"]
        assert np.corrcoef(found["prediction"], truth)[0, 1] > 0.6
    else:
        classes = sorted(job.frame[job.target].unique())
        assert found.columns.tolist() == ["UID", "prediction", *(f"probability_{c}" for c in classes)]
        assert (found["prediction"] == truth).mean() > 0.9
        np.testing.assert_allclose(found.filter(like="probability_").sum(axis=1), 1, rtol=1e-6)


def test_served_answers_are_the_bundles(job):
    name = job.result["model_id"].partition(":")[0]
    with served(name, job.folder) as url:
        rows = json.loads((job.bundle / "golden.json").read_text())["records"][:4]
        expected = load_bundle(job.bundle).predict(rows)
        answers = httpx.post(f"{url}/api/ml/predict", json={"data": {"records": rows}}, timeout=60).json()[
            "predictions"
        ]
        assert [a["model_id"] for a in answers] == [job.result["model_id"]] * 4
        np.testing.assert_allclose([a["uncertainty"]["total"] for a in answers], expected.total, rtol=1e-4)
        if job.result["problem_type"] == "regression":
            np.testing.assert_allclose(
                [a["predicted_value"] for a in answers], expected.mean[:, 0], rtol=1e-5
            )
        else:
            labels = job.frame[job.target].unique().tolist()
            for answer, mean in zip(answers, expected.mean, strict=True):
                assert answer["predicted_class"] in labels
                assert list(answer["probabilities"].values()) == pytest.approx(mean.tolist(), rel=1e-4)
                assert answer["confidence"] == pytest.approx(mean.max(), rel=1e-4)
        listed = httpx.get(f"{url}/api/ml/models").json()["models"]
        assert job.result["model_id"] in [m["model_id"] for m in listed]
        assert httpx.get(f"{url}/api/ml/health").json()["status"] == "ok"
        assert "/api/ml/predict" in httpx.get(f"{url}/openapi.json").json()["paths"]
        assert httpx.get(f"{url}/docs").status_code == 200
        unknown = httpx.post(f"{url}/api/ml/predict", json={"data": {"records": rows}, "model_id": "nobody"})
        assert (unknown.status_code, "nobody" in unknown.json()["detail"]) == (404, True)
        taken = tabularay("serve", name, "--port", url.rpartition(":")[2], cwd=job.folder, check=False)
        assert taken.returncode == 8
        assert "Address already in use" in taken.stderr


class served:  # noqa: N801 - reads as a statement
    """`tabularay serve` for the length of a block; stopped by its own handle, as Ctrl-C would."""

    def __init__(self, model, folder):
        port = free_port()
        command = [sys.executable, "-m", "cli", "serve", model, "--port", str(port), "--json"]
        self.process = subprocess.Popen(
            command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return json.loads(self.process.stdout.readline())["url"]

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0
        self.process.stdout.close()


def test_same_seed_and_trial_budget_give_the_same_trials_ensemble_and_predictions(tmp_path):
    results = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        job = run_job(
            folder, "binary", "families=[lightgbm,xgboost,bnn]", "search.num_trials=11", "tracking=none"
        )
        trials = read_trials(Path(job.result["run"]) / "trials")
        plain = [(t.name, t.params, t.state, [f.score for f in t.folds]) for t in trials]
        mean = load_bundle(job.bundle).predict(job.frame.drop(columns="target")).mean
        results.append((plain, job.result["members"], job.result["scores"]["oof"], mean.tolist()))
    assert results[0] == results[1]


def test_a_failing_trial_is_recorded_with_its_reason_and_the_sweep_goes_on(tmp_path):
    job = run_job(tmp_path, "binary", "families=[bnn,xgboost]", *DIVERGING, "search.num_trials=6")
    trials = read_trials(job.run / "trials")
    failed = [t for t in trials if t.state == "failed"]
    assert {t.family for t in failed} == {"bnn"}
    assert job.result["n_failed"] == len(failed) > 0
    assert "diverged" in failed[0].reason
    assert "diverged" in job.result["failures"][0]
    assert "in fit" in (failed[0].path / "error.txt").read_text()
    assert {m["family"] for m in job.result["members"]} == {"xgboost"}
    runs = {r.name: r for r in read_runs(job.run)}
    assert runs[failed[0].name].exit_code == 1
    assert "diverged" in runs[failed[0].name].summary["reason"]


def test_a_sweep_in_which_too_many_trials_fail_fails(tmp_path):
    binary_table().to_csv(tmp_path / "t.csv", index=False)
    done = tabularay(
        "tune",
        "data.source=t.csv",
        "data.target=target",
        "families=bnn",
        *DIVERGING,
        "search.num_trials=2",
        "tracking=none",
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 4
    assert "2 of 2 trials failed" in done.stderr
    assert "diverged" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "registry").exists()


def test_ctrl_c_ends_cleanly_and_keeps_what_is_finished(tmp_path):
    binary_table().to_csv(tmp_path / "t.csv", index=False)
    command = [
        sys.executable,
        "-m",
        "cli",
        "tune",
        "data.source=t.csv",
        "data.target=target",
        "families=[lightgbm]",
    ]
    with subprocess.Popen(
        [*command, "search.time_budget_s=600", "--json"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: len(list(tmp_path.glob("runs/*/trials/*/fold_4"))) >= 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    result = json.loads(out)
    assert result["interrupted"]
    assert not (tmp_path / "registry").exists()
    trials = read_trials(Path(result["run"]) / "trials")
    assert {t.state for t in trials} <= {"completed", "stopped", "interrupted"}
    assert len(read_runs(Path(result["run"]))) == len(trials)
    model = json.loads(tabularay("ensemble", result["run"], "--json", cwd=tmp_path).stdout)
    assert model["model_id"] == "t:1"


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("waited too long")
        time.sleep(0.1)


def test_a_running_cluster_runs_the_trials_and_stays_up(tmp_path):
    binary_table().to_csv(tmp_path / "t.csv", index=False)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "PYTHONPATH"} | token
    address = f"127.0.0.1:{free_port()}"
    ray = Path(sys.executable).with_name("ray")
    head = [ray, "start", "--head", "--block", f"--port={address.rpartition(':')[2]}", "--num-cpus=2"]
    log, sessions = (tmp_path / "ray.log").open("w"), short_folder()
    with subprocess.Popen(
        [*head, "--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={sessions}"],
        env=environment,
        cwd=tmp_path,
        stdout=log,
        stderr=log,
    ) as cluster:
        try:
            wait_until(lambda: "Ray runtime started" in (tmp_path / "ray.log").read_text())
            job = ["data.source=t.csv", "data.target=target", "families=lightgbm", "search.num_trials=2"]
            where = ["cluster=running", f"cluster.address={address}", "tracking=none", "--json"]
            done = tabularay("tune", *job, *where, cwd=tmp_path, environment=ENVIRONMENT | token)
            assert json.loads(done.stdout)["n_completed"] == 2
            assert cluster.poll() is None
            found = [
                p for p in tmp_path.glob("r*/**/*") if p.is_file() and token["RAY_AUTH_TOKEN"] in read(p)
            ]
            assert found == []
        finally:
            cluster.terminate()
            cluster.wait(60)
            log.close()
            shutil.rmtree(sessions, ignore_errors=True)


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def short_folder():
    """Ray's sockets need a short path."""
    return tempfile.mkdtemp(prefix="ray", dir="/tmp")
