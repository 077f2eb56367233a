"""/docs and /redoc load nothing that the service does not have itself."""

import re
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from configs.schema import ServingConfig
from serving.docs_pages import ASSETS
from tests.serving.front import serve_job

NAMED = re.compile(r"""(?:src|href|spec-url|url)\s*[=:]\s*["']([^"']+)["']""")
PAGES = {"docs": {"swagger-ui-bundle.js", "swagger-ui.css"}, "redoc": {"redoc.standalone.js"}}


@pytest.fixture(scope="module")
def client(binary_job, tmp_path_factory):
    front = serve_job(binary_job, tmp_path_factory.mktemp("served"), ServingConfig())
    with TestClient(front, base_url="http://service") as client:
        yield client


@pytest.mark.parametrize("page", PAGES)
def test_a_page_and_all_that_it_names_come_from_the_service(client, page):
    answer = client.get(f"/{page}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.findall(r"https?:|//[a-z]", re.sub(r"<!--.*?-->", "", answer.text, flags=re.DOTALL))
    named = set(NAMED.findall(answer.text)) - {"#"}
    assert {name.rpartition("/")[2] for name in named} == PAGES[page] | {"favicon.png", "openapi.json"}
    for name in named:
        found = client.get(urljoin(f"http://service/{page}", name))
        assert found.status_code == 200, name
        assert len(found.content) > 500


@pytest.mark.parametrize("page", PAGES)
def test_the_browser_may_load_nothing_from_elsewhere(client, page):
    policy = client.get(f"/{page}").headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
    assert "*" not in policy


def test_names_are_relative_so_that_a_proxy_may_move_the_service(client):
    assert not re.search(r"""["']/(docs|openapi)""", client.get("/docs").text)


@pytest.mark.parametrize("name", ASSETS)
def test_files_are_what_they_are_called(client, name):
    answer = client.get(f"/docs/assets/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == ASSETS[name]
    assert client.post(f"/docs/assets/{name}").status_code == 405


@pytest.mark.parametrize("name", ["swagger-ui.js", "..%2F__init__.py", "../consts.py", "."])
def test_no_other_file_is_served(client, name):
    assert client.get(f"/docs/assets/{name}").status_code == 404


def test_stylesheets_name_nothing_elsewhere(client):
    text = client.get("/docs/assets/swagger-ui.css").text
    assert not re.findall(r"url\(\s*[\"']?(?:https?:)?//", text)
    assert "@import" not in text


def test_the_pages_are_not_in_the_document(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert "/api/ml/predict" in paths
    assert not [path for path in paths if "docs" in path]
