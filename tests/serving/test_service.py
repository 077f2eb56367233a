"""`tabularay serve` with all that stands in front of it, and clients that mean no good."""

import http.client
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from benchmarks.served import descendants
from serving.access import new_token
from tests.serving.process import haproxies, serving, until

PATH = "/api/ml/predict"
TIMEOUT_S = 3
ALIVE_S = 0.5


@pytest.fixture(scope="module")
def served(binary_job, tmp_path_factory):
    """A server with tokens, a token, and its folder."""
    folder = tmp_path_factory.mktemp("service")
    token, line = new_token("tester", "predict")
    (folder / "tokens").write_text(line)
    (folder / "tokens").chmod(0o600)
    limits = ("tokens=tokens", f"request_timeout_s={TIMEOUT_S}", "max_body_mb=1")
    with serving(folder, "binary", *limits, f"--registry={binary_job.folder / 'registry'}") as server:
        yield server, token, folder


@pytest.fixture
def client(served):
    server, token, _ = served
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def body(binary_job):
    return {"data": {"records": [json.loads((binary_job.bundle / "golden.json").read_text())["records"][0]]}}


def memory_mb(pid):
    rollups = (Path(f"/proc/{p}/smaps_rollup").read_text() for p in (pid, *descendants(pid)))
    return sum(int(re.search(r"^Pss: +(\d+)", text, re.MULTILINE)[1]) for text in rollups) / 1e3


def test_the_short_way_is_taken(client, body):
    """Ray's own proxy, which stands in until HAProxy has been told of the replica, names the request once more."""

    def n_names():
        answer = client.post(PATH, json=body)
        assert answer.status_code == 200
        return len(answer.headers.get_list("x-request-id"))

    until(lambda: n_names() == 1)
    assert [n_names() for _ in range(20)] == [1] * 20


def test_haproxy_listens_on_this_machine_only(served):
    server, *_ = served
    inodes = set()
    for pid in haproxies(server):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            match = re.fullmatch(r"socket:\[(\d+)\]", str(fd.readlink()))
            inodes |= {match[1]} if match else set()
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    bound = {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}
    assert bound == {"0100007F"}


def test_without_a_token_nothing_is_answered_but_health(served, body):
    server, *_ = served
    with httpx.Client(base_url=server.url, timeout=30) as stranger:
        assert stranger.post(PATH, json=body).status_code == 401
        assert stranger.get("/api/ml/models").status_code == 401
        assert stranger.post("/api/ml/models/binary:1/promote").status_code == 401
        assert stranger.get("/metrics").status_code == 401
        assert stranger.get("/api/ml/health").json()["ready"] is True


def test_a_predictor_may_not_promote_or_train(client):
    assert client.post("/api/ml/models/binary:1/promote").status_code == 403
    assert client.post("/api/ml/train", json={}).status_code == 403


HOSTILE = {
    "deep": (b'{"data": ' + b"[" * 100_000, 422),
    "deep objects": (b'{"a":' * 50_000, 422),
    "NaN": (b'{"data": {"records": [{"mean radius": NaN}]}}', 422),
    "infinite": (b'{"data": {"records": [{"mean radius": 1e999}]}}', 422),
    "long number": (b'{"data": {"records": [{"mean radius": ' + b"9" * 100_000 + b"}]}}", 422),
    "twice": (b'{"data": {"features": [1], "features": [2]}}', 422),
    "not text": (b"\xff\xfe\x00", 422),
    "nothing": (b"", 422),
    "other type": (b'{"data": {"records": 1}}', 422),
    "many names": (
        b'{"data": {"records": [{' + b",".join(b'"%d":1' % i for i in range(60_000)) + b"}]}}",
        422,
    ),
    "too large": (b" " * 1_100_000, 413),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_get_their_code(client, name):
    content, status = HOSTILE[name]
    answer = client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 4000


def test_what_is_hostile_leaves_nothing_behind(served, client, body):
    """A hundred megabytes, thrice, and every hostile body fifty times: memory stays where it was."""
    server, token, _ = served

    def attack():
        for content, _ in HOSTILE.values():
            for _ in range(50):
                client.post(PATH, content=content, headers={"Content-Type": "application/json"})
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            try:
                connection.request("POST", PATH, b" " * 100_000_000, head)
                assert connection.getresponse().status == 413
            except (BrokenPipeError, ConnectionResetError):
                pass  # it did not even read to the end
            finally:
                connection.close()

    attack()
    before = memory_mb(server.process.pid)
    attack()
    assert memory_mb(server.process.pid) < 1.05 * before + 5
    assert client.post(PATH, json=body).status_code == 200


def seconds_until_let_go(port, head):
    """How long a server lets a client send a byte now and then."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(head)
        start = time.monotonic()
        slow.settimeout(0.2)
        while time.monotonic() - start < 10 * TIMEOUT_S:
            try:
                slow.sendall(b" ")
                slow.recv(4096)  # an answer, or the end
                break
            except TimeoutError:
                continue
            except OSError:
                break
        return time.monotonic() - start


def test_slow_clients_are_let_go_and_hold_nobody_up(served, client, body):
    server, token, _ = served
    lines = (
        f"POST {PATH} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
    )
    head = "\r\n".join([*lines, "Content-Length: 100000", "", ""]).encode()
    with ThreadPoolExecutor(50) as pool:
        slow = [pool.submit(seconds_until_let_go, server.port, head) for _ in range(50)]
        time.sleep(ALIVE_S)
        for _ in range(20):
            assert client.post(PATH, json=body).status_code == 200
        assert max(one.result() for one in slow) < 5 * TIMEOUT_S


def test_tokens_are_in_no_log(served, client, body):
    *_, folder = served
    client.post(PATH, json=body, headers={"x-request-id": "the-last-one"})
    until(lambda: "the-last-one" in (folder / "requests.jsonl").read_text())
    text = (folder / "requests.jsonl").read_text()
    assert served[1] not in text
    line = next(json.loads(line) for line in text.splitlines() if "the-last-one" in line)
    assert (line["principal"], line["rows"], line["model_id"], line["status"]) == (
        "tester",
        1,
        "binary:1",
        200,
    )


def test_metrics_are_prometheus_own_format(client):
    from prometheus_client.parser import text_string_to_metric_families

    families = {f.name: f for f in text_string_to_metric_families(client.get("/metrics").text)}
    assert {"tabularay_requests", "tabularay_request_seconds", "tabularay_rows", "tabularay_model"} <= set(
        families
    )
    assert any(
        s.labels.get("status") == "422" and s.value > 10 for s in families["tabularay_requests"].samples
    )
