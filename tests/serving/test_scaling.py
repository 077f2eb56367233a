"""Replicas come and go with the load, and nobody is let down meanwhile."""

import asyncio
import json
import threading
import time

import pytest

from benchmarks.httpload import load
from serving.scaling import BUSY, Busy, ByLoad
from tests.serving.process import own_folder, serving, until
from tests.serving.versions import ROW, make_bundles, make_registry

BODY = json.dumps({"data": {"records": [ROW]}}).encode()
WITHIN_S = 120


class Context:
    """What the policy reads of Ray Serve's."""

    target_num_replicas = 2

    def __init__(self, *busy):
        self.aggregated_metrics = {BUSY: dict(enumerate(busy))} if busy else {}


@pytest.mark.parametrize(
    ("busy", "wanted"),
    [((1.0,), 1.0 / 0.7), ((0.9, 0.8), 1.7 / 0.7), ((0.1, 0.2), 1.0), ((0.0,), 1.0), ((), 2)],
)
def test_replicas_are_wanted_by_the_sum_of_what_keeps_them_busy(busy, wanted):
    assert ByLoad(0.7)(Context(*busy))[0] == pytest.approx(wanted)


def test_a_thread_that_works_is_busy_and_one_that_sleeps_is_not():
    busy, stop = Busy(), threading.Event()

    def work():
        busy.watch()
        while not stop.is_set():
            sum(range(1000))

    busy.watch()
    time.sleep(0.3)
    assert busy.share() < 0.5
    thread = threading.Thread(target=work)
    thread.start()
    try:
        time.sleep(0.1)
        busy.share()
        time.sleep(0.5)
        assert busy.share() > 0.5
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaling")
    make_registry(folder / "registry", make_bundles(folder)[:1])
    options = ("replicas=1", "max_replicas=2", "cpus_per_replica=0.5", "request_log=null")
    with serving(folder, "small", *options, "scale_up_after_s=2", "scale_down_after_s=3") as server:
        yield server


def answered(server):
    """How many predictions each replica has answered."""
    files = (own_folder(server) / "metrics").glob("*.json")
    rows = [json.loads(file.read_text())["requests"] for file in files]
    return sorted(sum(n for route, _, n in each if route == "/api/ml/predict") for each in rows)


def test_a_second_replica_comes_with_the_load_and_goes_after_it_and_no_request_fails(served):
    def n_replicas():
        return len(served.find("^ray::ServeReplica"))

    async def story():
        stop = asyncio.Event()
        heavy = asyncio.create_task(load(served.predict_url, BODY, None, 32, 2 * WITHIN_S, stop=stop))
        assert n_replicas() == 1
        await asyncio.to_thread(until, lambda: len(n := answered(served)) == 2 and n[0] > 100, WITHIN_S, 0.5)
        stop.set()
        stop = asyncio.Event()
        light = asyncio.create_task(load(served.predict_url, BODY, 5, 2, 2 * WITHIN_S, stop=stop))
        await asyncio.to_thread(until, lambda: n_replicas() == 1, WITHIN_S, 0.5)
        stop.set()
        return await heavy, await light

    for result in asyncio.run(story()):
        assert result.statuses[200] > 0
        assert result.n_failed == 0, result.failures
