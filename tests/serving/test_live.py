"""Versions under load, without Ray: what is served when the registry changes, and when a version fails."""

import asyncio
import logging
import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from configs.schema import ServingConfig
from ensembles.registry import Registry
from errors import BundleError, ModelNotFoundError, VersionRefusedError
from serving import moves
from serving.live import LiveModels
from serving.loading import MAX_LOADED
from tests.serving.front import front_of, prepare
from tests.serving.versions import ROW, lying, make_registry

CONFIG = ServingConfig(poll_s=0.02)


@pytest.fixture(scope="module")
def bundles(good_bundles, tmp_path_factory):
    return [*good_bundles, lying(good_bundles[1], tmp_path_factory.mktemp("versions") / "lying")]


@pytest.fixture
def registry(bundles, tmp_path):
    """Versions 1 (production), 2 and 3; 3 fails its golden rows."""
    return make_registry(tmp_path / "registry", bundles)


def live_models(registry, **options):
    return LiveModels(registry.where, "small", CONFIG, **{"prepare": prepare} | options)


def damage(registry, model_id):
    graph = registry.resolve(model_id).fetch() / "graph.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")


async def until(condition, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.005)


def test_a_promotion_elsewhere_is_followed_and_a_rollback_too(registry):
    async def story():
        live = live_models(registry)
        live.start()
        elsewhere = Registry(registry.where)
        elsewhere.promote("small", 2)
        await until(lambda: live.pick().model_id == "small:2")
        elsewhere.rollback("small")
        await until(lambda: live.pick().model_id == "small:1")
        await live.stop()
        elsewhere.promote("small", 2)
        await asyncio.sleep(0.1)
        return live.status()

    status = asyncio.run(story())
    assert status["model_id"] == "small:1"
    assert status["switches"] == 2
    assert status["failures"] == 0


def test_requests_in_flight_keep_their_version(registry):
    async def story():
        live = live_models(registry)
        before = live.pick()
        registry.promote("small", 2)
        await live.refresh()
        return before, live.pick()

    before, after = asyncio.run(story())
    assert before.model_id == "small:1"
    assert after.model_id == "small:2"
    assert before.bundle.predict([ROW]).mean != pytest.approx(after.bundle.predict([ROW]).mean)


def test_the_event_loop_is_free_while_a_version_loads_and_the_old_one_answers(registry):
    go_on = threading.Event()

    def prepare(loaded):
        if loaded.model_id == "small:2":
            assert go_on.wait(10)

    async def story():
        live = live_models(registry, prepare=prepare)
        registry.promote("small", 2)
        refreshing = asyncio.create_task(live.refresh())
        await asyncio.sleep(0.2)
        during = live.pick().model_id
        assert not refreshing.done()
        go_on.set()
        await refreshing
        return during, live.pick().model_id

    assert asyncio.run(story()) == ("small:1", "small:2")


@pytest.mark.parametrize("fault", ["lying", "damaged", "unprepared"])
def test_a_failing_version_never_takes_traffic_and_is_noted_once(registry, fault, caplog):
    tried = []

    def prepare(loaded):
        tried.append(loaded.model_id)
        if loaded.model_id == "small:2" and fault == "unprepared":
            raise RuntimeError("no room")

    async def story():
        live = live_models(registry, prepare=prepare)
        if fault == "damaged":
            damage(registry, "small:2")
        registry.promote("small", 3 if fault == "lying" else 2)
        for _ in range(5):
            await live.refresh()
            assert live.pick().model_id == "small:1"
        return live.status()

    with caplog.at_level(logging.ERROR, "tabularay.serving"):
        status = asyncio.run(story())
    assert status["failures"] == 1
    assert len(caplog.records) == 1
    reason = {"lying": "golden rows", "damaged": "sha256 differs", "unprepared": "no room"}[fault]
    assert reason in status["last_failure"]["error"]
    assert tried.count("small:2") == (fault == "unprepared")


def test_a_failed_version_is_tried_again_when_the_registry_changes(registry):
    faults = ["no room"]

    def prepare(loaded):
        if loaded.model_id == "small:2" and faults:
            raise RuntimeError(faults.pop())

    async def story():
        live = live_models(registry, prepare=prepare)
        registry.promote("small", 2)
        await live.refresh()
        await live.refresh()
        assert live.pick().model_id == "small:1"
        registry.promote("small", 3, "candidate")
        await live.refresh()
        return live.pick().model_id

    assert asyncio.run(story()) == "small:2"


def test_a_replica_that_starts_on_a_broken_version_serves_the_one_before(registry):
    registry.promote("small", 2)
    registry.promote("small", 3)
    live = live_models(registry)
    assert live.pick().model_id == "small:2"
    assert live.status()["last_failure"]["model_id"] == "small:3"


def test_a_replica_without_any_sound_version_does_not_start(bundles, tmp_path):
    broken = make_registry(tmp_path / "registry", bundles[2:])
    with pytest.raises(BundleError, match="golden rows"):
        LiveModels(broken.where, "small", CONFIG)
    with pytest.raises(ModelNotFoundError):
        LiveModels(broken.where, "nobody", CONFIG)


