"""The HTTP side of the endpoint: its routes, and what answers their errors."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from configs.schema import ServingConfig
from errors import TabularayError
from serving.access import Access, require
from serving.bodies import BodyLimit
from serving.docs_pages import add_docs
from serving.exchange import CLIENT_LEFT, KEY, Front, internal_body
from serving.live import LiveModels
from serving.monitoring import CONTENT_TYPE, Metrics
from serving.openapi import document
from serving.paths import PREDICT
from serving.predict import Predict
from serving.problems import MEDIA_TYPE, code_of, describe, explain_validation, problem_body
from serving.refusals import ClientLeftError
from serving.requestlog import RequestLog
from serving.routes_models import models_routes
from serving.routes_training import STREAMING, training_routes
from serving.schema import Health
from serving.training import TrainingService

DESCRIPTION = "Predictions of an ensemble for tables, each with its uncertainty."


def build_app(
    models: LiveModels,
    access: Access,
    config: ServingConfig,
    metrics: Metrics,
    log: RequestLog,
    training: TrainingService | None = None,
) -> Front:
    """Build the whole application.

    Args:
        models: The models it answers with.
        access: Who may ask.
        config: Its limits.
        metrics: Where requests are counted.
        log: Where they are noted.
        training: Takes training tasks; None: there are none.
    """
    api = FastAPI(
        title="tabularay",
        description=DESCRIPTION,
        version=version("tabularay"),
        docs_url=None,
        redoc_url=None,
    )
    api.state.access = access
    answer_errors(api)
    add_docs(api)
    _add_routes(api, models, metrics)
    api.include_router(models_routes(models, config))
    if training is not None:
        api.include_router(training_routes(training, config))
    predict = Predict(models, access, config)
    api.router.routes.append(Route(PREDICT, predict, methods=["POST"]))
    api.openapi = lambda: document(api, models.served.bundle)
    limited = BodyLimit(api, int(config.max_body_mb * 1e6), config.request_timeout_s, STREAMING)
    return Front({PREDICT: predict}, limited, metrics, log)


def _add_routes(api: FastAPI, models: LiveModels, metrics: Metrics) -> None:
    @api.get("/api/ml/health")
    async def health() -> Health:
        """That the endpoint is ready, and which version it serves by default."""
        status = models.status()
        return Health(status="ok", model_id=status["model_id"], last_failure=status["last_failure"])

    @api.get("/api/ml/health/live", status_code=HTTPStatus.NO_CONTENT)
    async def live() -> None:
        """That the process answers at all."""

    @api.get("/metrics", dependencies=[Depends(require("predict"))], response_class=PlainTextResponse)
    def show_metrics() -> Response:
        """Metrics of this machine's replicas, for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)


def answer_errors(api: FastAPI) -> None:
    """Problem documents for what FastAPI finds wrong itself."""

    def problem(request: Request, status: HTTPStatus, detail: str, code: str) -> Response:
        exchange = request.scope[KEY]
        exchange.code = code
        body = problem_body(status, detail, code, exchange.request_id)
        return Response(body, status, media_type=MEDIA_TYPE)

    @api.exception_handler(TabularayError)
    async def _deliberate(request: Request, error: TabularayError) -> Response:
        if isinstance(error, ClientLeftError):
            return Response(status_code=CLIENT_LEFT)
        request.scope[KEY].code = code_of(error)
        status, body, headers = describe(error, request.scope[KEY].request_id)
        return Response(body, status, headers, MEDIA_TYPE)

    @api.exception_handler(Exception)
    async def _ours(request: Request, _error: Exception) -> Response:
        body = internal_body(request.scope[KEY])  # it is raised on, and logged by Front
        return Response(body, HTTPStatus.INTERNAL_SERVER_ERROR, media_type=MEDIA_TYPE)

    @api.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        detail = explain_validation(list(error.errors()))
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, "data_error")

    @api.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        answer = problem(request, status, str(error.detail), status.name.lower())
        answer.headers.update(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            answer.headers["allow"] = _allowed(api, request.url.path)
        return answer


def _allowed(api: FastAPI, path: str) -> str:
    """Methods of a path; Starlette names those of its first route only."""
    routes = [
        route for route in api.routes if getattr(route, "path_regex", None) and route.path_regex.match(path)
    ]
    return ", ".join(sorted({method for route in routes for method in route.methods or ()}))
