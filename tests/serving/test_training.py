"""Training over HTTP, without Ray: what is told of a task, and the settings of the service."""

import json

import pytest

from configs.schema import ServingConfig, TrainingServiceConfig
from configs.tasks import TaskError, TaskState
from errors import ConfigError
from serving.trainers import settle_training, training_cpus
from tests.serving.training import NETWORK, SWEEP, Service


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


@pytest.mark.parametrize("place", ["9" * 19, "-1", "x", "٣"])
def test_a_place_that_no_event_has(service, place):
    task = service.new()
    task.write_state(TaskState(status="succeeded"))
    answer = service.get(f"/events/{task.task_id}", headers={"Last-Event-ID": place.encode()})
    assert [kind for _, kind, _ in events_of(answer.text)] == ["status"]


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
