"""Training with a real server: the documented conversation, and what becomes of tasks when things are killed."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from configs.tasks import TaskFolder
from tests.conftest import ENVIRONMENT, ROOT, binary_table, tabularay

UP_WITHIN_S = 120
DOCUMENT = (ROOT / "docs" / "service.md").read_text("utf-8")
QUICK = {"families": ["lightgbm"], "params": {"lightgbm": {"num_boost_round": 20}}, "n_folds": 2}
TABLE = {"dataset_path": "table.csv", "target_column": "target", "ignore": ["id"]}


class Server:
    """`tabularay serve` in a folder of its own, which may be killed and started again."""

    def __init__(self, folder, temporary):
        self.folder = folder
        self.environment = ENVIRONMENT | {"RAY_TMPDIR": temporary}
        for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE", "RAY_ADDRESS"):
            self.environment.pop(name, None)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.tasks = TaskFolder(folder / "runs")
        self.process = None

    def start(self):
        options = ("serving.training.roots=[.]", "serving.training.overrides=[tracking=none]")
        options += ("serving.training.idle_s=600",)
        self.log = open(self.folder / "serve.log", "a")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", "credit_default", f"--port={self.port}", *options],
            cwd=self.folder,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        until = time.time() + UP_WITHIN_S
        while time.time() < until and self.process.poll() is None:
            try:
                if httpx.get(self.url("/api/ml/health"), timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.3)
        pytest.fail(f"the server is not up:\n{(self.folder / 'serve.log').read_text()[-3000:]}")

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def kill(self):
        """The server and all of its session at once; the trainer has a session of its own."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()
        until = time.time() + UP_WITHIN_S
        while time.time() < until:  # its Ray notices, and ends
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)):
                    return
            time.sleep(0.2)
        pytest.fail("something still listens where the killed server did")

    def train(self, **fields):
        answer = httpx.post(self.url("/api/ml/train"), json={**TABLE, **fields}, timeout=120)
        assert answer.status_code == 202, answer.text
        return answer.json()["task_id"]

    def status(self, task_id):
        return httpx.get(self.url(f"/api/ml/train/status/{task_id}"), timeout=30).json()

    def wait_for(self, task_id, reached, seconds=150):
        """The first status that satisfies `reached`."""
        until = time.time() + seconds
        while time.time() < until:
            status = self.status(task_id)
            if reached(status):
                return status
            time.sleep(0.3)
        log = self.tasks.find(task_id).log
        text = log.read_text() if log.exists() else "no log"
        return pytest.fail(f"still {status}\n{text[-2000:]}\n{self.trainer_log()[-3000:]}")

    def trainer_log(self):
        path = self.tasks.folder / "trainer.log"
        return path.read_text() if path.exists() else "no trainer"

    def driver(self, task_id):
        """Process of a task's command."""
        run = self.tasks.find(task_id).state().run
        return json.loads(Path(run, "driver.json").read_text())["pid"]

    def sessions(self, task_id):
        """Beginnings of a task's sweep: `sweep`, then `resume`s."""
        events = Path(self.tasks.find(task_id).state().run, "events.jsonl").read_text().splitlines()
        kinds = [json.loads(line)["event"] for line in events if line.endswith("}")]
        return [kind for kind in kinds if kind in ("sweep", "resume")]

    def trainer(self):
        """Process of the trainer."""
        return int(re.findall(r"process (\d+) looks after", self.trainer_log())[-1])

    def ray(self):
        return json.loads((self.tasks.folder / "ray.json").read_text())["pid"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(ROOT / "data" / "samples" / "credit_default.csv.gz", folder)
    binary_table().to_csv(folder / "table.csv", index=False)
    tune = ("experiment=credit_default", "families=[lightgbm]", "params.lightgbm.num_boost_round=20")
    tabularay("tune", *tune, "search.num_trials=1", "data.val_size=0.2", "tracking=none", cwd=folder)
    temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # Ray's socket paths must be short
    server = Server(folder, temporary)
    server.start()
    yield server
    server.kill()
    for pid in (server.trainer(), server.ray()):
        kill_session(pid)


def kill_session(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def is_running(status):
    return status["status"] == "running" and status["trials"].get("completed", 0) > 0


def is_over(status):
    return status["status"] in ("succeeded", "failed", "stopped")


def conversation():
    """The commands under "The whole conversation" of the document."""
    text = DOCUMENT.partition("The whole conversation:\n")[2]
    return re.match(r"\n(?:(?:    .*)?\n)+", text)[0]


def test_the_documented_conversation(server):
    script = conversation().replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    assert script.count("curl") >= 5
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=server.folder,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr}\n{server.trainer_log()}"
    kinds = re.findall(r"^event: (\w+)$", done.stdout, re.MULTILINE)
    assert {"status", "sweep", "trial", "fold", "end", "summary"} <= set(kinds)
    assert kinds[-1] == "status"
    assert '"model_id":"credit_default:2"' in done.stdout.replace(" ", "")
    prediction = json.loads(done.stdout[done.stdout.rindex('{"predictions"') :])["predictions"][0]
    assert prediction["model_id"] == "credit_default:2"
    assert 0 <= prediction["confidence"] <= 1


def test_a_network_is_the_one_that_was_asked_for(server):
    task = server.tasks.newest(50)[-1]
    [trial] = Path(task.state().run, "trials").iterdir()
    params = json.loads((trial / "trial.json").read_text())["params"]
    assert params | {"hidden_dims": [64, 32], "dropout": 0.2, "activation": "relu", "epochs": 6} == params
    assert params | {"batch_size": 512, "lr": 0.02, "optimizer": "adamw"} == params
    status = server.status(task.task_id)
    assert (status["kind"], status["progress"], status["trials"]["completed"]) == ("network", 100, 1)
    assert 0.5 < status["test_scores"]["roc_auc"] < 1
    assert (
        "Registered as credit_default:2" in httpx.get(server.url(f"/api/ml/train/logs/{task.task_id}")).text
    )


def test_what_was_found_in_the_rows_is_answered_with_the_task(server):
    table = binary_table()
    table["invoice"] = table["target"].map(lambda label: f"status of {label}")
    table.to_csv(server.folder / "leaky.csv", index=False)
    asked = {"name": "leaky", "dataset_path": "leaky.csv", "search": QUICK | {"num_trials": 1}}
    status = server.wait_for(server.train(**asked), is_over)
    assert status["status"] == "succeeded", status
    assert ["invoice"] in [found["columns"] for found in status["findings"] if found["code"] == "leak"]
    assert "'invoice'" in status["doubts"][0]
    assert status["model_id"] == "leaky:1"
    registered = json.loads(tabularay("models", "list", "leaky", "--json", cwd=server.folder).stdout)
    assert [version["aliases"] for version in registered] == [["candidate"]]


def test_a_better_model_is_promoted_and_a_worse_one_is_not(server):
    asked = {"name": "judged", "promote": True, "test_size": 0.4}
    first = server.wait_for(server.train(**asked, search=QUICK | {"num_trials": 1}), is_over)
    assert first["promotion"]["promoted"], first
    assert "nothing was in production" in first["promotion"]["why"]
    poor = QUICK | {"num_trials": 1, "params": {"lightgbm": {"num_boost_round": 1, "num_leaves": 2}}}
    second = server.wait_for(server.train(**asked, search=poor), is_over)
    assert second["model_id"] == "judged:2"
    assert not second["promotion"]["promoted"]
    assert "is not better than judged:1's" in second["promotion"]["why"]
    other = server.wait_for(server.train(**asked | {"seed": 1}, search=poor), is_over)
    assert not other["promotion"]["promoted"]
    assert "withheld other rows" in other["promotion"]["why"]
    shown = json.loads(tabularay("models", "--json", cwd=server.folder).stdout)
    aliases = {m["model_id"]: m["aliases"] for m in shown if m["model_id"].startswith("judged")}
    assert aliases == {"judged:1": ["production"], "judged:2": [], "judged:3": ["candidate"]}


def test_a_mistake_in_the_table_is_the_commands_own_error(server):
    body = TABLE | {"target_column": "gone", "search": QUICK}
    refused = httpx.post(server.url("/api/ml/train"), json=body, timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (422, "data_error")
    assert "no target column 'gone'" in refused.json()["detail"]
    # Four classes, as only reading the table tells.
    task_id = server.train(target_column="종류", task_type="binary", search=QUICK | {"num_trials": 1})
    status = server.wait_for(task_id, is_over)
    assert status["status"] == "failed"
    assert status["error"]["code"] == "data_error"
    assert "binary" in status["error"]["detail"]


def test_a_cancelled_task_stops_and_keeps_what_it_has(server):
    running = server.train(search=QUICK | {"num_trials": 5000})
    waiting = server.train(search=QUICK | {"num_trials": 5000})
    server.wait_for(running, is_running)
    assert server.status(waiting)["status"] == "pending"
    for task_id in (waiting, running):
        assert httpx.post(server.url(f"/api/ml/train/cancel/{task_id}")).status_code == 202
    assert server.wait_for(waiting, is_over)["message"] == "cancelled before it began"
    status = server.wait_for(running, is_over)
    assert status["status"] == "stopped"
    assert status["trials"]["completed"] > 0
    assert httpx.post(server.url(f"/api/ml/train/cancel/{running}")).status_code == 409


def test_a_task_outlives_its_server_and_is_resumed_when_killed(server):
    task_id = server.train(name="survivor", search=QUICK | {"num_trials": 5000})
    before = server.wait_for(task_id, is_running)
    driver = server.driver(task_id)

    server.kill()
    time.sleep(1)
    assert server.tasks.find(task_id).state().status == "running"
    server.start()
    after = server.wait_for(task_id, lambda s: s["trials"]["completed"] > before["trials"]["completed"])
    assert (server.driver(task_id), after["run"]) == (driver, before["run"])

    trainer = server.trainer()
    os.kill(trainer, signal.SIGKILL)  # the server starts another one, which finds the job
    until = time.time() + 60
    while server.trainer() == trainer and time.time() < until:
        time.sleep(0.3)
    later = server.wait_for(task_id, lambda s: s["trials"]["completed"] > after["trials"]["completed"])
    assert server.driver(task_id) == driver

    os.kill(driver, signal.SIGKILL)
    server.wait_for(task_id, lambda s: is_running(s) and len(server.sessions(task_id)) == 2)
    killed = server.status(task_id)
    resumed = server.wait_for(task_id, lambda s: s["trials"]["completed"] > killed["trials"]["completed"])
    assert resumed["trials"]["completed"] > later["trials"]["completed"]
    assert resumed["run"] == before["run"]
    assert server.tasks.find(task_id).state().deaths == 1

    for pid in (server.trainer(), server.ray()):  # as when the machine goes
        kill_session(pid)
    server.kill()
    server.start()
    server.wait_for(task_id, lambda s: is_running(s) and len(server.sessions(task_id)) == 3)
    killed = server.status(task_id)
    last = server.wait_for(task_id, lambda s: s["trials"]["completed"] > killed["trials"]["completed"])
    assert (last["run"], server.tasks.find(task_id).state().deaths) == (before["run"], 1)
    httpx.post(server.url(f"/api/ml/train/cancel/{task_id}"))
    assert server.wait_for(task_id, is_over)["status"] == "stopped"
    assert server.sessions(task_id) == ["sweep", "resume", "resume"]
    [run] = (server.folder / "runs").glob("survivor-*")
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    numbers = [e["number"] for e in events if e["event"] == "end" and e["state"] == "completed"]
    assert len(numbers) == len(set(numbers))  # nothing that was finished was done twice


def test_training_keeps_to_what_serving_leaves(server):
    process = Path(f"/proc/{server.ray()}")
    assert int(process.joinpath("stat").read_text().rpartition(")")[2].split()[16]) == 19
    allowed = os.sched_getaffinity(server.ray())
    assert len(allowed) == max(1, len(os.sched_getaffinity(0)) - 1)