def test_a_registry_that_cannot_be_read_leaves_what_is_served(registry, caplog):
    async def story():
        live = live_models(registry)
        event = Path(registry.where, "small", "journal", "00000004.json")
        event.write_text("{")
        with caplog.at_level(logging.ERROR, "tabularay.serving"):
            for _ in range(3):
                await live.refresh()
        during = (live.pick().model_id, live.status()["failures"])
        event.unlink()
        registry.promote("small", 2)
        await live.refresh()
        return during, live.pick().model_id

    assert asyncio.run(story()) == (("small:1", 1), "small:2")
    assert len(caplog.records) == 1


def test_versions_are_found_by_every_name_and_deleted_ones_are_not(registry):
    async def story():
        live = live_models(registry)
        assert live.find("small:2") is None
        two = await live.load("small:2")
        registry.promote("small", 2, "candidate")
        await live.refresh()
        for name in ("small:2", "small@candidate", "candidate"):
            assert live.find(name) is two
        for name in ("small", "small:1", "small@production", "production"):
            assert live.find(name) is live.served
        registry.delete("small", 2, force=True)
        await live.refresh()
        assert live.find("small:2") is None
        with pytest.raises(ModelNotFoundError):
            await live.load("small:2")
        with pytest.raises(BundleError):
            await live.load("small:3")

    asyncio.run(story())


def test_memory_holds_so_many_versions_and_what_is_served(bundles, tmp_path):
    registry = make_registry(tmp_path / "registry", bundles[:1])
    for n in range(MAX_LOADED + 2):
        registry.register(f"other{n}", bundles[1])

    async def story():
        live = live_models(registry)
        for n in range(MAX_LOADED + 2):
            await live.load(f"other{n}")
        return live

    live = asyncio.run(story())
    assert live.status()["loaded"] == sorted(["small:1", *(f"other{n}:1" for n in range(2, MAX_LOADED + 2))])
    assert live.find("other0:1") is None


def test_one_load_serves_all_who_ask_at_once(registry):
    loads = []

    async def story():
        live = live_models(registry, prepare=lambda loaded: loads.append(loaded.model_id))
        return await asyncio.gather(*(live.load("small:2") for _ in range(8)))

    found = asyncio.run(story())
    assert len(set(map(id, found))) == 1
    assert loads == ["small:1", "small:2"]


def test_a_broken_version_is_not_promoted_over_http(registry):
    with TestClient(front_of(live_models(registry), CONFIG)) as client:
        answer = client.post("/api/ml/models/small:3/promote", json={"why": "try"})
        assert answer.status_code == 409
        assert "golden rows" in answer.json()["detail"]
        assert "small@production stays" in answer.json()["detail"]
        assert Registry(registry.where).resolve("small").version == 1
        assert client.post("/api/ml/models/small:9/promote").status_code == 404
        assert client.post("/api/ml/models/small:2/promote", json={"alias": "a b"}).status_code == 422


def test_promoting_and_rolling_back_over_http_switch_at_once(registry):
    with TestClient(front_of(live_models(registry), CONFIG)) as client:

        def answering():
            answer = client.post("/api/ml/predict", json={"data": {"records": [ROW]}})
            return answer.json()["predictions"][0]["model_id"]

        assert client.post("/api/ml/models/rollback").status_code == 404
        moved = client.post("/api/ml/models/small:2/promote", json={"why": "better on May"})
        assert moved.json() == {"model_id": "small:2", "aliases": ["production"]}
        assert answering() == "small:2"
        assert client.post("/api/ml/models/rollback").json()["model_id"] == "small:1"
        assert answering() == "small:1"
        events = client.get("/api/ml/traffic").json()["history"]
    assert [e["action"] for e in events] == ["promote", "rollback"]
    assert events[0]["why"] == "better on May"
    assert events[0]["who"] == "anonymous over HTTP"


def test_rolling_back_to_a_broken_version_is_refused(registry):
    registry.promote("small", 3)
    registry.promote("small", 2)

    async def story():
        live = live_models(registry)
        with pytest.raises(VersionRefusedError, match="golden rows"):
            await moves.roll_back(live)

    asyncio.run(story())
    assert registry.resolve("small").version == 2


def test_lists_and_cards(registry):
    registry.promote("small", 2, "candidate")
    with TestClient(front_of(live_models(registry), CONFIG)) as client:
        assert [m["model_id"] for m in client.get("/api/ml/models").json()["models"]] == [
            "small:1",
            "small:2",
            "small:3",
        ]
        for name in ("small:2", "small@candidate", "candidate"):
            card = client.get(f"/api/ml/models/{name}").json()
            assert card["model_id"] == "small:2"
            assert [c["name"] for c in card["card"]["columns"]] == ["a", "b", "c"]
            assert card["card"]["members"][0]["family"] == "lightgbm"
        assert client.get("/api/ml/models/small:7").status_code == 404
