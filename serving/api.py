"""The HTTP side of the endpoint: its routes, and what they refuse."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from configs.schema import ServingConfig
from ensembles.answers import answer_rows
from errors import DataError, TabularayError
from serving.limits import BodyLimit, add_error_answers
from serving.live import LiveModels
from serving.loading import Loaded
from serving.routes_models import models_routes
from serving.routes_training import training_routes
from serving.schema import Health, PredictRequest, PredictResponse, Problem
from serving.training import TrainingService

DESCRIPTION = "Predictions of an ensemble for tables, each with its uncertainty."
REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such model."},
    413: {"model": Problem, "description": "The body is too large."},
    422: {"model": Problem, "description": "What is wrong with the request, and where."},
}


def build_api(models: LiveModels, config: ServingConfig, training: TrainingService | None = None) -> FastAPI:
    """Build the application.

    Args:
        models: The models it answers with.
        config: Its limits.
        training: Takes training tasks.
        registry: Where models are registered.
    """
    api = FastAPI(title="tabularay", description=DESCRIPTION, version="0.1.0")
    api.add_middleware(BodyLimit, max_bytes=int(config.max_body_mb * 1e6))
    add_error_answers(api)
    api.include_router(models_routes(models, config))
    if training is not None:
        api.include_router(training_routes(training, config))

    def answer(loaded: Loaded, rows: list[Any]) -> PredictResponse:
        X = loaded.bundle.encode(rows)
        prediction = loaded.bundle.predict_encoded(X)
        answers = answer_rows(loaded.bundle, prediction)
        models.observe(loaded, X, prediction.mean, rows)
        return PredictResponse.model_validate(
            {"predictions": [{"model_id": loaded.model_id, **answer} for answer in answers]}
        )

    @api.post("/api/ml/predict", responses=REFUSALS)
    async def predict(request: PredictRequest) -> PredictResponse:
        """Predict rows. Every answer names the model version that gave it."""
        rows = request.data.rows()
        if len(rows) > config.max_rows:
            raise DataError(f"data: {len(rows)} rows; at most {config.max_rows} in one request")
        if request.model_id is not None:
            loaded = models.find(request.model_id) or await models.load(request.model_id)
            return answer(loaded, rows)
        loaded = models.pick()
        try:
            return answer(loaded, rows)
        except TabularayError as error:
            if loaded is models.served:
                raise
            served = answer(models.served, rows)  # raises where the rows are at fault, not the candidate
            models.failed(loaded, error)
            return served

    @api.get("/api/ml/health")
    async def health() -> Health:
        """That the endpoint is up, and which version it serves by default."""
        return Health(status="ok", model_id=models.served.model_id)

    return api
