"""Jobs sent to a real Ray cluster with a token: sent, followed, listed, cancelled, refused."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from configs.load import SAMPLES
from errors import ConfigError
from tests.conftest import ENVIRONMENT, ROOT, binary_table, tabularay
from tuning.jobserver import is_this_machine, job_server_address
from tuning.submit import prepare

UP_WITHIN_S = 60
TABLE = ("data.source=table.csv", "data.target=target", "data.ignore=[id]", "data.n_folds=2", "tracking=none")
QUICK = "params.lightgbm.num_boost_round=20"
DATA = ("data.source=sql:postgresql://me@db/crm#churn", "data.target=churned")


@dataclass(frozen=True)
class Cluster:
    """A cluster, and a user's folder and environment to use it from."""

    address: str
    environment: dict
    folder: Path

    def __call__(self, *arguments, check=True, **variables):
        environment = {k: v for k, v in (self.environment | variables).items() if v is not None}
        return tabularay(*arguments, cwd=self.folder, check=check, timeout=120, environment=environment)

    def wait_for(self, job, *states):
        """The job, once it is in one of the states."""
        for _ in range(240):
            listed = json.loads(self("jobs", "--json").stdout)
            found = next(j for j in listed["cluster_jobs"] if j["job"] == job)
            if found["state"] in states:
                return found, listed["runs"]
            time.sleep(0.25)
        return pytest.fail(f"{job} is {found['state']}, not {states}")


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """`ray start` on ports of its own, in a session of its own that is killed as a whole."""
    temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # Ray's socket paths must be short
    names = ("port", "dashboard-port", "dashboard-agent-listen-port", "ray-client-server-port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    address = f"http://127.0.0.1:{ports['dashboard-port']}"
    environment = {k: v for k, v in ENVIRONMENT.items() if not k.startswith("RAY_")}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_USAGE_STATS_ENABLED": "0",
        "HOME": temporary,
    }
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--num-cpus=2"]
    command += [
        f"--temp-dir={temporary}",
        "--dashboard-host=127.0.0.1",
        *(f"--{k}={v}" for k, v in ports.items()),
    ]
    with open(f"{temporary}/head.log", "w") as log:
        head = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=temporary
        )
    try:
        wait_until_up(head, address, environment["RAY_AUTH_TOKEN"], log.name)
        folder = tmp_path_factory.mktemp("user")
        binary_table().to_csv(folder / "table.csv", index=False)
        yield Cluster(address, environment | {"RAY_API_SERVER_ADDRESS": address}, folder)
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(head.pid, sign)
            try:
                head.wait(4)
            except subprocess.TimeoutExpired:
                continue
        shutil.rmtree(temporary, ignore_errors=True)


def wait_until_up(head, address, token, log):
    until = time.time() + UP_WITHIN_S
    while time.time() < until and head.poll() is None:
        try:
            answer = requests.get(
                f"{address}/api/version", headers={"Authorization": f"Bearer {token}"}, timeout=5
            )
            if answer.ok:
                return
        except requests.ConnectionError:
            time.sleep(0.3)
    pytest.fail(f"the cluster is not up after {UP_WITHIN_S} s:\n{Path(log).read_text()}")


def test_a_job_is_sent_and_followed_to_its_end(cluster):
    done = cluster("submit", *TABLE, "families=[lightgbm]", QUICK, "search.num_trials=2", "name=sent")
    lines = done.stdout.splitlines()
    job = lines[0].split()[2]
    assert lines[0] == f"Sent as {job} to {cluster.address}"
    assert "Leaderboard" in done.stdout
    assert "Registered as sent:1" in done.stdout
    found, runs = cluster.wait_for(job, "finished")
    assert found["exit_code"] == 0
    assert [(r["state"], r["model_id"]) for r in runs if r["run"].startswith("sent-")] == [
        ("finished", "sent:1")
    ]
    assert (cluster.folder / "registry").is_dir()
    listing = cluster("jobs").stdout
    assert f"Jobs at {cluster.address}" in listing
    assert any(line.split()[:2] == [job, "finished"] for line in listing.splitlines())
    assert "Registered as sent:1" in cluster("jobs", "logs", job).stdout


