"""What does not answer has an exit code of its own; what answers and refuses has not."""

import socket
import threading
from contextlib import suppress

import pandas as pd
import pytest

from cli import main
from data.reach import is_unreachable
from errors import DataLoadError, SourceUnreachableError, UnreachableError
from serving.problems import status_of
from tests.servers import free_port
from tests.tuning import tracked_runs


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def ends(tmp_path, monkeypatch, capsys):
    """Run a command; returns its exit code and what it said, which is one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    frame = pd.DataFrame({"a": range(60), "y": [i % 2 for i in range(60)]})
    frame.to_csv(tmp_path / "t.csv", index=False)

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return end.value.code, said

    return run


SOURCES = {
    "database": "sql:postgresql://me@127.0.0.1:{}/db#t",
    "Redis": "redis://127.0.0.1:{}/0?key=t",
    "object store": "s3://bucket/t.csv?endpoint_override=http://127.0.0.1:{}&region=us-east-1",
    "web": "https://127.0.0.1:{}/t.csv",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_table_behind_a_server_that_is_not_there(ends, port, kind):
    code, said = ends("tune", f"data.source={SOURCES[kind].format(port)}", "data.target=y")
    assert (code, said.partition(":")[0]) == (11, "SourceUnreachableError")


@pytest.mark.parametrize(
    "arguments",
    [
        ["tune", "data.source=t.csv", "data.target=y", "cluster.address=127.0.0.1:{}"],
        ["submit", "data.source=t.csv", "data.target=y", "--address", "http://127.0.0.1:{}"],
        ["jobs", "logs", "some-job", "--address", "http://127.0.0.1:{}"],
        ["jobs", "cancel", "some-job", "--address", "http://127.0.0.1:{}"],
        ["models", "--registry", "s3://bucket/models?endpoint_override=http://127.0.0.1:{}&region=us-east-1"],
    ],
)
def test_a_cluster_or_a_registry_that_is_not_there(ends, port, arguments):
    code, said = ends(*(part.format(port) for part in arguments))
    assert code == 11, said
    assert "UnreachableError" in said


def test_mlflow_that_is_not_there(ends, port, tmp_path):
    run = tracked_runs.make_run(tmp_path, "tracking=mlflow", "tracking.mode=auto")
    for uri in (f"http://127.0.0.1:{port}", f"postgresql://me:secret@127.0.0.1:{port}/mlflow"):
        code, said = ends("track", run.path, f"tracking.uri={uri}")
        assert code == 11, said
        assert "cannot be reached" in said
        assert "secret" not in said


def test_who_refuses_has_answered(ends):
    """A database or Redis that speaks another language, and a server whose certificate nobody knows."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with suppress(OSError):  # the test is over, and its server closed
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(1000)
                        client.sendall(b"-ERR who are you\r\n")

        threading.Thread(target=answer, daemon=True).start()
        where = SOURCES["Redis"].format(server.getsockname()[1])
        assert ends("tune", f"data.source={where}", "data.target=y")[0] == 3


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("connection to server at 127.0.0.1, port 1 failed: Connection refused", True),
        ('could not translate host name "db" to address: Name or service not known', True),
        (
            "AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 7, Couldn't connect to server",
            True,
        ),
        ("google::cloud::Status(UNAVAILABLE: Retry policy exhausted", True),
        ("HTTPConnectionPool(host='h', port=1): Max retries exceeded with url: /api", True),
        ("no answer within 10 s", True),
        ('connection failed: FATAL: password authentication failed for user "me"', False),
        ('FATAL: database "x" does not exist', False),
        ("AWS Error ACCESS_DENIED during ListObjectsV2 operation: Access Denied", False),
        ("certificate verify failed: self-signed certificate", False),
        ("API key must be 40 characters long", False),
    ],
)
def test_what_says_that_nobody_was_there(text, absent):
    assert is_unreachable(text) is absent


def test_who_catches_an_unreadable_source_catches_an_absent_one():
    assert issubclass(SourceUnreachableError, DataLoadError)
    assert SourceUnreachableError.exit_code == UnreachableError.exit_code == 11
    assert status_of(SourceUnreachableError("x")) == status_of(DataLoadError("x"))
