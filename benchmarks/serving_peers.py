"""The same bundle behind other servers, as their own documentation has it; benchmarks/serving.py starts these.

python serving_peers.py fastapi|litserve|bentoml|rayserve BUNDLE PORT
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ensembles.answers import answer_rows
from ensembles.bundle import load_bundle

WHO, BUNDLE, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
PATH = "/api/ml/predict"


if WHO == "litserve":  # its workers import this file anew, and look for the class here
    import litserve as ls

    class Api(ls.LitAPI):
        """Answers as ours does."""

        def setup(self, device: str) -> None:
            """Load the model."""
            self.bundle = load_bundle(BUNDLE)

        def decode_request(self, request):
            """Find the rows."""
            return request["data"]["records"]

        def predict(self, records: Any) -> Any:
            """Predict them."""
            return answer(self.bundle, records)

        def encode_response(self, output: Any) -> Any:
            """Pass the answer on."""
            return output


def answer(bundle: Any, records: list[dict[str, Any]]) -> dict[str, Any]:
    """What ours answers."""
    answers = answer_rows(bundle, bundle.predict(records))
    return {"predictions": [{"model_id": "m:1", **row} for row in answers]}


def fastapi() -> None:
    """FastAPI on one uvicorn worker, with a typed request."""
    import uvicorn

    uvicorn.run(_application(), port=PORT, log_level="warning", access_log=False)


def _application() -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Rows(BaseModel):
        records: list[dict[str, bool | int | float | str | None]]

    class Request(BaseModel):
        data: Rows

    Request.model_rebuild(_types_namespace={"Rows": Rows})
    application = FastAPI()
    bundle = load_bundle(BUNDLE)

    async def predict(request: Any) -> dict[str, Any]:
        return answer(bundle, request.data.records)

    predict.__annotations__ = {"request": Request, "return": dict[str, Any]}
    application.post(PATH)(predict)
    return application


def litserve() -> None:
    """LitServe with one worker on the CPU."""
    server = ls.LitServer(Api(api_path=PATH), accelerator="cpu", workers_per_device=1)
    server.run(port=PORT, generate_client_file=False, log_level="warning", num_api_servers=1)


def bentoml() -> None:
    """A BentoML service with one worker."""
    os.environ |= {"BENTOML_DO_NOT_TRACK": "1", "PEER_BUNDLE": BUNDLE}
    os.execv(  # noqa: S606 - the benchmark's own arguments
        os.path.join(os.path.dirname(sys.executable), "bentoml"),
        [
            "bentoml",
            "serve",
            "serving_bento:Peer",
            "--port",
            str(PORT),
            "--api-workers",
            "1",
            "--host",
            "127.0.0.1",
        ],
    )


def rayserve() -> None:
    """Ray Serve with its default settings and the same FastAPI application's code."""
    import threading

    import ray
    from ray import serve

    @serve.deployment(ray_actor_options={"num_cpus": 1})
    @serve.ingress()
    class Peer:
        def __serve_build_asgi_app__(self) -> Any:
            return _application()

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Peer.bind())
    threading.Event().wait()


if __name__ == "__main__":
    {"fastapi": fastapi, "litserve": litserve, "bentoml": bentoml, "rayserve": rayserve}[WHO]()
