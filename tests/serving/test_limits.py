"""Tokens, roles, queues, metrics and the log, over the whole application."""

import json
import threading
import time

import anyio
import httpx
import pytest
from fastapi.testclient import TestClient

from configs.schema import ServingConfig
from errors import ConfigError
from serving.access import Access, check_open_door, new_token, read_tokens
from tests.serving.front import serve_job

PATH = "/api/ml/predict"


@pytest.fixture(scope="module")
def record(binary_job):
    return json.loads((binary_job.bundle / "golden.json").read_text())["records"][0]


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens"
    made = {role: new_token(f"some-{role}", role) for role in ("predict", "train", "admin")}
    path.write_text("# who may what\n" + "\n".join(line for _, line in made.values()) + "\n")
    path.chmod(0o600)
    return read_tokens(path), {role: token for role, (token, _) in made.items()}


def test_tokens_are_asked_for_and_never_kept(binary_job, tmp_path, tokens, record):
    access, secrets = tokens
    body = {"data": {"records": [record]}}
    with TestClient(serve_job(binary_job, tmp_path, ServingConfig(), access)) as client:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {secrets['admin']}"},
        ):
            answer = client.post(PATH, json=body, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        for token in secrets.values():
            assert (
                client.post(PATH, json=body, headers={"Authorization": f"Bearer {token}"}).status_code == 200
            )
        assert client.get("/metrics").status_code == 401
        assert client.get("/api/ml/health").status_code == 200
        time.sleep(1)
    log = (tmp_path / "requests.jsonl").read_text()
    assert '"principal":"some-train"' in log
    assert not any(token in log for token in secrets.values())
    assert not any(token in repr(access.tokens) for token in secrets.values())


def test_roles_include_those_below(tokens):
    access, secrets = tokens
    assert access.check(f"bearer {secrets['train']}".encode(), "predict") == "some-train"
    with pytest.raises(Exception, match="'some-predict' has the role predict; this needs admin"):
        access.check(f"Bearer {secrets['predict']}".encode(), "admin")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("me predict", "2 words"),
        ("me king sha256:" + "0" * 64, "role 'king'"),
        ("me predict short", "neither"),
        ("me predict sha256:12", "neither"),
        ("me predict sha256:" + "0" * 64 + "\nme train sha256:" + "1" * 64, "twice"),
        ("", "no token in it"),
    ],
)
def test_wrong_token_files_are_refused(tmp_path, line, expected):
    path = tmp_path / "tokens"
    path.write_text(line)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=expected):
        read_tokens(path)


def test_token_files_that_others_read_are_refused(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(new_token("me", "admin")[1])
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_tokens(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_tokens(tmp_path / "nothing")


def test_tokens_come_from_the_environment_too(monkeypatch):
    monkeypatch.setenv("TABULARAY_TOKENS", "a predict " + "x" * 20 + "; b admin " + "y" * 20)
    access = read_tokens(None)
    assert access.check(b"Bearer " + b"y" * 20, "admin") == "b"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])  # noqa: S104
def test_other_addresses_need_a_token(host, tokens):
    with pytest.raises(ConfigError, match=r"serving.tokens=FILE"):
        check_open_door(host, Access())
    check_open_door(host, tokens[0])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_this_machine_needs_none(host):
    check_open_door(host, Access())


def test_what_waits_is_bounded_and_who_comes_later_hears_when(binary_job, tmp_path, record):
    """A model that takes its time: forty requests at once, of which ten rows may wait."""
    front = serve_job(binary_job, tmp_path, ServingConfig(max_waiting_rows=10), inline_s=0)
    loaded = front.fast[PATH].models.served
    answerer, predict, first = loaded.answerer, loaded.bundle.predict_encoded, threading.Event()

    def slow(X):
        first.wait(5)
        return predict(X)

    loaded.bundle.predict_encoded = slow

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://t") as client:
            answers = []

            async def one():
                answers.append(await client.post(PATH, json={"data": {"records": [record]}}))
                if len(answers) == 29:
                    first.set()

            async with anyio.create_task_group() as group:
                for _ in range(40):
                    group.start_soon(one)
            return answers

    answers = anyio.run(ask)
    statuses = [answer.status_code for answer in answers]
    assert sorted(set(statuses)) == [200, 429]
    assert 10 <= statuses.count(200) <= 12
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["code"] == "overloaded_error"
    assert answerer.waiting_rows == 0


def test_a_request_has_its_time(binary_job, tmp_path, record):
    front = serve_job(binary_job, tmp_path, ServingConfig(request_timeout_s=0.2), inline_s=0)
    loaded = front.fast[PATH].models.served
    predict = loaded.bundle.predict_encoded

    def slow(X):
        time.sleep(0.5)
        return predict(X)

    loaded.bundle.predict_encoded = slow
    with TestClient(front) as client:
        answer = client.post(PATH, json={"data": {"records": [record]}})
    assert answer.status_code == 504
    assert answer.json()["code"] == "answer_timeout_error"


def test_clients_that_send_slowly_are_let_go(binary_job, tmp_path):
    front = serve_job(binary_job, tmp_path, ServingConfig(request_timeout_s=0.2))
    sent = []

    async def drip():
        await anyio.sleep(0.05)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": []}
    anyio.run(front, scope, drip, send)
    assert sent[0]["status"] == 408


def test_metrics_add_up_over_replicas(binary_job, tmp_path, record):
    body = {"data": {"records": [record, record]}}
    clients = [TestClient(serve_job(binary_job, tmp_path, ServingConfig())) for _ in range(2)]
    for client in clients:
        assert client.post(PATH, json=body).status_code == 200
        client.post(PATH, json={})
        client.get("/metrics")
    text = clients[0].get("/metrics").text
    for line in (
        'tabularay_requests_total{route="/api/ml/predict",status="200"} 2.0',
        'tabularay_rows_total{model_id="binary:1"} 4.0',
        'tabularay_errors_total{code="data_error"} 2.0',
        "tabularay_replicas 2.0",
        'tabularay_model{model_id="binary:1",role="production"} 2.0',
        'tabularay_request_seconds_count{route="/api/ml/predict"} 4.0',
    ):
        assert line in text.splitlines()


def test_an_error_of_ours_is_told_apart_and_logged(binary_job, tmp_path, record, capsys):
    front = serve_job(binary_job, tmp_path, ServingConfig())
    front.fast[PATH].models.pick().answerer.predict_now = None
    with TestClient(front) as client:
        answer = client.post(PATH, json={"data": {"records": [record]}})
        time.sleep(1)
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "NoneType" not in answer.text
    line = json.loads((tmp_path / "requests.jsonl").read_text().splitlines()[-1])
    assert line["request_id"] == answer.json()["request_id"]
    assert "NoneType" in line["trace"]
