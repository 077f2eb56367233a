"""The API's document: FastAPI's, with the prediction path, which FastAPI does not see, from its own types."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from msgspec import Struct

from ensembles.bundle import Bundle
from serving.paths import PREDICT
from serving.problems import MEDIA_TYPE
from serving.replies import ClassAnswer, ValueAnswer
from serving.requests import ARROW, PredictRequest, Rows
from serving.schema import Problem

ONE_OF = {"minProperties": 1, "maxProperties": 1}
REFUSALS = {
    401: "No token, or one that nobody has.",
    403: "The token's role does not allow this.",
    404: "No such model.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "A body of another type.",
    422: "What is wrong with the request, and where.",
    429: "Too much is waiting; Retry-After says when to come again.",
    500: "The model could not answer.",
    503: "The model is damaged.",
    504: "No answer in time.",
}


class ClassPredictions(Struct):
    """One answer per row, in the order of the request."""

    predictions: list[ClassAnswer]


class ValuePredictions(Struct):
    """One answer per row, in the order of the request."""

    predictions: list[ValueAnswer]


def document(api: FastAPI, bundle: Bundle) -> dict[str, Any]:
    """The OpenAPI document, with examples of the served model's own rows.

    Args:
        api: The application with all other routes.
        bundle: The model that is served.
    """
    found = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
    types = [PredictRequest, ClassPredictions, ValuePredictions]
    refs, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    components[Rows.__name__] |= ONE_OF
    components[Problem.__name__] = Problem.model_json_schema()
    request, classes, values = refs
    problem = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    found.setdefault("components", {}).setdefault("schemas", {}).update(components)
    _describe_refusals(found, problem)
    found["paths"][PREDICT] = {"post": _operation(bundle, request, [classes, values], problem)}
    if api.state.access.tokens:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _describe_refusals(found: dict[str, Any], problem: dict[str, Any]) -> None:
    """Every route answers what it refuses with a problem document, whatever the status."""
    content = {MEDIA_TYPE: {"schema": problem}}
    for operation in (o for path in found["paths"].values() for o in path.values()):
        responses = operation["responses"]
        for status, response in responses.items():
            if status[0] in "45":
                response["content"] = content
        responses["default"] = {"description": "Refused, or an error of the server.", "content": content}
    for unused in ("HTTPValidationError", "ValidationError"):
        found["components"]["schemas"].pop(unused, None)


def _operation(
    bundle: Bundle, request: dict[str, Any], replies: list[dict[str, Any]], problem: dict[str, Any]
) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    refusals = {
        str(status): {"description": text, "content": {MEDIA_TYPE: {"schema": problem}}}
        for status, text in REFUSALS.items()
    }
    return {
        "summary": "Predict rows",
        "operationId": "predict",
        "description": "Every answer names the model version that gave it.",
        "parameters": [
            _parameter("interval", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.9),
            _parameter("explain", {"type": "boolean"}, False),
            _parameter("class", {"type": "string"}, None),
            _parameter("draws", {"type": "boolean"}, False),
            _parameter("model_id", {"type": "string"}, None),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": request, "examples": _examples(bundle)},
                ARROW: binary,
            },
        },
        "responses": {
            "200": {
                "description": "One answer per row, in the order of the request.",
                "content": {"application/json": {"schema": {"anyOf": replies}}, ARROW: binary},
            },
            **refusals,
            "default": {
                "description": "An error of the server.",
                "content": {MEDIA_TYPE: {"schema": problem}},
            },
        },
    }


def _parameter(name: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    found = {"name": name, "in": "query", "required": False, "schema": schema}
    return found if example is None else {**found, "example": example}


def _examples(bundle: Bundle) -> dict[str, Any]:
    """A row that the model is known to answer, in each form."""
    record = bundle.golden["records"][0]
    row = {name: record[name] for name in bundle.encoder.column_names}
    forms = {
        "records": [row],
        "columns": {name: [value] for name, value in row.items()},
        "features": list(row.values()),
    }
    return {form: {"value": {"data": {form: value}}} for form, value in forms.items()}
