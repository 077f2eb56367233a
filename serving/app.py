"""The endpoint as a deployment on Ray Serve, from start to stop."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from configs.schema import ServingConfig
from configs.sources import source_scheme
from ensembles.registry import Registry
from errors import ServingError
from serving.access import Access, check_open_door, read_tokens
from serving.haproxy import choose_front
from serving.scaling import SAMPLE_S, WINDOW_S
from serving.tls import check_tls
from serving.trainers import settle_training, trainers

APP = "tabularay"
SHORT = Path("/tmp")  # noqa: S108 - see where it is used
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Ray's workers give way to everything else on the machine; who answers people must not.
    "RAY_worker_niceness": "0",
    # On a busy machine a process takes longer to start than Ray's 5 s, and would be killed for it.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
}
# Requests under way in one replica; what comes above waits in its socket.
MOST_ONGOING = 1024
# A controller that was restarted itself sees the death of a replica only when it looks; Ray's 10 s are long.
LOOK_AT_REPLICAS_S = 2.0
STOP_S = 30.0
PORT_FREE_S = 10.0
LOOK_S = 0.02
logger = logging.getLogger("tabularay.serving")


def serve_forever(
    model: str, registry: str, config: ServingConfig, on_ready: Callable[[str, str], None]
) -> None:
    """Serve a model until SIGINT or SIGTERM; Ray is started for it and stopped after it.

    Args:
        model: NAME, NAME:VERSION or NAME@ALIAS.
        registry: Where models are registered: a folder or a URI.
        config: Address, replicas, limits.
        on_ready: Called with the URL and the model id when the first request can come.

    Raises: ModelNotFoundError, BundleError, ConfigError: before anything starts. ServingError: the port is taken,
        or the deployment did not come up.
    """
    access = read_tokens(None if config.tokens is None else Path(config.tokens))
    check_open_door(config.host, access)
    check_tls(config)
    config = settle_training(config)
    version = Registry(registry).resolve(model)
    version.manifest()
    _check_port(config.host, config.port)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # There will be sockets in it, whose paths the kernel wants short; mkdtemp makes it ours alone.
    folder = Path(tempfile.mkdtemp(prefix="tabularay-", dir=SHORT if SHORT.is_dir() else None))
    try:
        http = choose_front(config, folder)
        absolute = registry if source_scheme(registry) else str(Path(registry).resolve())
        if config.request_log is not None:
            config = config.model_copy(update={"request_log": str(Path(config.request_log).resolve())})
        _deploy(model, absolute, config, access, folder, http)
        scheme = "http" if config.tls_cert is None else "https"
        host = f"[{config.host}]" if ":" in config.host else config.host
        on_ready(f"{scheme}://{host}:{config.port}", version.model_id)
        with trainers(config):
            stop.wait()
    finally:
        _stop()
        _wait_for_port(config.host, config.port)
        shutil.rmtree(folder, ignore_errors=True)


def _deploy(
    model: str, registry: str, config: ServingConfig, access: Access, folder: Path, http: dict[str, Any]
) -> None:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray  # noqa: PLC0415 - reads the settings above

    most = config.max_replicas or config.replicas
    n_cpus = max(len(os.sched_getaffinity(0)), int(most * config.cpus_per_replica) + 1)
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    with ThreadPoolExecutor(2) as beside:
        imported = beside.submit(importlib.import_module, "serving.endpoint")
        ray.init(address="local", num_cpus=n_cpus, **quiet)
        endpoint = imported.result().Endpoint.options(
            **_scaling(config),
            ray_actor_options={"num_cpus": config.cpus_per_replica},
            max_ongoing_requests=MOST_ONGOING,
            health_check_period_s=LOOK_AT_REPLICAS_S,
        )
        arguments = (model, registry, config.model_dump(), list(access.tokens), str(folder))
        try:
            started = beside.submit(_start_serve, http)
            _wait_for_controller(started)
            _run_app(endpoint.bind(*arguments))
            started.result()
        except (RuntimeError, ray.exceptions.RayError) as error:
            reason = str(getattr(error, "cause", error)).strip().partition("\n")[0]
            raise ServingError(f"the endpoint did not come up: {reason}") from None


def _scaling(config: ServingConfig) -> dict[str, Any]:
    """How many replicas there are, in Ray Serve's words."""
    if config.max_replicas is None:
        return {"num_replicas": config.replicas}
    policy = {"policy_function": "serving.scaling.ByLoad", "policy_kwargs": {"target": config.target_busy}}
    limits = {"min_replicas": config.replicas, "max_replicas": config.max_replicas}
    delays = {"upscale_delay_s": config.scale_up_after_s, "downscale_delay_s": config.scale_down_after_s}
    times = {"metrics_interval_s": SAMPLE_S, "look_back_period_s": WINDOW_S}
    return {"autoscaling_config": {**limits, **delays, **times, "policy": policy}}


def _start_serve(http: dict[str, Any]) -> None:
    """Start Ray Serve; returns when its proxies are ready."""
    from ray import serve  # noqa: PLC0415
    from ray.serve.config import HTTPOptions  # noqa: PLC0415

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(http_options=HTTPOptions(**http))


def _wait_for_controller(started: Future[None]) -> None:
    """Until replicas can be asked for, which need not wait for the proxies."""
    import ray  # noqa: PLC0415
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE  # noqa: PLC0415

    while not started.done():
        try:
            ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
        except ValueError:
            time.sleep(LOOK_S)
        else:
            return


def _run_app(app: Any) -> None:
    from ray import serve  # noqa: PLC0415

    serve.run(app, name=APP, route_prefix="/")


def _stop() -> None:
    import ray  # noqa: PLC0415 - not before its settings

    if ray.is_initialized():
        _stop_serve()
        ray.shutdown()


def _stop_serve() -> None:
    """As serve.shutdown, but not to be tried again: else Ray prints that the controller died of what ends it."""
    import ray  # noqa: PLC0415
    from ray.serve.context import _get_global_client  # noqa: PLC0415

    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return
    client.shutdown_cached_handles()
    ended = client._controller.graceful_shutdown.options(max_task_retries=0).remote()
    try:
        ray.get(ended, timeout=STOP_S)
    except ray.exceptions.RayActorError:
        logger.debug("the controller is gone")
    except ray.exceptions.GetTimeoutError:
        logger.warning("Ray Serve did not stop within %g s; it is ended now", STOP_S)


def _wait_for_port(host: str, port: int) -> None:
    """Until the port is free: HAProxy's stand-in goes a moment after its Ray, and the next server may come at once."""
    until = time.monotonic() + PORT_FREE_S
    while time.monotonic() < until:
        try:
            return _check_port(host, port)
        except ServingError:
            time.sleep(LOOK_S)
    return logger.warning("%s:%d is still taken", host, port)


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServingError(
                f"cannot bind {host}:{port}: {error.strerror}; choose another with --port or --host"
            ) from None
