"""By what replicas are counted; that they come and go is in test_front_door.py."""

import threading
import time

import pytest

from serving.scaling import BUSY, Busy, ByLoad


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
