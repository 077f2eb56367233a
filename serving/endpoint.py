"""One replica: loads the model when it starts and answers from memory."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ray import serve

from configs.schema import ServingConfig
from serving.access import Access, Token
from serving.answerer import Answerer
from serving.api import build_app
from serving.board import SharedCounts
from serving.exchange import Front
from serving.ingress import shortcut
from serving.live import LiveModels
from serving.loading import Loaded
from serving.monitoring import Metrics
from serving.paths import PREDICT
from serving.requestlog import RequestLog
from serving.scaling import BUSY, Busy
from serving.training import TrainingService

SWITCH_S = 0.0005


@serve.deployment
@serve.ingress()
class Endpoint:
    """A process that answers.

    Args:
        model: NAME, NAME:VERSION or NAME@ALIAS.
        registry: Where models are registered: a folder or a URI.
        config: How it is served.
        tokens: Who may ask.
        folder: The server's own, shared by the replicas of a machine.
    """

    def __init__(
        self, model: str, registry: str, config: dict[str, Any], tokens: list[Token], folder: str
    ) -> None:
        self.config = ServingConfig(**config)
        self.access = Access(tokens)
        self.busy = Busy()
        self.batches = ThreadPoolExecutor(1, "batches", initializer=self.busy.watch)
        self.models = LiveModels(registry, model, self.config, self._prepare, SharedCounts())
        log = self.config.request_log
        self.front = build_app(
            self.models,
            self.access,
            self.config,
            Metrics(Path(folder) / "metrics", self._state),
            RequestLog(None if log is None else Path(log)),
            TrainingService(self.config, registry),
        )
        shortcut(self.front, (PREDICT,))
        # Threads that follow the registry must not keep a request waiting for Python's usual 5 ms.
        sys.setswitchinterval(SWITCH_S)
        # What is here stays: a full collection that walks over it would be felt as a slow answer.
        gc.collect()
        gc.freeze()

    def __serve_build_asgi_app__(self) -> Front:
        """The HTTP side; Ray Serve calls this once the model is loaded, on the event loop."""
        self.models.start()
        self.busy.watch()
        return self.front

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What serving.scaling.ByLoad decides by; Ray Serve asks for it under this name."""
        return {BUSY: self.busy.share()}

    def _prepare(self, loaded: Loaded) -> None:
        loaded.answerer = Answerer(loaded.bundle, self.batches, self.config.max_waiting_rows)

    def _state(self) -> dict[str, Any]:
        state = {"production": self.models.served.model_id, "failures": self.models.n_failures}
        state["waiting_rows"] = self.models.served.answerer.waiting_rows
        if self.models.trial is not None:
            state[self.models.trial.rollout.plan.mode] = self.models.trial.model_id
        return state
