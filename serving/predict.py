"""POST /api/ml/predict: from bytes to bytes, past everything a prediction does not need."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from starlette.types import Receive, Scope, Send

from configs.schema import ServingConfig
from ensembles.explanation import explained_outputs
from errors import DataError, TabularayError
from serving.access import Access
from serving.bodies import read_body, slow
from serving.exchange import KEY, Exchange, answer
from serving.live import LiveModels
from serving.loading import Loaded
from serving.refusals import AnswerTimeoutError, OverloadedError, UnsupportedMediaTypeError
from serving.replies import add_explanation, answers_of, arrow_body, json_body
from serving.requests import ARROW, PLAIN, Order, read_arrow, read_json, read_options

JSON = "application/json"
# Requests with equal keys get the same version while another is on trial.
TRAFFIC_KEY = b"x-traffic-key"
MOST_EXPLAINED = 100
MOST_EXPLAINING = 4
# From here on JSON of so many rows is written in a thread, as others would wait for it.
ROWS_IN_THREAD = 256


class Predict:
    """The application of one path.

    Args:
        models: What answers.
        access: Who may ask.
        config: Limits.
    """

    def __init__(self, models: LiveModels, access: Access, config: ServingConfig) -> None:
        self.models, self.access, self.config = models, access, config
        self.max_bytes = int(config.max_body_mb * 1e6)
        self._explaining = 0
        self._slow_lane = ThreadPoolExecutor(1, "slow-lane")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises: TabularayError: what is wrong with it; problems.STATUS says what that is in HTTP.
        """
        exchange: Exchange = scope[KEY]
        headers = dict(scope["headers"])
        exchange.principal = self.access.check(headers.get(b"authorization"), "predict")
        body: bytes | None = None
        try:
            async with asyncio.timeout(self.config.request_timeout_s):
                body = await read_body(receive, self.max_bytes, headers.get(b"content-length", b""))
                order = self._read(headers.get(b"content-type", b""), body, scope["query_string"])
                answers = await self._answer(order, exchange, headers.get(TRAFFIC_KEY))
                as_arrow = ARROW.encode() in headers.get(b"accept", b"")
                write = arrow_body if as_arrow else json_body
                if len(answers) > ROWS_IN_THREAD:
                    reply = await asyncio.get_running_loop().run_in_executor(None, write, answers)
                else:
                    reply = write(answers)
        except TimeoutError:
            if body is None:
                raise slow(self.config.request_timeout_s) from None
            raise AnswerTimeoutError(
                f"no answer within {self.config.request_timeout_s:g} s; ask for fewer rows at once"
            ) from None
        await answer(send, 200, reply, ARROW if as_arrow else JSON)

    def _read(self, content_type: bytes, body: bytes, query: bytes) -> Order:
        options, model_id = read_options(query) if query else (PLAIN, None)
        kind = content_type.partition(b";")[0].strip().lower()
        if kind == ARROW.encode():
            return read_arrow(body, options, model_id, self.config.max_rows)
        if kind not in (JSON.encode(), b""):
            raise UnsupportedMediaTypeError(
                f"Content-Type: {content_type[:100].decode('latin-1')}; allowed: {JSON}, {ARROW}"
            )
        order = read_json(body, options, self.config.max_rows)
        if model_id is not None:
            if order.model_id not in (None, model_id):
                raise DataError(f"model_id: '{order.model_id}' in the body, '{model_id}' in the query")
            order.model_id = model_id
        return order

    async def _answer(self, order: Order, exchange: Exchange, key: bytes | None) -> list[dict[str, Any]]:
        if order.model_id is not None:
            return await self._answer_with(await self._named(order.model_id), order, exchange)
        loaded = self.models.pick(None if key is None else key.decode("latin-1"))
        if loaded is self.models.served:
            return await self._answer_with(loaded, order, exchange)
        try:
            return await self._answer_with(loaded, order, exchange)
        except OverloadedError:
            raise
        except TabularayError as error:
            # Where the rows are at fault, the served version refuses them too.
            answers = await self._answer_with(self.models.served, order, exchange)
            self.models.failed(loaded, error)
            return answers

    async def _answer_with(self, loaded: Loaded, order: Order, exchange: Exchange) -> list[dict[str, Any]]:
        exchange.model_id = loaded.model_id
        bundle, options = loaded.bundle, order.options
        if len(order.rows) > ROWS_IN_THREAD:
            X = await asyncio.get_running_loop().run_in_executor(None, bundle.encode, order.rows)
        else:
            X = bundle.encode(order.rows)
        prediction = loaded.answerer.predict_now(X)
        if prediction is None:
            prediction = await loaded.answerer.predict(X)
        exchange.rows = len(X)
        self.models.observe(loaded, X, prediction.mean, order.rows)
        answers = answers_of(bundle, loaded.model_id, prediction, options)
        if options.explain:
            outputs = explained_outputs(bundle, prediction.mean, options.of_class)
            await self._explain(loaded, X, answers, outputs)
        return answers

    async def _named(self, model_id: str) -> Loaded:
        return self.models.find(model_id) or await self.models.load(model_id)

    async def _explain(
        self, loaded: Loaded, X: np.ndarray, answers: list[dict[str, Any]], outputs: np.ndarray
    ) -> None:
        """Explanations take hundreds of predictions a row, so few are made at once, beside the others."""
        if len(X) > MOST_EXPLAINED:
            raise DataError(f"explain: {len(X)} rows; at most {MOST_EXPLAINED} at once are explained")
        if self._explaining >= MOST_EXPLAINING:
            raise OverloadedError(
                f"{self._explaining} requests are being explained; at most that many may be"
            )
        self._explaining += 1
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._slow_lane, add_explanation, loaded.bundle, X, answers, outputs
            )
        finally:
            self._explaining -= 1
