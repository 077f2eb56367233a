"""What is removed of training, and what never is."""

import os
import time

import pytest

from configs.schema import ServingConfig, TrainingServiceConfig
from configs.tasks import TaskState
from serving.retention import DAY_S, clean_up
from serving.trainers import LOOK_EVERY_S, trainers
from tests.serving.process import until
from tests.serving.training import SWEEP


def send(service):
    """The dataset_path of a table that was sent, and where it lies."""
    sent = service.client.post("/api/ml/train/tables", files={"file": ("t.csv", b"a,target\n1,0\n")})
    path = sent.json()["dataset_path"]
    return path, service.tasks.uploads / path.removeprefix("upload:")


def age(path, days):
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))


def end(task, days, status="succeeded"):
    task.write_state(TaskState(status=status, updated=time.time() - days * DAY_S))


def left(service):
    return {task.task_id for task in service.tasks.newest()}


def test_tasks_that_ended_long_ago_go_and_others_stay(service):
    long_ago, lately, waiting = (service.new(SWEEP) for _ in range(3))
    end(long_ago, 31, "failed")
    end(lately, 29)
    clean_up(service.tasks, 30)
    assert left(service) == {lately.task_id, waiting.task_id}
    assert service.get(f"/status/{long_ago.task_id}").status_code == 404
    assert service.get("").status_code == 200
    assert service.tasks.unfinished()[0].task_id == waiting.task_id


def test_a_table_stays_for_as_long_as_a_task_names_it_and_as_long_again_as_it_was_named(service):
    (path, named), (_, old), (_, new) = (send(service) for _ in range(3))
    age(named.parent, 50)
    task = service.new(SWEEP | {"dataset_path": path})
    assert time.time() - named.parent.stat().st_mtime < DAY_S
    age(named.parent, 50)
    age(old.parent, 50)
    clean_up(service.tasks, 30)
    assert [p.exists() for p in (named, old, new)] == [True, False, True]
    end(task, 31)
    clean_up(service.tasks, 30)
    assert [p.exists() for p in (named, new)] == [False, True]


def test_what_was_begun_and_never_finished_goes_after_a_day(service):
    send(service)
    torn, arriving = service.tasks.uploads / ".0123", service.tasks.uploads / ".4567"
    for folder in (torn, arriving):
        folder.mkdir()
        (folder / "t.csv").write_text("a")
    age(torn, 2)
    clean_up(service.tasks, 30)
    assert [torn.exists(), arriving.exists()] == [False, True]


def test_a_server_removes_by_itself_and_for_ever_means_nothing_goes(service):
    tasks = [service.new(SWEEP) for _ in range(2)]
    for task in tasks:
        end(task, 400)
    for keep_days, there in ((None, True), (30.0, False)):
        training = TrainingServiceConfig(runs=str(service.folder / "runs"), keep_days=keep_days)
        with trainers(ServingConfig(training=training)):
            if there:
                time.sleep(2 * LOOK_EVERY_S)
                assert len(left(service)) == len(tasks)
            else:
                until(lambda: not left(service))


def test_an_ended_task_can_be_removed_and_its_table_goes_with_the_last_that_names_it(service):
    path, table = send(service)
    first, second = (service.new(SWEEP | {"dataset_path": path}) for _ in range(2))
    run = service.folder / "runs" / "t-1"
    run.mkdir()
    refused = service.client.delete(f"/api/ml/train/{first.task_id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict_error")
    for task, there in ((first, True), (second, False)):
        end(task, 0)
        assert service.client.delete(f"/api/ml/train/{task.task_id}").status_code == 204
        assert table.exists() == there
    assert left(service) == set()
    assert run.exists()
    assert service.table.exists()
    assert service.client.delete(f"/api/ml/train/{first.task_id}").status_code == 404


@pytest.mark.parametrize("way", ["./{}", "{}/../{}", "{}//", ".", "..", "{}/./"])
def test_a_table_has_one_name(service, way):
    path, table = send(service)
    upload, name = path.removeprefix("upload:").split("/")
    asked = f"upload:{way.format(upload, upload)}/{name}"
    assert service.post(SWEEP | {"dataset_path": asked}).status_code == 422
    assert table.exists()
