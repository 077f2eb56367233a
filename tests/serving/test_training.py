"""Training over HTTP, without Ray: what is taken, what is refused, what is told of a task."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from configs.load import load_config
from configs.schema import ServingConfig, TrainingServiceConfig
from configs.tasks import TaskError, TaskFolder, TaskState
from errors import ConfigError, DataLoadError
from models.dnn import DNNParams
from serving.access import Access
from serving.api import answer_errors
from serving.exchange import Front
from serving.monitoring import Metrics
from serving.requestlog import RequestLog
from serving.roots import Roots
from serving.routes_training import training_routes
from serving.trainers import settle_training, training_cpus
from serving.training import TrainingService
from serving.training_schema import NetworkConfig, NetworkTraining

NETWORK = {
    "dataset_path": "table.csv",
    "target_column": "target",
    "model_config": {"hidden_dims": [32, 16], "dropout_rate": 0.2, "activation": "relu"},
    "train_config": {"epochs": 3, "batch_size": 64, "lr": 0.01, "optimizer": "adam"},
    "test_size": 0.25,
    "val_size": 0.2,
    "task_type": "binary",
}
SWEEP = {"dataset_path": "table.csv", "target_column": "target", "search": {"num_trials": 3}}


class Service:
    """The routes over folders of their own."""

    def __init__(self, folder, **training):
        self.folder = folder
        (folder / "tables").mkdir()
        (folder / "tables" / "table.csv").write_text("a,target\n1,0\n2,1\n")
        config = ServingConfig(
            training=TrainingServiceConfig(
                **{"runs": str(folder / "runs"), "roots": (str(folder / "tables"),)} | training
            )
        )
        self.service = TrainingService(config, str(folder / "registry"))
        self.tasks = TaskFolder(folder / "runs")
        api = FastAPI()
        api.state.access = Access()
        answer_errors(api)
        api.include_router(training_routes(self.service, config))
        front = Front({}, api, Metrics(folder / "metrics", dict), RequestLog(None))
        self.client = TestClient(front)

    def post(self, body, path="", **options):
        return self.client.post(f"/api/ml/train{path}", json=body, **options)

    def get(self, path, **options):
        return self.client.get(f"/api/ml/train{path}", **options)

    def new(self, body=NETWORK):
        return self.tasks.find(self.post(body).json()["task_id"])

    def job(self, answer):
        """The job that a task would run."""
        overrides = self.tasks.find(answer.json()["task_id"]).request().overrides
        return load_config(list(overrides))


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


def test_one_network_is_the_command_that_a_user_would_type(service):
    answer = service.post(NETWORK)
    assert answer.status_code == 202
    assert answer.json() == {
        "task_id": answer.json()["task_id"],
        "status": "pending",
        "message": "accepted, next",
    }
    assert answer.headers["location"] == f"/api/ml/train/status/{answer.json()['task_id']}"
    job = service.job(answer)
    assert (job.families, job.search.num_trials) == (("dnn",), 1)
    assert job.params == {
        "dnn": {
            **{"hidden_dims": [32, 16], "dropout": 0.2, "activation": "relu"},
            **{"epochs": 3, "batch_size": 64, "lr": 0.01, "optimizer": "adam"},
        }
    }
    assert (job.data.test_size, job.data.val_size, job.problem_type) == (0.25, 0.2, "binary")
    assert (job.data.source, job.data.target) == (str(service.folder / "tables/table.csv"), "target")
    assert (job.name, job.alias, job.promote) == ("table", "candidate", False)
    assert (job.runs, job.registry) == (str(service.folder / "runs"), str(service.folder / "registry"))
    assert job.cluster.address == "auto"


def test_a_sweep(service):
    search = {
        "families": ["lightgbm", "dnn"],
        "num_trials": 7,
        "time_budget_s": 90.5,
        "metric": "log_loss",
        "params": {
            "dnn": {"activation": ["relu", "silu"]},
            "lightgbm": {"num_leaves": {"low": 8, "high": 64}},
        },
        "n_folds": 3,
    }
    job = service.job(service.post({**SWEEP, "search": search, "name": "mine", "promote": True, "seed": 3}))
    assert (job.families, job.metric, job.seed) == (("lightgbm", "dnn"), "log_loss", 3)
    assert (job.search.num_trials, job.search.time_budget_s) == (7, 90.5)
    assert job.params == search["params"]
    assert (job.data.n_folds, job.data.test_size) == (3, 0.2)
    assert (job.name, job.promote, job.alias) == ("mine", True, "candidate")


def test_settings_for_every_task_yield_to_the_request(tmp_path):
    service = Service(tmp_path, overrides=("tracking=none", "search.time_budget_s=5", "seed=7"))
    job = service.job(service.post({**SWEEP, "seed": 1}))
    assert (job.tracking.mode, job.search.time_budget_s, job.seed) == ("disabled", 5, 1)


@pytest.mark.parametrize(
    "text",
    ["${oc.env:HOME}", "null", "a b", "종류", "x'y", "{a: 1}", "[1]", "a=b", "\\", "search.num_trials=9"],
)
def test_text_of_a_request_is_text(service, text):
    job = service.job(service.post({**SWEEP, "target_column": text, "ignore": [text]}))
    assert (job.data.target, job.data.ignore) == (text, (text,))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"target_column": None}, "target_column"),
        ({"epochs": 3}, "epochs"),
        ({"model_config": {"activation": "tanh"}}, "model_config.activation: Input should be 'relu', 'gelu'"),
        ({"model_config": {"hidden_dims": []}}, "model_config.hidden_dims"),
        ({"model_config": {"hidden_dims": [0]}}, "model_config.hidden_dims.0"),
        ({"model_config": {"dropout_rate": "0.2"}}, "model_config.dropout_rate"),
        ({"model_config": {"layers": 3}}, "model_config.layers"),
        ({"train_config": {"optimizer": "sgd"}}, "train_config.optimizer: Input should be 'adam' or 'adamw'"),
        ({"train_config": {"lr": 0}}, "train_config.lr"),
        ({"test_size": 1}, "test_size"),
        ({"val_size": 0}, "val_size"),
        ({"task_type": "ranking"}, "task_type"),
        ({"search": {}}, "give either search (a sweep) or model_config (one network)"),
        ({"promote": True, "test_size": 0}, "promote needs withheld rows"),
        ({"name": "../up"}, "name"),
        ({"dataset_path": "gone.csv"}, "dataset_path='gone.csv': no such file"),
        ({"dataset_path": "/etc/passwd"}, "dataset_path='/etc/passwd': outside of what is allowed"),
        ({"dataset_path": "../../etc/passwd"}, "outside of what is allowed"),
        ({"dataset_path": "s3://bucket/x.csv"}, "not allowed"),
        ({"dataset_path": "sql:sqlite:////etc/x.db#t"}, "not allowed"),
        ({"dataset_path": "upload:../../secret.csv"}, "no such upload"),
        ({"dataset_path": "a\0b"}, "control characters"),
    ],
)
def test_what_is_wrong_is_422_and_says_what_and_where(service, change, expected):
    answer = service.post(NETWORK | change)
    assert answer.status_code == 422
    assert expected in answer.json()["detail"]
    assert service.tasks.newest(10) == []


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"families": ["lightgbmm"]}, "families: unknown family 'lightgbmm' (did you mean 'lightgbm'?)"),
        (
            {"families": ["dnn"], "params": {"bnn": {"lr": 1.0}}},
            "search.params.bnn: the family is not searched",
        ),
        ({"metric": "auc"}, "search.metric"),
        ({"num_trials": 0}, "search.num_trials"),
        ({"params": {"dnn": {"lr": {"a": {"b": {}}}}}}, "search.params.dnn.lr"),
    ],
)
def test_a_wrong_search_is_422(service, search, expected):
    answer = service.post({**SWEEP, "search": search})
    assert answer.status_code == 422
    assert expected in answer.json()["detail"]


def test_the_ranges_are_those_of_the_family():
    names = {"dropout_rate": "dropout"}
    for kind in (NetworkConfig, NetworkTraining):
        for name, field in kind.model_fields.items():
            own = DNNParams.model_fields[names.get(name, name)]
            asked = next(a for a in field.annotation.__args__ if a is not type(None))
            assert sorted(map(repr, field.metadata)) == sorted(map(repr, own.metadata)), name
            if name == "hidden_dims":
                assert repr(asked.__args__[0]) == repr(own.annotation.__args__[0].__args__[0])
            else:
                assert asked == own.annotation


def test_no_more_tasks_than_may_wait(tmp_path):
    service = Service(tmp_path, max_running=1, max_waiting=1)
    assert [service.post(SWEEP).status_code for _ in range(3)] == [202, 202, 429]
    assert "max_waiting=1" in service.post(SWEEP).json()["detail"]


def test_a_task_as_it_goes(service):
    task = service.new()
    status = service.get(f"/status/{task.task_id}").json()
    assert (status["status"], status["progress"], status["error"]) == ("pending", 0, None)
    assert (status["name"], status["kind"], status["dataset_path"]) == ("table", "network", "table.csv")
    state = TaskState(
        status="running", message="searching", progress=40, run="/x/runs/table-1", best_score=0.8
    )
    task.write_state(state)
    status = service.get(f"/status/{task.task_id}").json()
    assert (status["progress"], status["run"], status["best_score"]) == (40, "table-1", 0.8)
    ended = service.post({}, f"/cancel/{task.task_id}")
    assert ended.status_code == 202
    assert "cancelled" in ended.json()["message"]
    assert task.wants_end
    error = TaskError(error="DataLoadError", detail="not a table")
    task.write_state(state.model_copy(update={"status": "failed", "error": error}))
    assert service.get(f"/status/{task.task_id}").json()["error"] == {
        "code": "data_load_error",
        "detail": "not a table",
    }
    assert service.tasks.unfinished() == []
    assert service.post({}, f"/cancel/{task.task_id}").status_code == 409


def test_tasks_are_listed_newest_first(service):
    made = [service.new().task_id for _ in range(3)]
    listed = [t["task_id"] for t in service.get("").json()["tasks"]]
    assert sorted(listed) == sorted(made)
    assert listed == sorted(listed, reverse=True)
    assert len(service.get("", params={"limit": 2}).json()["tasks"]) == 2
    assert service.get("", params={"limit": 0}).status_code == 422


@pytest.mark.parametrize("task_id", ["train-00000000", "train-..%2f..", "x" * 90])
def test_unknown_tasks_are_404(service, task_id):
    for path in ("status", "logs", "events"):
        assert service.get(f"/{path}/{task_id}").status_code == 404
    assert service.post({}, f"/cancel/{task_id}").status_code == 404


def test_logs(service):
    task = service.new()
    assert service.get(f"/logs/{task.task_id}").text == ""
    task.log.write_text("x" * 2_000_000 + "\nthe end\n")
    text = service.get(f"/logs/{task.task_id}").text
    assert text.endswith("the end\n")
    assert len(text) == 1_000_000


def events_of(text):
    """(id, kind, data) of every event of a stream."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
    return found


