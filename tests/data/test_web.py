"""Files from a server, which sends what it likes."""

import base64
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data.sources import table_name
from errors import DataLoadError
from tests.data.typed import load_typed
from tests.serving.certificates import make_certificate

CSV = b"a,b\n1,x\n2,y\n"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        right = "Basic " + base64.b64encode(b"me:s3cr3t").decode()
        host = f"127.0.0.1:{self.server.server_port}"
        answers = {
            "/secret.csv": (200, CSV, {}) if self.headers.get("Authorization") == right else (401, b"", {}),
            "/there": (302, b"", {"Location": "/t.csv"}),
            "/elsewhere": (302, b"", {"Location": "https://localhost:1/x.csv?token=s3cr3t"}),
            "/plain": (302, b"", {"Location": f"http://{host}/t.csv"}),
            "/page.csv": (200, b"<!doctype html><html><body>Sign in, please</body></html>", {}),
            "/cut.csv": (200, CSV, {"Content-Length": "900"}),
        } | dict.fromkeys(("/t.csv", "/table", "/a%20b.csv"), (200, CSV, {}))
        status, body, headers = answers.get(path, (404, b"", {}))
        self.answer(status, body, **headers)

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def address(certificate, monkeypatch):
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def refused(source):
    with pytest.raises(DataLoadError) as caught:
        load_typed(source)
    assert "s3cr3t" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", ["/t.csv", "/table", "/t.csv?version=2", "/there", "/a b.csv"])
def test_a_table_is_read(address, path):
    assert load_typed(address + path).to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_a_password_is_sent_and_not_shown(address):
    with_password = address.replace("//", "//me:s3cr3t@")
    assert len(load_typed(f"{with_password}/secret.csv")) == 2
    assert "answers 404" in refused(f"{with_password}/gone.csv")
    assert "answers 401" in refused(address.replace("//", "//me:wrong@") + "/secret.csv")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/elsewhere", "the server sends to https://localhost:1/x.csv"),
        ("/plain", "the server sends to http://127.0.0.1"),
        ("/page.csv", "a web page (HTML)"),
        ("/cut.csv", "12 of 900 bytes came"),
        ("/gone.csv", "answers 404"),
    ],
)
def test_what_is_not_read_is_named(address, path, said):
    assert said in refused(address + path)


def test_too_much_is_refused(address, monkeypatch):
    monkeypatch.setattr("data.web.MOST_BYTES", 5)
    assert "12 bytes; allowed: 5" in refused(f"{address}/t.csv")


def test_who_is_not_known_is_not_trusted(address, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate" in refused(f"{address}/t.csv").lower()
    assert "use https://" in refused("http://127.0.0.1:1/t.csv")
    assert "cannot be read" in refused("https://127.0.0.1:1/t.csv")


def test_names():
    assert table_name("https://host/folder/churn.csv.gz?token=1") == "churn"
    assert table_name("tables.zip#deep/churn.csv") == "churn"
    assert table_name("book.xlsx#Sheet 2") == "book_Sheet 2"
    assert table_name("parts/part-*.parquet") == "part"
    assert table_name("churn/*.parquet") == "churn"
    assert table_name("-") == "stdin"
