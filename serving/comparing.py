"""The answers of two versions to the same rows, compared in a thread beside the one that serves."""

from __future__ import annotations

import logging
import threading
import time
from queue import SimpleQueue
from typing import Any

import numpy as np

from ensembles.bundle import Bundle
from ensembles.thresholds import decide
from errors import VersionRefusedError
from serving.judging import Counts
from serving.loading import Loaded

MAX_WAITING = 64
MAX_ROWS = 256
STOP_WAIT_S = 5.0
log = logging.getLogger("tabularay.serving")


class Comparison:
    """Compares a candidate with the version that is served, request by request.

    Args:
        served: What is served.
        candidate: What is on trial.

    Raises: VersionRefusedError: they do not answer the same question.
    """

    def __init__(self, served: Loaded, candidate: Loaded) -> None:
        check_comparable(served, candidate)
        self.served = served
        self.candidate = candidate
        self.counts = Counts()
        # Between the thread, which counts what it has compared, and whoever adds counts up.
        self._counting = threading.Lock()
        self._one_encoding = served.bundle.encoder == candidate.bundle.encoder
        self._waiting: SimpleQueue[tuple[Loaded, Any, np.ndarray] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="comparison", daemon=True)
        self._thread.start()

    def offer(self, answered: Loaded, X: np.ndarray, mean: np.ndarray, rows: Any = None) -> None:
        """Have an answered request compared; returns at once, and counts those for which there is no room.

        Shape: X float32 (n_samples, n_features), mean (n_samples, n_outputs).

        Args:
            answered: The version that answered it.
            X: Its rows as that version encodes them; copied.
            mean: What it answered; copied.
            rows: The raw rows, records or lists of values; needed where the versions encode differently.
        """
        if answered is self.candidate:
            self.counts.answered += 1
        if self._waiting.qsize() >= MAX_WAITING:
            self.counts.dropped += 1
        elif self._one_encoding:
            self._waiting.put((answered, X[:MAX_ROWS].copy(), mean[:MAX_ROWS].copy()))
        elif rows is not None:
            self._waiting.put((answered, rows[:MAX_ROWS], mean[:MAX_ROWS].copy()))
        else:
            self.counts.uncomparable += 1

    def failed(self, error: BaseException) -> None:
        """Count a request that the candidate did not answer."""
        self.counts.first_error = self.counts.first_error or f"{self.candidate.model_id}: {error}"
        self.counts.errors += 1

    def tally(self) -> Counts:
        """The counts as they are now, which later ones do not change."""
        with self._counting:
            return Counts() + self.counts

    def stop(self) -> None:
        """End the thread, after what waits."""
        self._waiting.put(None)

    def join(self) -> None:
        """Wait until all that waited at `stop` is compared."""
        self._thread.join(STOP_WAIT_S)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._compare(*item)
            except Exception:
                # An error of ours says nothing against the candidate; without the thread, nothing ever would.
                log.exception(
                    "%s: could not be compared with %s", self.candidate.model_id, self.served.model_id
                )
                self.counts.uncomparable += 1

    def _compare(self, answered: Loaded, rows: Any, mean: np.ndarray) -> None:
        other = self.candidate if answered is self.served else self.served
        # In turns, so that neither gains from rows that the other has just brought into the cache.
        first, second = (answered, other) if self.counts.compared % 2 else (other, answered)
        seconds: dict[Loaded, float] = {}
        for one in (first, second):
            began = time.perf_counter()
            try:
                prediction = self._predict(one.bundle, rows)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and shown
                if one is self.candidate:
                    return self.failed(error)
                self.counts.uncomparable += 1  # rows that only the candidate answers say nothing against it
                return None
            seconds[one] = time.perf_counter() - began
            if one is other:
                theirs = prediction
        with self._counting:
            self._count(answered, mean, theirs)
            self.counts.time(seconds[self.candidate], seconds[self.served])
        return None

    def _predict(self, bundle: Bundle, rows: Any) -> np.ndarray:
        if isinstance(rows, np.ndarray):
            return bundle.predict_encoded(rows).mean
        return bundle.predict(rows).mean

    def _count(self, answered: Loaded, mean: np.ndarray, theirs: np.ndarray) -> None:
        apart = np.abs(mean - theirs).mean(axis=1)
        if not np.isfinite(apart).all():
            return self.failed(ValueError("answers are not finite"))
        other = self.candidate if answered is self.served else self.served
        counts = self.counts
        if answered.bundle.target.problem_type != "regression":
            mine = decide(mean, answered.bundle.threshold)
            counts.changed += int((mine != decide(theirs, other.bundle.threshold)).sum())
        counts.difference += float(apart.sum())
        counts.largest = max(counts.largest, float(apart.max()))
        counts.rows += len(apart)
        counts.compared += 1
        return None


def check_comparable(served: Loaded, candidate: Loaded) -> None:
    """Whether two versions answer the same question.

    Raises: VersionRefusedError: another target, problem or classes; names both.
    """
    for what in ("problem_type", "target", "classes"):
        mine, theirs = (one.bundle.manifest.get(what) for one in (served, candidate))
        if mine != theirs:
            raise VersionRefusedError(
                f"{candidate.model_id}: cannot be tried beside {served.model_id}: {what} is {theirs!r}, not {mine!r}"
            )
