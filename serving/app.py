"""The endpoint as a deployment on Ray Serve, from start to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from fastapi import FastAPI
from ray import serve

from configs.schema import ServingConfig
from configs.sources import source_scheme
from ensembles.registry import Registry
from errors import ServingError
from serving.api import build_api
from serving.live import LiveModels
from serving.trainers import settle_training, trainers
from serving.training import TrainingService


@serve.deployment
@serve.ingress()
class Endpoint:
    """One replica: loads the model when it starts and answers from memory."""

    def __init__(self, model: str, registry: str, config: dict[str, Any]) -> None:
        self.config = ServingConfig(**config)
        self.models = LiveModels(registry, model, self.config)
        self.training = TrainingService(self.config, registry)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The HTTP side; Ray Serve calls this once the model is loaded, on the event loop."""
        self.models.start()
        return build_api(self.models, self.config, self.training)


def serve_forever(
    model: str, registry: str, config: ServingConfig, on_ready: Callable[[str, str], None]
) -> None:
    """Serve a model until SIGINT or SIGTERM; Ray is started for it and stopped after it.

    Args:
        model: NAME, NAME:VERSION or NAME@ALIAS.
        registry: Where models are registered: a folder or a URI.
        config: Address, replicas, limits.
        on_ready: Called with the URL and the model id when the first request can come.

    Raises: ModelNotFoundError, BundleError: before anything starts. ServingError: the port is taken, or the
        deployment did not come up.
    """
    version = Registry(registry).resolve(model)
    version.manifest()
    config = settle_training(config)
    _check_port(config.host, config.port)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        _deploy(model, registry if source_scheme(registry) else str(Path(registry).resolve()), config)
        on_ready(f"http://{config.host}:{config.port}", version.model_id)
        with trainers(config):
            stop.wait()
    finally:
        if ray.is_initialized():
            serve.shutdown()
            ray.shutdown()


def _deploy(model: str, registry: str, config: ServingConfig) -> None:
    n_cpus = max(len(os.sched_getaffinity(0)), int(config.replicas * config.cpus_per_replica) + 1)
    ray.init(
        address="local", num_cpus=n_cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(http_options={"host": config.host, "port": config.port})
    endpoint = Endpoint.options(
        num_replicas=config.replicas,
        ray_actor_options={"num_cpus": config.cpus_per_replica},
        max_ongoing_requests=64,
    )
    try:
        serve.run(endpoint.bind(model, registry, config.model_dump()), name="tabularay", route_prefix="/")
    except RuntimeError as error:
        raise ServingError(f"the endpoint did not come up: {error}") from None


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServingError(
                f"cannot bind {host}:{port}: {error.strerror}; choose another with --port or --host"
            ) from None
