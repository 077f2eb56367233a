"""Two real replicas under `tabularay serve`: a switch under load, and a trial that both count."""

import asyncio
import time

import httpx
import pytest

from ensembles.registry import Registry
from tests.serving.process import serving, until
from tests.serving.versions import ROW, lying, make_registry

BODY = {"data": {"records": [ROW]}}


@pytest.fixture(scope="module")
def served(good_bundles, tmp_path_factory):
    """The URL of two replicas, and the registry; versions 1 (production) and 2, and 3, which fails its golden rows."""
    folder = tmp_path_factory.mktemp("switching")
    bundles = [*good_bundles, lying(good_bundles[1], folder / "lying")]
    registry = make_registry(folder / "registry", bundles)
    with serving(folder, "small", "replicas=2", "poll_s=0.2", "cpus_per_replica=0.5") as server:
        yield server.url, registry


async def ask_until(client, seen, stop):
    while not stop.is_set():
        answer = await client.post("/api/ml/predict", json=BODY)
        seen.append(answer.json()["predictions"][0]["model_id"] if answer.status_code == 200 else answer.text)


def test_switches_on_two_replicas_fail_no_request_and_a_broken_version_never_answers(served):
    url, registry = served

    async def story():
        seen, stop = [], asyncio.Event()
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            clients = [asyncio.create_task(ask_until(client, seen, stop)) for _ in range(4)]
            for version in (2, 1, 3, 2):
                await asyncio.to_thread(Registry(registry.where).promote, "small", version)
                await asyncio.sleep(1.5)
                mark = len(seen)
                await asyncio.sleep(0.5)
                expected = 1 if version == 3 else version  # the broken one leaves what was served
                assert set(seen[mark:]) == {f"small:{expected}"}
            stop.set()
            await asyncio.gather(*clients)
        return seen

    seen = asyncio.run(story())
    assert set(seen) == {"small:1", "small:2"}
    registry.promote("small", 1)


def test_a_trial_is_judged_on_the_requests_of_both_replicas(served):
    url, registry = served
    with httpx.Client(base_url=url, timeout=30) as client:
        until(lambda: client.get("/api/ml/health").json()["model_id"] == "small:1")
        plan = {"model_id": "small:2", "mode": "shadow", "share": 1.0, "min_requests": 120, "promote": True}
        client.put("/api/ml/traffic", json=plan | {"max_latency_ratio": 1000}).raise_for_status()
        time.sleep(1)
        for _ in range(150):
            answer = client.post("/api/ml/predict", json=BODY)
            assert answer.status_code == 200
    until(lambda: registry.resolve("small").version == 2)
    last = registry.history("small")[-1]
    assert (last["action"], last["who"]) == ("promote", "the rule for versions on trial")
    assert int(last["why"].split("over ")[1].split()[0]) >= 120