def test_events_stream_and_go_on_from_the_last_one(service):
    task = service.new()
    run = service.folder / "runs" / "table-1"
    run.mkdir(parents=True)
    lines = [
        {"event": "sweep", "metric": "roc_auc"},
        {"event": "fold", "number": 0, "score": float("nan")},
        {"event": "summary", "leaderboard": [{}] * 100_000, "scores": {"oof": 0.9}},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"event": "half'
    (run / "events.jsonl").write_text(text)
    task.write_state(TaskState(status="succeeded", run=str(run), progress=100))
    answer = service.get(f"/events/{task.task_id}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events_of(answer.text)
    assert [kind for _, kind, _ in found] == ["sweep", "fold", "summary", "status"]
    assert found[1][2]["score"] is None
    assert "leaderboard" not in found[2][2]
    assert (found[3][0], found[3][2]["status"]) == (None, "succeeded")
    again = events_of(service.get(f"/events/{task.task_id}", headers={"Last-Event-ID": found[0][0]}).text)
    assert [kind for _, kind, _ in again] == ["fold", "summary", "status"]


def test_an_uploaded_table_can_be_trained_on(service):
    sent = service.client.post("/api/ml/train/tables", files={"file": ("../my table.csv", b"a,y\n1,0\n")})
    assert sent.status_code == 201
    path = sent.json()["dataset_path"]
    assert path.startswith("upload:")
    assert path.endswith("/my_table.csv")
    job = service.job(service.post({**SWEEP, "dataset_path": path}))
    assert Path(job.data.source).read_bytes() == b"a,y\n1,0\n"
    assert Path(job.data.source).is_relative_to(service.folder / "runs" / "service" / "uploads")
    assert job.name == "my_table"


def test_a_table_and_its_task_in_one_request(service):
    fields = {
        "target_column": "y",
        "test_size": "0.3",
        "search": '{"num_trials": 2}',
        "task_type": "regression",
    }
    sent = service.client.post("/api/ml/train/upload", data=fields, files={"file": ("t.csv.gz", b"123")})
    assert sent.status_code == 202
    job = service.job(sent)
    assert (job.data.target, job.data.test_size, job.search.num_trials) == ("y", 0.3, 2)
    assert job.problem_type == "regression"


def test_a_table_whose_task_is_refused_is_not_kept(tmp_path):
    service = Service(tmp_path, max_running=1, max_waiting=0)
    service.new()
    sent = service.client.post(
        "/api/ml/train/upload", data={"target_column": "y"}, files={"file": ("t.csv", b"1")}
    )
    assert sent.status_code == 429
    assert list((tmp_path / "runs" / "service" / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "name", "content", "status", "expected"),
    [
        ({}, "t.csv", b"1", 422, "target_column: Field required"),
        ({"target_column": "y", "test_size": "half"}, "t.csv", b"1", 422, "test_size: not JSON: 'half'"),
        ({"target_column": "y", "epochs": "3"}, "t.csv", b"1", 422, "epochs"),
        ({"target_column": "y"}, "t.exe", b"1", 422, "'t.exe' has no known format"),
        ({"target_column": "y"}, "t.csv", b"", 422, "t.csv is empty"),
        ({"target_column": "y"}, "t.csv", b"1" * 60_000, 413, "max_upload_mb=0.05"),
        ({"target_column": "y"}, "t.csv", b"1" * 3_000_000, 413, "max_upload_mb=0.05"),
    ],
)
def test_a_wrong_upload(tmp_path, fields, name, content, status, expected):
    service = Service(tmp_path, max_upload_mb=0.05)
    sent = service.client.post("/api/ml/train/upload", data=fields, files={"file": (name, content)})
    assert sent.status_code == status
    assert expected in sent.json()["detail"]
    assert not list((tmp_path / "runs").rglob("*.csv"))


def test_a_body_that_is_no_form(service):
    assert service.post({}, "/tables").status_code == 415
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"", b"nonsense", b"--x\r\n\r\n\r\n--x--"):
        answer = service.client.post("/api/ml/train/tables", content=body, headers=headers)
        assert answer.status_code == 422, body


def test_roots(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "t.csv").write_text("a\n")
    (inside / "link.csv").symlink_to(outside / "t.csv")
    (inside / "here.csv").symlink_to(inside / "t.csv")
    roots = Roots([str(inside), "s3://bucket/tables", "redis:"], tmp_path / "uploads")
    for allowed in ("t.csv", str(inside / "t.csv"), "here.csv"):
        assert roots.source(allowed) == str(inside / "t.csv")
    for allowed in ("s3://bucket/tables/a.csv", "redis:churn"):
        assert roots.source(allowed) == allowed
    refused = ("link.csv", "../out/t.csv", str(outside / "t.csv"), str(tmp_path / "in2"), str(inside))
    remote = ("s3://bucket/tables2/a.csv", "s3://bucket/tables/../x.csv", "gs://bucket/tables/a.csv")
    for asked in (*refused, *remote):
        with pytest.raises(DataLoadError):
            roots.source(asked)
    with pytest.raises(DataLoadError) as caught:
        roots.source("s3://me:hunter2@host/x.csv")
    assert "hunter2" not in str(caught.value)


def test_settings_that_would_fail_later_are_refused_at_the_start(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def settle(**training):
        return settle_training(ServingConfig(training=TrainingServiceConfig(**training)))

    settled = settle(overrides=("tracking=none",)).training
    assert (settled.roots, settled.runs) == ((str(tmp_path),), str(tmp_path / "runs"))
    with pytest.raises(ConfigError, match="allows every file"):
        settle(roots=("/",))
    with pytest.raises(ConfigError, match="no such folder"):
        settle(roots=("gone",))
    with pytest.raises(ConfigError, match=r"serving.training.overrides: serch: unknown key"):
        settle(overrides=("serch.num_trials=1",))
    settle(enabled=False, roots=("gone",))


def test_training_leaves_the_replicas_their_cpus(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))
    assert training_cpus(ServingConfig(replicas=2, cpus_per_replica=1.5)) == 5
    assert training_cpus(ServingConfig(replicas=8)) == 1
    assert training_cpus(ServingConfig(training=TrainingServiceConfig(cpus=3))) == 3


def test_switched_off(tmp_path):
    assert Service(tmp_path, enabled=False).post(NETWORK).status_code == 404


def test_a_path_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(DataLoadError, match="outside of what is allowed"):
        Roots((str(tmp_path),), tmp_path / "uploads").source("0" * 5000)
