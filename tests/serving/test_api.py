"""The HTTP side against a real bundle, without Ray: what is refused, and how."""

import json
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from configs.schema import ServingConfig
from tests.serving.front import serve_job


@pytest.fixture(scope="module")
def client(binary_job, tmp_path_factory):
    front = serve_job(
        binary_job, tmp_path_factory.mktemp("served"), ServingConfig(max_rows=10, max_body_mb=0.1)
    )
    with TestClient(front) as client:
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
        ({}, "missing required field `data`"),
        ({"data": {}}, "either 'records', 'columns' or 'features'"),
        ({"data": {"records": []}}, "data.records"),
        ({"data": {"records": [{}]}}, "row 0"),
        ({"data": {"records": [{"b": 1, "a": [1]}]}}, "data.records[0].a"),
        ({"data": {"records": "x"}}, "data.records"),
        ({"data": {"features": [1, 2]}}, "row 0"),
        ({"data": {"features": []}}, "data.features"),
        ({"data": {"features": [[1], 2]}}, "data.features"),
        ({"data": {"rows": [{}]}}, "unknown field `rows`"),
        ({"data": {"features": [1]}, "modelid": "x"}, "modelid"),
        ({"data": {"columns": {"a": [1, 2], "b": [1]}}}, "lengths differ"),
        ({"data": {"columns": {"a": [1, {}]}}}, "data.columns.a[1]"),
        ({"data": {"columns": {}}}, "no rows"),
        ({"data": {"records": [{"a": 1}], "features": [1]}}, "got records and features"),
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


def test_openapi_describes_the_refusals_and_its_examples_are_answered(client):
    operation = client.get("/openapi.json").json()["paths"]["/api/ml/predict"]["post"]
    assert {"200", "401", "404", "413", "415", "422", "429"} <= set(operation["responses"])
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    answers = [post(client, example["value"]).json()["predictions"] for example in examples.values()]
    assert len(answers) == 3
    assert answers[0] == answers[1] == answers[2]


def test_a_name_twice_is_refused_wherever_it_stands(client):
    for content in (
        b'{"data": {"records": [{"a": 1, "a": 2}]}}',
        b'{"data": {"features": [1]}, "data": {"features": [1]}}',
    ):
        answer = client.post("/api/ml/predict", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert "twice" in answer.json()["detail"]


def test_times_of_day_in_values_are_no_names(client, record):
    assert post(client, {"data": {"records": [record | {"종류": "12:30:05"}]}}).status_code == 200


def test_interval_explanation_and_draws(client, record):
    body = {"data": {"records": [record]}}
    answer = client.post("/api/ml/predict?interval=0.9&explain=true&draws=true", json=body).json()[
        "predictions"
    ][0]
    plain = post(client, body).json()["predictions"][0]
    assert {name: answer[name] for name in plain} == plain
    assert answer["level"] == 0.9
    assert set(answer["prediction_set"]) <= set(plain["probabilities"])
    positive = list(plain["probabilities"])[-1]
    assert answer["explained_class"] == positive
    assert answer["base"] + sum(answer["contributions"].values()) == pytest.approx(
        answer["probabilities"][positive], abs=1e-5
    )
    assert 0 < answer["contribution_error"] < 0.3
    assert set(answer["contributions"]) == set(record)
    assert all(sum(draw) == pytest.approx(1, abs=1e-5) for draw in answer["draws"])


def test_the_class_that_is_named_is_explained_for_every_row(client, record):
    names = list(post(client, {"data": {"records": [record]}}).json()["predictions"][0]["probabilities"])
    for name in names:
        answers = client.post(
            f"/api/ml/predict?explain=true&class={quote(name)}", json={"data": {"records": [record] * 2}}
        ).json()["predictions"]
        assert [answer["explained_class"] for answer in answers] == [name] * 2
        total = answers[0]["base"] + sum(answers[0]["contributions"].values())
        assert total == pytest.approx(answers[0]["probabilities"][name], abs=1e-5)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("explain=true&class=worst", "class 'worst': not one of the model's; allowed: "),
        ("class=worst", "needs explain=true"),
        ("interval=1.5", "between 0 and 1"),
        ("interval=nan", "between 0 and 1"),
        ("interval=0.9999999999999999", "allow at most"),
        ("explain=perhaps", "true or false"),
        ("level=0.9", "unknown name 'level'"),
        ("draws=1&draws=1", "twice"),
        ("interval", "query"),
        ("%ff=1", "query"),
    ],
)
def test_wrong_queries_are_422(client, record, query, expected):
    answer = client.post(f"/api/ml/predict?{query}", json={"data": {"records": [record]}})
    assert answer.status_code == 422
    assert expected in answer.json()["detail"]


def test_arrow_in_and_out_is_as_json(client, record):
    import pyarrow as pa

    table = pa.Table.from_pylist([record, record])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    kind = "application/vnd.apache.arrow.stream"
    answer = client.post(
        "/api/ml/predict?model_id=binary:1",
        content=sink.getvalue().to_pybytes(),
        headers={"Content-Type": kind, "Accept": kind},
    )
    assert answer.headers["content-type"] == kind
    rows = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    assert rows == post(client, {"data": {"records": [record, record]}}).json()["predictions"]


def test_bodies_of_other_types_are_415_and_broken_arrow_422(client):
    answer = client.post("/api/ml/predict", content=b"a=1", headers={"Content-Type": "text/csv"})
    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type_error"
    kind = {"Content-Type": "application/vnd.apache.arrow.stream"}
    for content in (b"", b"x" * 1000, b"\xff\xff\xff\xff\x00\x01\x00\x00" * 10):
        assert client.post("/api/ml/predict", content=content, headers=kind).status_code == 422


def test_ids_codes_and_the_name_of_the_version(client, record):
    answer = client.post(
        "/api/ml/predict", json={"data": {"records": [record]}}, headers={"x-request-id": "mine-1"}
    )
    assert answer.headers["x-request-id"] == "mine-1"
    refused = client.post("/api/ml/predict", json={}, headers={"x-request-id": "a b\tc"})
    assert refused.headers["x-request-id"] == refused.json()["request_id"] != "a b\tc"
    assert refused.json()["code"] == "data_error"
    assert client.get("/api/ml/nothing").json()["code"] == "not_found"


def test_large_requests_are_answered_in_order(binary_job, tmp_path, record):
    with TestClient(serve_job(binary_job, tmp_path, ServingConfig())) as client:
        rows = [record | {"mean radius": 8 + i / 100} for i in range(1500)]
        many = post(client, {"data": {"records": rows}}).json()["predictions"]
        some = [0, 1, 255, 256, 700, 1499]
        for i in some:
            one = post(client, {"data": {"records": [rows[i]]}}).json()["predictions"][0]
            assert many[i]["probabilities"] == pytest.approx(one["probabilities"], rel=1e-4)


def test_answers_are_as_the_document_has_them(client, record):
    import msgspec

    from serving.openapi import ClassPredictions

    for query in ("", "?interval=0.9&explain=true&draws=true"):
        content = client.post(f"/api/ml/predict{query}", json={"data": {"records": [record]}}).content
        answer = msgspec.json.decode(content, type=ClassPredictions).predictions[0]
        assert json.loads(msgspec.json.encode({"predictions": [answer]})) == json.loads(content)
