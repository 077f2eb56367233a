"""Tables that clients send."""

from pathlib import Path

import anyio
import pytest

from tests.serving.training import SWEEP, Service

PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\na,b\n'


def test_an_uploaded_table_can_be_trained_on(service):
    sent = service.client.post(
        "/api/ml/train/tables", files={"file": ("../my table.csv", b"a,target\n1,0\n")}
    )
    assert sent.status_code == 201
    path = sent.json()["dataset_path"]
    assert path.startswith("upload:")
    assert path.endswith("/my_table.csv")
    job = service.job(service.post({**SWEEP, "dataset_path": path}))
    assert Path(job.data.source).read_bytes() == b"a,target\n1,0\n"
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


@pytest.mark.parametrize("name", ["한" * 120 + ".csv", "x" * 500 + ".csv.gz", "a" * 90 + "." * 99 + "-.csv"])
def test_a_name_is_one_that_a_file_can_have(service, name):
    sent = service.client.post("/api/ml/train/tables", files={"file": (name, b"1")})
    assert sent.status_code == 201
    kept = Path(service.tasks.uploads, sent.json()["dataset_path"].removeprefix("upload:"))
    assert kept.read_bytes() == b"1"
    assert kept.name[0] not in ".-"


def send_in_pieces(service, path, pieces, pause_s=0.0):
    """Statuses that a client gets who sends its body in pieces and then leaves."""
    head = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"9000")]
    scope = {"type": "http", "method": "POST", "path": f"/api/ml/train{path}", "headers": head}
    came = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    came.append({"type": "http.disconnect"})
    sent = []

    async def receive():
        await anyio.sleep(pause_s)
        return came.pop(0)

    async def send(message):
        sent.append(message)

    scope |= {
        "query_string": b"",
        "root_path": "",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("x", 1),
    }
    anyio.run(service.front, scope, receive, send)
    return [message["status"] for message in sent if "status" in message]


@pytest.mark.parametrize("path", ["/tables", ""])
def test_a_client_that_leaves_in_the_middle_is_no_error_of_the_server(service, path):
    assert set(send_in_pieces(service, path, [PART])) <= {499}
    told = service.front.metrics.text().decode()
    assert 'status="499"} 1.0' in told
    assert "tabularay_errors_total{" not in told
    assert list(service.tasks.uploads.glob("*")) == []


def test_a_client_that_only_drips_is_let_go(service, monkeypatch):
    monkeypatch.setattr("serving.uploads.SILENCE_S", 1.0)
    assert send_in_pieces(service, "/tables", [PART, *(b"x" for _ in range(200))], 0.02) == [408]


def test_a_body_that_is_no_form(service):
    assert service.post({}, "/tables").status_code == 415
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"", b"nonsense", b"--x\r\n\r\n\r\n--x--"):
        answer = service.client.post("/api/ml/train/tables", content=body, headers=headers)
        assert answer.status_code == 422, body