def test_a_job_that_fails_gives_its_exit_code(cluster):
    done = cluster("submit", *TABLE, "data.target=gone", "search.num_trials=1", "--json", check=False)
    assert done.returncode == 3
    assert "DataError" in done.stderr
    result = json.loads(done.stdout)
    assert (result["state"], result["exit_code"]) == ("failed", 3)


def test_a_long_job_outlives_who_follows_it_and_ends_when_cancelled(cluster):
    options = ("families=[lightgbm]", QUICK, "search.num_trials=2000", "name=long")
    job = json.loads(cluster("submit", *TABLE, *options, "--detach", "--json").stdout)["job"]
    following = subprocess.Popen(
        [sys.executable, "-m", "cli", "jobs", "logs", job, "--follow"],
        cwd=cluster.folder,
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert any("searching lightgbm" in line for line in following.stdout)
    following.send_signal(signal.SIGINT)
    _, error = following.communicate(timeout=30)
    assert following.returncode == 130
    assert f"{job} goes on" in error
    _, runs = cluster.wait_for(job, "running")
    [run] = [r["run"] for r in runs if r["run"].startswith("long-")]
    detail = json.loads(cluster("jobs", "show", run, "--json").stdout)
    assert (detail["state"], detail["driver"]["job"]) == ("running", job)

    assert f"{job}: asked to end" in cluster("jobs", "cancel", job).stdout
    _, runs = cluster.wait_for(job, "cancelled")
    assert next(r["state"] for r in runs if r["run"] == run) == "interrupted"  # as after Ctrl-C, not killed
    again = cluster("jobs", "cancel", job, check=False)
    assert again.returncode == 2
    assert f"{job}: not running; its state is cancelled" in again.stderr


def test_an_unknown_job(cluster):
    for what in ("cancel", "logs"):
        done = cluster("jobs", what, "job-nobody-000000", check=False)
        assert done.returncode == 2
        assert f"'job-nobody-000000': no such job at {cluster.address}" in done.stderr


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"RAY_AUTH_TOKEN": "0" * 32},
            "the cluster refuses the token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN",
        ),
        ({"RAY_AUTH_TOKEN": "secret\nsecret"}, "the cluster refuses the token"),
        ({"RAY_AUTH_TOKEN": None, "HOME": "/nowhere"}, "the cluster wants a token"),
        ({"RAY_AUTH_TOKEN": None, "RAY_AUTH_MODE": None}, "the cluster wants a token"),
        ({"RAY_AUTH_TOKEN": None, "RAY_AUTH_TOKEN_PATH": "/no/file"}, "RAY_AUTH_TOKEN_PATH is set but"),
    ],
)
def test_a_wrong_token_is_one_clear_message(cluster, variables, expected):
    done = cluster("submit", *TABLE, "search.num_trials=1", check=False, **variables)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    for token in (cluster.environment["RAY_AUTH_TOKEN"], variables["RAY_AUTH_TOKEN"]):
        assert token is None or token.splitlines()[0] not in done.stdout + done.stderr


def test_a_token_alone_is_used(cluster):
    assert cluster("jobs", "--json", RAY_AUTH_MODE=None).returncode == 0


def test_no_cluster(tmp_path):
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    binary_table().to_csv(tmp_path / "table.csv", index=False)
    done = tabularay("submit", *TABLE, "--address", address, cwd=tmp_path, check=False)
    assert done.returncode == 11
    assert f"{address}: no job server can be reached there" in done.stderr
    assert tabularay("jobs", "--address", address, cwd=tmp_path, check=False).returncode == 11
    environment = ENVIRONMENT | {"RAY_ADDRESS": f"127.0.0.1:{port}", "RAY_API_SERVER_ADDRESS": address}
    done = tabularay("jobs", cwd=tmp_path, environment=environment)  # runs are listed all the same
    assert "No runs" in done.stdout
    assert "Without the cluster's jobs" in done.stderr


