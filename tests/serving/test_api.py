"""The HTTP side against a real bundle, without Ray: what is refused, and how."""

import json

import pytest
from fastapi.testclient import TestClient

from configs.schema import ServingConfig
from serving.api import build_api
from serving.live import LiveModels


@pytest.fixture(scope="module")
def client(binary_job):
    models = LiveModels(binary_job.folder / "registry", "binary", ServingConfig())
    with TestClient(build_api(models, ServingConfig(max_rows=10, max_body_mb=0.1))) as client:
        yield client


@pytest.fixture(scope="module")
def record(binary_job):
    return json.loads((binary_job.bundle / "golden.json").read_text())["records"][0]


def post(client, body):
    return client.post("/api/ml/predict", json=body)


@pytest.mark.parametrize("model_id", [None, "binary", "binary:1", "binary@production", "production"])
def test_every_name_of_a_version(client, record, model_id):
    body = {"data": {"records": [record]}} | ({"model_id": model_id} if model_id else {})
    answer = post(client, body)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["model_id"] == "binary:1"


def test_one_row_of_features_several_rows_and_records_agree(client, record):
    names = client.get("/api/ml/models").json()["models"][0]["features"]
    values = [record[name] for name in names]
    one, two, named = (
        post(client, {"data": data}).json()["predictions"]
        for data in ({"features": values}, {"features": [values, values]}, {"records": [record]})
    )
    assert len(one) == 1
    assert len(two) == 2
    assert one[0]["probabilities"] == pytest.approx(named[0]["probabilities"])
    assert two[1]["probabilities"] == pytest.approx(named[0]["probabilities"], rel=1e-4)


def test_missing_cells_and_categories_never_seen_are_answered(client, record):
    body = {"data": {"records": [record | {"mean texture": None, "종류": "gigantic"}]}}
    assert post(client, body).status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "data: Field required"),
        ({"data": {}}, "either 'records' or 'features'"),
        ({"data": {"records": []}}, "data.records"),
        ({"data": {"records": [{}]}}, "row 0"),
        ({"data": {"records": [{"a": [1]}]}}, "data.records.0.a"),
        ({"data": {"records": "x"}}, "data.records"),
        ({"data": {"features": [1, 2]}}, "row 0"),
        ({"data": {"features": []}}, "data.features"),
        ({"data": {"features": [[1], 2]}}, "data.features"),
        ({"data": {"rows": [{}]}}, "data.rows"),
        ({"data": {"features": [1]}, "modelid": "x"}, "modelid"),
        ({"data": {"records": [{}] * 11}}, "11 rows; at most 10"),
    ],
)
def test_wrong_input_is_422_and_says_what_and_where(client, body, expected):
    answer = post(client, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert expected in answer.json()["detail"]


def test_a_wrong_value_names_row_column_and_value(client, record):
    answer = post(client, {"data": {"records": [record, record | {"mean radius": "wide"}]}})
    assert answer.status_code == 422
    for part in ("row 1", "mean radius", "wide"):
        assert part in answer.json()["detail"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1", b"\xff\xfe", b'"text"', b"null", b'{"data": {"records": [{"a": 1e999}]}}']
)
def test_what_is_not_a_request_is_422(client, content):
    answer = client.post("/api/ml/predict", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize("model_id", ["nobody", "binary:99", "binary@candidate", "../binary", ""])
def test_unknown_models_are_404(client, record, model_id):
    answer = post(client, {"data": {"records": [record]}, "model_id": model_id})
    assert answer.status_code == 404
    assert answer.json()["title"] == "Not Found"


def test_large_bodies_are_413_declared_or_not(client):
    assert client.post("/api/ml/predict", content=b"x" * 200_000).status_code == 413
    parts = (b"x" * 1000 for _ in range(200))
    assert client.post("/api/ml/predict", content=parts).status_code == 413


def test_unknown_paths_and_methods(client):
    assert client.get("/api/ml/nothing").status_code == 404
    assert client.get("/api/ml/predict").status_code == 405


def test_openapi_describes_the_refusals(client):
    operation = client.get("/openapi.json").json()["paths"]["/api/ml/predict"]["post"]
    assert {"200", "404", "413", "422"} <= set(operation["responses"])
