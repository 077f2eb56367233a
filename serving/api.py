"""The HTTP side of the endpoint: its routes, and what they refuse."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from configs.schema import ServingConfig
from ensembles.answers import answer_rows
from ensembles.versions import version_row
from errors import DataError
from serving.limits import BodyLimit, add_error_answers
from serving.models import LoadedModels
from serving.routes_training import training_routes
from serving.schema import Health, ModelList, PredictRequest, PredictResponse, Problem
from serving.training import TrainingService

DESCRIPTION = "Predictions of an ensemble for tables, each with its uncertainty."
REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such model."},
    413: {"model": Problem, "description": "The body is too large."},
    422: {"model": Problem, "description": "What is wrong with the request, and where."},
}


def build_api(models: LoadedModels, config: ServingConfig, registry: str) -> FastAPI:
    """Build the application.

    Args:
        models: The models it answers with.
        config: Its limits.
        registry: Where models are registered.
    """
    api = FastAPI(title="tabularay", description=DESCRIPTION, version="0.1.0")
    api.add_middleware(BodyLimit, max_bytes=int(config.max_body_mb * 1e6))
    add_error_answers(api)
    api.include_router(training_routes(TrainingService(config, registry), config))

    @api.post("/api/ml/predict", responses=REFUSALS)
    async def predict(request: PredictRequest) -> PredictResponse:
        """Predict rows. Every answer names the model version that gave it."""
        rows = request.data.rows()
        if len(rows) > config.max_rows:
            raise DataError(f"data: {len(rows)} rows; at most {config.max_rows} in one request")
        model_id, bundle = models.get(request.model_id)
        answers = answer_rows(bundle, bundle.predict(rows))
        return PredictResponse.model_validate(
            {"predictions": [{"model_id": model_id, **answer} for answer in answers]}
        )

    @api.get("/api/ml/models")
    async def list_models() -> ModelList:
        """Every registered version, with the features it takes."""
        registry = models.registry
        versions = [v for name in registry.names() for v in registry.versions(name)]
        rows = [version_row(v) | {"features": v.manifest()["features"]} for v in versions]
        return ModelList.model_validate({"models": rows})

    @api.get("/api/ml/health")
    async def health() -> Health:
        """That the endpoint is up, and which version it serves by default."""
        return Health(status="ok", model_id=models.resolve().model_id)

    return api