def test_a_mistake_is_found_before_anything_is_sent(tmp_path):
    done = tabularay(
        "submit", "data.source=a.csv", "data.target=y", "serch.num_trials=3", cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert "serch: unknown key on the command line (did you mean 'search'?)" in done.stderr


def test_paths_mean_the_same_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my table.csv").write_text("a,y\n1,0\n")
    (tmp_path / "presets").mkdir()
    job = prepare(
        ["data.source=my table.csv", "data.target=y", "cluster.address=10.0.0.1:6379"], Path("presets")
    )
    assert job.arguments == (
        *("tune", "--config-dir", f"{tmp_path}/presets", "--", "data.target=y"),
        *(f"data.source={tmp_path}/my table.csv", f"runs={tmp_path}/runs", f"registry={tmp_path}/registry"),
        *("cluster=running", "cluster.address=auto"),
    )
    assert job.entrypoint(here=False).startswith("exec python -m cli tune --config-dir ")
    assert f"'data.source={tmp_path}/my table.csv'" in job.entrypoint(here=True)
    assert job.runtime_env()["working_dir"] == str(ROOT)


def test_samples_and_databases_are_sent_as_they_are():
    assert not any(str(SAMPLES) in a for a in prepare(["experiment=credit_default"], None).arguments)
    assert "data.source=sql:postgresql://me@db/crm#churn" in prepare(DATA, None).arguments
    arguments = prepare([*DATA, "runs=/shared/runs", "registry=s3://b/models"], None).arguments
    assert arguments == ("tune", "--", *DATA, "registry=s3://b/models", "runs=/shared/runs", *arguments[-2:])


def test_what_would_go_wrong_there_is_refused_here(monkeypatch):
    with pytest.raises(ConfigError, match=r"data.source=gone.csv: no such file here"):
        prepare(["data.source=gone.csv", "data.target=y"], None)
    with pytest.raises(ConfigError, match=r"me:\*\*\*@db.*--env NAME") as caught:
        prepare(["data.source=sql:postgresql://me:hunter2@db/crm#churn", "data.target=y"], None)
    assert "hunter2" not in str(caught.value)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(ConfigError, match="--env PGPASSWORD: not set here"):
        prepare(DATA, None, ["PGPASSWORD"])
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    job = prepare(DATA, None, ["PGPASSWORD"])
    assert job.runtime_env()["env_vars"]["PGPASSWORD"] == "hunter2"
    assert "hunter2" not in job.entrypoint(here=True)


@pytest.mark.parametrize("name", ["a name", "모델", "x" * 100, "../../etc"])
def test_job_names_are_safe_and_new(name):
    names = {prepare([*DATA, f"name={name}"] if name[0] in "x모" else DATA, None).job_id for _ in range(5)}
    assert len(names) == 5
    assert all(n.isascii() and len(n) < 60 and not set(n) & set("/ '\"") for n in names)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://head:8265/", "http://head:8265"),
        ("https://ray.example.com", "https://ray.example.com"),
        ("10.0.0.1:6379", "http://10.0.0.1:8265"),
        ("ray://head:10001", "http://head:8265"),
        ("head", "http://head:8265"),
        ("[::1]:6379", "http://[::1]:8265"),
        ("auto", "http://127.0.0.1:8265"),
    ],
)
def test_addresses(given, expected, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    assert job_server_address(None, given) == expected
    assert job_server_address(None, None) == "http://elsewhere:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://other:9000")
    assert job_server_address() == "http://other:9000"


@pytest.mark.parametrize("given", ["", "ftp://head:21", "http://", "http://me:hunter2@head:8265"])
def test_addresses_that_are_none(given):
    with pytest.raises(ConfigError, match="not an address") as caught:
        job_server_address(given)
    assert "hunter2" not in str(caught.value)


def test_this_machine():
    assert is_this_machine("127.0.0.1")
    assert is_this_machine(socket.gethostname())
    assert not is_this_machine("192.0.2.77")
    assert not is_this_machine("no-such-host.invalid")
