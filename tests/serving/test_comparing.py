"""Versions compared on the same rows, what is counted of them, and the rule on the counts."""

import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest

from ensembles.bundle import load_bundle
from ensembles.rollouts import Plan
from errors import VersionRefusedError
from serving.comparing import MAX_WAITING, Comparison
from serving.judging import Counts, judge
from serving.loading import Loaded
from tests.serving.versions import ROW, changed, on_trial, records


def counts(**values):
    ratios = Counter({round(np.log2(values.pop("ratio", 1.0)) * 8): 100})
    return Counts(**{"compared": 100, "rows": 100, "ratios": ratios} | values)


@pytest.mark.parametrize(
    ("counted", "plan", "verdict", "reason"),
    [
        (counts(compared=99), Plan(min_requests=100), "go on", "99 of 100"),
        (counts(), Plan(min_requests=100), "passed", "no error"),
        (counts(), Plan(min_requests=100, promote=True), "promote", "no error"),
        (counts(ratio=2.3), Plan(min_requests=100, promote=True), "withdraw", "2.38 times"),
        (counts(ratio=1.8), Plan(min_requests=100), "passed", "1.83 times"),
        (counts(ratio=2.3), Plan(min_requests=101), "go on", "100 of 101"),
        (counts(errors=1, first_error="boom"), Plan(min_requests=10_000), "withdraw", "boom"),
        (counts(changed=100, difference=90.0), Plan(min_requests=100), "passed", "no error"),
    ],
)
def test_the_rule(counted, plan, verdict, reason):
    found = judge(counted, plan)
    assert found[0] == verdict
    assert reason in found[1]
    assert judge(counted, plan) == found


def test_counts_are_added_up_while_they_grow(pair):
    """New buckets of the latencies come while others are added up."""
    comparison, stop, interval = Comparison(*pair), threading.Event(), sys.getswitchinterval()

    def count():
        while not stop.is_set():
            for exponent in range(-300, 300):
                with comparison._counting:
                    comparison.counts.time(2.0**exponent, 1.0)
            with comparison._counting:
                comparison.counts.ratios.clear()

    thread = threading.Thread(target=count)
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(1000):
            comparison.tally()
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
        comparison.stop()


def test_an_error_of_ours_ends_no_comparison(pair):
    comparison = Comparison(*pair)
    X = pair[0].bundle.encode(records(3))
    comparison.offer(pair[0], X, np.zeros((2, 9)), records(3))  # shapes that cannot be compared
    comparison.offer(pair[0], X, pair[0].bundle.predict_encoded(X).mean, records(3))
    comparison.stop()
    comparison.join()
    assert (comparison.counts.uncomparable, comparison.counts.compared) == (1, 1)


def test_counts_of_replicas_add_up():
    both = counts(ratio=1.0, difference=3.0, largest=0.5) + counts(
        ratio=8.0, difference=1.0, largest=0.25, errors=2
    )
    assert (both.compared, both.difference, both.largest, both.errors) == (200, 4.0, 0.5, 2)
    assert (both + counts(ratio=8.0)).latency_ratio() == 8.0
    assert both.shown()["mean_abs_difference"] == 4.0 / 200


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_what_is_compared_is_what_both_versions_answer(pair, mode):
    trial = on_trial(pair, mode=mode, share=1.0)
    rows = records(40)
    expected = [one.bundle.predict(rows).mean for one in pair]
    for row in rows:
        loaded = trial.pick()
        X = loaded.bundle.encode([row])
        trial.observe(loaded, X, loaded.bundle.predict_encoded(X).mean, [row])
    trial.stop()
    trial.comparison.join()
    shown = trial.comparison.counts.shown()
    assert shown["compared"] == shown["rows"] == 40
    assert shown["answered"] == (40 if mode == "canary" else 0)
    apart = np.abs(expected[0] - expected[1]).mean(axis=1)
    assert shown["mean_abs_difference"] == pytest.approx(apart.mean(), rel=1e-4)
    assert shown["max_abs_difference"] == pytest.approx(apart.max(), rel=1e-4)
    changed_rows = expected[0].argmax(1) != expected[1].argmax(1)
    assert 0 < changed_rows.sum() < 40
    assert shown["changed_share"] == pytest.approx(changed_rows.mean())
    assert shown["errors"] == shown["dropped"] == shown["uncomparable"] == 0
    assert 0.1 < shown["latency_ratio"] < 10


def test_without_raw_rows_versions_that_encode_differently_are_not_compared(pair):
    comparison = Comparison(*pair)
    X = pair[0].bundle.encode([ROW])
    comparison.offer(pair[0], X, pair[0].bundle.predict_encoded(X).mean)
    comparison.stop()
    comparison.join()
    assert (comparison.counts.compared, comparison.counts.uncomparable) == (0, 1)


def test_observing_never_waits(pair):
    comparison = Comparison(*pair)
    rows = records(256)
    X = pair[0].bundle.encode(rows)
    mean = pair[0].bundle.predict_encoded(X).mean
    began = time.perf_counter()
    for _ in range(50 * MAX_WAITING):
        comparison.offer(pair[0], X, mean, rows)
    elapsed = time.perf_counter() - began
    comparison.stop()
    comparison.join()
    counted = comparison.counts
    assert counted.dropped > 0
    assert counted.dropped + counted.compared == 50 * MAX_WAITING
    assert elapsed < 5


def test_rows_that_only_the_served_version_answers_count_against_the_candidate(pair):
    class Broken:
        manifest, target, threshold = pair[1].bundle.manifest, pair[1].bundle.target, None
        encoder = pair[1].bundle.encoder

        def predict(self, rows):
            raise ValueError("no such column")

    broken = Loaded("small:2", Broken())
    comparison = Comparison(pair[0], broken)
    X = pair[0].bundle.encode([ROW])
    comparison.offer(pair[0], X, pair[0].bundle.predict_encoded(X).mean, [ROW])
    comparison.stop()
    comparison.join()
    assert comparison.counts.errors == 1
    assert "no such column" in comparison.counts.first_error


def test_versions_for_another_question_are_not_compared(good_bundles, pair, tmp_path):
    other = changed(good_bundles[1], tmp_path / "other", "manifest.json", lambda m: m.update(target="z"))
    with pytest.raises(VersionRefusedError, match="target is 'z', not 'y'"):
        Comparison(pair[0], Loaded("small:4", load_bundle(other)))
