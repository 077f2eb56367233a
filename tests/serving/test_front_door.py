"""What stands in front of the replicas: HTTPS, and as many replicas as the load needs. One real server for both."""

import asyncio
import json
import re
import socket
import ssl

import httpx
import pytest

from benchmarks.httpload import load
from tests.serving.certificates import make_certificate
from tests.serving.process import haproxies, own_folder, serving, until
from tests.serving.versions import ROW, make_bundles, make_registry

HOST = "127.0.0.2"
BODY = json.dumps({"data": {"records": [ROW]}}).encode()
WITHIN_S = 120


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaling")
    make_registry(folder / "registry", make_bundles(folder)[:1])
    cert, key = make_certificate(folder, host=HOST)
    front = (f"--host={HOST}", f"tls_cert={cert}", f"tls_key={key}", "request_log=null")
    scaling = ("max_replicas=2", "cpus_per_replica=0.5", "scale_up_after_s=2", "scale_down_after_s=3")
    with serving(folder, "small", *front, *scaling) as server:
        own = own_folder(server)
        yield server, cert
    assert not own.exists()


def test_predictions_come_over_https_from_the_configured_certificate_by_the_fast_way(served):
    server, cert = served
    assert server.url.startswith("https://")
    assert haproxies(server)
    with httpx.Client(base_url=server.url, verify=ssl.create_default_context(cafile=cert)) as client:

        def answer():
            answer = client.post("/api/ml/predict", content=BODY)
            assert (answer.status_code, answer.http_version) == (200, "HTTP/1.1")
            return answer

        # Ray's own proxy, which answers until HAProxy has been told of the replica, names the request once more.
        until(lambda: len(answer().headers.get_list("x-request-id")) == 1)
        assert answer().json()["predictions"][0]["model_id"] == "small:1"
    with (
        httpx.Client(base_url=server.url) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE"),
    ):
        stranger.get("/api/ml/health")


def test_plain_http_is_refused(served):
    server, _ = served
    with httpx.Client() as client, pytest.raises(httpx.TransportError):
        client.get(f"http://{HOST}:{server.port}/api/ml/health")


def test_what_is_behind_haproxy_listens_on_this_machine_only_and_the_key_is_its_owners(served):
    server, _ = served
    folder = own_folder(server)
    text = next(folder.glob("*/haproxy.cfg")).read_text()
    ports = [int(port) for port in re.findall(r"^ *server \S+ 127\.0\.0\.1:(\d+)", text, re.MULTILINE)]
    assert len(ports) >= 2  # a replica, and Ray's own proxy
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), timeout=5)
    assert (folder / "tls.pem").stat().st_mode & 0o777 == 0o600


def answered(server):
    """How many predictions each replica has answered."""
    files = (own_folder(server) / "metrics").glob("*.json")
    rows = [json.loads(file.read_text())["requests"] for file in files]
    return sorted(sum(n for route, _, n in each if route == "/api/ml/predict") for each in rows)


def test_a_second_replica_comes_with_the_load_and_goes_after_it_and_no_request_fails(served):
    server, _ = served

    def n_replicas():
        return len(server.find("^ray::ServeReplica"))

    async def story():
        stop = asyncio.Event()
        heavy = asyncio.create_task(load(server.predict_url, BODY, None, 32, 2 * WITHIN_S, stop=stop))
        assert n_replicas() == 1
        await asyncio.to_thread(until, lambda: len(n := answered(server)) == 2 and n[0] > 100, WITHIN_S, 0.5)
        stop.set()
        stop = asyncio.Event()
        light = asyncio.create_task(load(server.predict_url, BODY, 5, 2, 2 * WITHIN_S, stop=stop))
        await asyncio.to_thread(until, lambda: n_replicas() == 1, WITHIN_S, 0.5)
        stop.set()
        return await heavy, await light

    for result in asyncio.run(story()):
        assert result.statuses[200] > 0
        assert result.n_failed == 0, result.failures
