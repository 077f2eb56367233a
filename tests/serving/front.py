"""The whole application on a real bundle, without Ray."""

from concurrent.futures import ThreadPoolExecutor

from serving.access import Access
from serving.answerer import Answerer
from serving.api import build_app
from serving.models import LoadedModels
from serving.monitoring import Metrics
from serving.requestlog import RequestLog


def serve_job(job, folder, config, access=None, inline_s=None):
    """The application that a replica has, over the job's registry."""
    executor = ThreadPoolExecutor(1)

    def prepare(loaded):
        loaded.answerer = Answerer(loaded.bundle, executor, config.max_waiting_rows)
        if inline_s is not None:
            loaded.answerer.is_inline = loaded.answerer.row_s < inline_s

    models = LoadedModels(job.folder / "registry", "binary", 1, prepare)
    log = RequestLog(None if config.request_log is None else folder / "requests.jsonl")
    metrics = Metrics(folder / "metrics", models.status)
    return build_app(models, access or Access(), config, metrics, log)
