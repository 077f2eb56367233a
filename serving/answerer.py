"""Answers of one model to many requests at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ensembles.bundle import Bundle
from ensembles.uncertainty import EnsemblePrediction
from serving.refusals import OverloadedError

# Below this, handing a row to another thread costs more than answering it.
INLINE_S = 0.0003
BATCH_ROWS = 256
# Rows of one request in a batch that others wait for too.
FAIR_ROWS = 32
WARM_UP = 5
# Longest advice to a client to wait.
MOST_RETRY_S = 30


@dataclass(eq=False)
class _Asked:
    X: np.ndarray
    future: asyncio.Future[EnsemblePrediction]
    done: int = 0
    parts: list[EnsemblePrediction] = field(default_factory=list)


class Answerer:
    """Predicts at once where that is cheap; else in a thread, everything that waits in one batch.

    A batch is what came while the last one was being answered, so nothing ever waits for others to come. A large
    request goes in pieces, between which small ones find room.

    Args:
        bundle: The model.
        executor: Where batches run; one thread, for a model uses the threads it is given.
        max_waiting_rows: Rows that may wait; more are refused.
    """

    def __init__(self, bundle: Bundle, executor: ThreadPoolExecutor, max_waiting_rows: int) -> None:
        self._bundle = bundle
        self._executor = executor
        self.max_waiting_rows = max_waiting_rows
        self.waiting_rows = 0
        self._waiting: deque[_Asked] = deque()
        self._busy = False
        self.row_s = self._warm_up(np.zeros((1, len(bundle.encoder.feature_names)), np.float32))
        self.is_inline = self.row_s < INLINE_S
        self._batch_row_s = self.row_s

    def _warm_up(self, x: np.ndarray) -> float:
        times = []
        for _ in range(WARM_UP):
            start = time.perf_counter()
            self._bundle.predict_encoded(x)
            times.append(time.perf_counter() - start)
        return min(times)

    def predict_now(self, X: np.ndarray) -> EnsemblePrediction | None:
        """The answer, where it takes no longer than handing the rows to the thread; else None."""
        return self._bundle.predict_encoded(X) if self.is_inline and len(X) == 1 else None

    async def predict(self, X: np.ndarray) -> EnsemblePrediction:
        """Predict encoded rows, together with what else waits.

        Shape: X float32 (n_samples, n_features).
        Raises: OverloadedError: too many rows wait. PredictionError: as Bundle.predict_encoded.
        """
        if self._waiting and self.waiting_rows + len(X) > self.max_waiting_rows:
            raise self._overloaded(len(X))
        asked = _Asked(X, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self.waiting_rows += len(X)
        self._next_batch()
        try:
            return await asked.future
        finally:
            self.waiting_rows -= len(X)

    def _overloaded(self, n_rows: int) -> OverloadedError:
        error = OverloadedError(
            f"{self.waiting_rows} rows are waiting and {n_rows} more came; at most {self.max_waiting_rows} may wait"
        )
        error.retry_after_s = min(MOST_RETRY_S, max(1, math.ceil(self.waiting_rows * self._batch_row_s)))
        return error

    def _next_batch(self) -> None:
        if self._busy:
            return
        taken = self._take()
        if not taken:
            return
        self._busy = True
        rows = [asked.X[start:end] for asked, start, end in taken]
        X = rows[0] if len(rows) == 1 else np.concatenate(rows)
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._timed, X)
        future.add_done_callback(lambda done: self._answered(taken, done))

    def _take(self) -> list[tuple[_Asked, int, int]]:
        """Parts of waiting requests for one batch, as (request, first row, end)."""
        taken: list[tuple[_Asked, int, int]] = []
        unfinished: list[_Asked] = []
        room = BATCH_ROWS
        while self._waiting and room > 0:
            asked = self._waiting.popleft()
            if asked.future.done():  # its client left, or its time is over
                continue
            most = FAIR_ROWS if self._waiting or taken else BATCH_ROWS
            end = min(asked.done + min(most, room), len(asked.X))
            taken.append((asked, asked.done, end))
            room -= end - asked.done
            asked.done = end
            if end < len(asked.X):
                unfinished.append(asked)
        self._waiting.extend(unfinished)
        return taken

    def _timed(self, X: np.ndarray) -> tuple[EnsemblePrediction, float]:
        start = time.perf_counter()
        return self._bundle.predict_encoded(X), (time.perf_counter() - start) / len(X)

    def _answered(self, taken: list[tuple[_Asked, int, int]], done: asyncio.Future) -> None:
        self._busy = False
        error = done.exception()
        if error is None:
            prediction, row_s = done.result()
            self._batch_row_s += 0.1 * (row_s - self._batch_row_s)
        first = 0
        for asked, start, end in taken:
            if asked.future.done():
                first += end - start
                continue
            if error is not None:
                asked.future.set_exception(error)
                continue
            asked.parts.append(prediction.rows(first, first + end - start))
            first += end - start
            if end == len(asked.X):
                asked.future.set_result(EnsemblePrediction.joined(asked.parts))
        self._next_batch()
