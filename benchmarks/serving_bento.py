"""The BentoML service that benchmarks/serving_peers.py starts."""

import os
from typing import Any

import bentoml

from ensembles.answers import answer_rows
from ensembles.bundle import load_bundle


@bentoml.service(workers=1)
class Peer:
    """Answers as ours does."""

    def __init__(self) -> None:
        self.bundle = load_bundle(os.environ["PEER_BUNDLE"])

    @bentoml.api(route="/api/ml/predict")
    def predict(self, data: dict[str, Any]) -> dict[str, Any]:
        """Predict records."""
        answers = answer_rows(self.bundle, self.bundle.predict(data["records"]))
        return {"predictions": [{"model_id": "m:1", **row} for row in answers]}
