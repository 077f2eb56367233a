import json
import socket
import sys
import time

import pytest
import redis

from data.sources import load_table, table_name
from errors import DataLoadError
from tests.servers import PASSWORD, free_port

RECORDS = [{"이름": "가", "n": 1, "x": 0.5, "ok": True}, {"이름": "나", "n": 2, "x": None, "ok": False}]
COLUMNS = {name: [record[name] for record in RECORDS] for name in RECORDS[0]}


@pytest.fixture
def client(redis_url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        client.set("loans", json.dumps(RECORDS))
        yield client


def refused(source):
    with pytest.raises(DataLoadError) as caught:
        load_table(source)
    message = str(caught.value)
    assert PASSWORD not in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("content", [RECORDS, COLUMNS], ids=["records", "columns"])
@pytest.mark.parametrize("key", ["loans", "loans:2024", "대출 표"])
def test_json_under_a_key(client, content, key):
    client.set(key, json.dumps(content, ensure_ascii=False))
    frame = load_table(f"redis:{key}")
    assert frame.columns.tolist() == ["이름", "n", "x", "ok"]
    assert frame["이름"].tolist() == ["가", "나"]
    assert frame["n"].dtype == "int64"
    assert frame["x"].isna().tolist() == [False, True]
    assert frame["ok"].tolist() == [True, False]


def test_url_with_database_key_and_password(client, redis_url, monkeypatch):
    monkeypatch.delenv("REDIS_URL")
    client.select(3)
    client.set("a b", json.dumps(RECORDS))
    host = redis_url.removeprefix("redis://").removesuffix("/0")
    assert len(load_table(f"redis://reader:{PASSWORD}@{host}/3?key=a%20b")) == 2
    assert len(load_table(f"redis://{host}/3?key=a%20b&password={PASSWORD}&username=reader")) == 2
    assert "no such key" in refused(f"redis://reader:{PASSWORD}@{host}/0?key=a%20b")
    message = refused(f"redis://reader:wrong@{host}/0?key=loans")
    assert message.startswith("redis://reader:***@")
    assert "invalid username-password pair" in message


def test_no_such_key_names_the_nearest(client):
    assert "redis:laons: no such key (did you mean 'loans'?)" in refused("redis:laons")


def test_a_key_that_is_no_string(client):
    client.hset("table", "a", 1)
    assert "the key holds a hash; allowed: a string with JSON in it" in refused("redis:table")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", "empty value"),
        (b"a,b\n1,2\n", "not JSON"),
        (b"\xff\xfe", "not JSON: byte 0xff at offset 0 is not UTF-8"),
        (b"3", "not a table: 3"),
        (b"[]", "no rows"),
        (b'{"a": [1], "b": [1, 2]}', "differ in length"),
    ],
)
def test_a_value_that_is_no_table(client, value, expected):
    client.set("value", value)
    assert expected in refused("redis:value")


def test_unreachable(monkeypatch):
    began = time.monotonic()
    url = f"redis://reader:{PASSWORD}@127.0.0.1:{free_port()}/0"
    assert "Connection refused" in refused(f"{url}?key=a")
    monkeypatch.setenv("REDIS_URL", url)
    assert "Connection refused" in refused("redis:a")
    assert time.monotonic() - began < 10


def test_a_server_that_never_answers(monkeypatch):
    monkeypatch.setattr("data.rediskey.TIMEOUT_S", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        assert "imeout" in refused(f"redis://127.0.0.1:{silent.getsockname()[1]}/0?key=a")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("redis:", "no key; expected redis:KEY"),
        ("redis://localhost:6379/0", "no key; expected redis:KEY"),
        ("redis://localhost:port/0?key=a", "not a Redis URL"),
        ("redis://[localhost/0?key=a", "not a Redis URL"),
    ],
)
def test_bad_urls(source, expected):
    assert expected in refused(source)


def test_bad_url_in_the_environment(monkeypatch):
    monkeypatch.setenv("REDIS_URL", f"http://:{PASSWORD}@localhost:6379")
    assert "not a Redis URL" in refused("redis:a")


def test_without_the_driver(monkeypatch):
    monkeypatch.delitem(sys.modules, "data.rediskey")
    monkeypatch.setitem(sys.modules, "redis", None)
    assert 'redis is not installed: pip install "redis>=6"' in refused("redis:a")


def test_name():
    assert table_name("redis:loans") == table_name("redis://h:1/0?key=loans") == "loans"
