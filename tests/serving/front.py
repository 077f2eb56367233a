"""The whole application on a real bundle, without Ray."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from configs.schema import ServingConfig
from serving.access import Access
from serving.answerer import Answerer
from serving.api import build_app
from serving.live import LiveModels
from serving.monitoring import Metrics
from serving.requestlog import RequestLog


def prepare(loaded, max_waiting_rows=20_000):
    """As a replica does it."""
    loaded.answerer = Answerer(loaded.bundle, ThreadPoolExecutor(1), max_waiting_rows)


def front_of(live, config=None, access=None, folder=None):
    """The application over models that are loaded."""
    folder, config = folder or Path(tempfile.mkdtemp()), config or ServingConfig()
    log = RequestLog(None if config.request_log is None else folder / "requests.jsonl")
    metrics = Metrics(folder / "metrics", lambda: {"production": live.served.model_id})
    return build_app(live, access or Access(), config, metrics, log)


def serve_job(job, folder, config, access=None, inline_s=None):
    """The application that a replica has, over the job's registry."""
    return serve(job.folder / "registry", "binary", folder, config, access, inline_s)


def serve(registry, name, folder, config, access=None, inline_s=None):
    """The application that a replica has, over a registry."""
    live = LiveModels(registry, name, config, lambda loaded: prepare(loaded, config.max_waiting_rows))
    if inline_s is not None:
        live.served.answerer.is_inline = live.served.answerer.row_s < inline_s
    return front_of(live, config, access, folder)
