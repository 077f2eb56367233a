import socket
import sqlite3
import sys
import time

import numpy as np
import pandas as pd
import psycopg
import pytest

from data.sources import load_table
from data.sqltable import CONNECT_ARGS
from errors import DataLoadError
from tests.servers import PASSWORD, free_port

TABLE = """
CREATE SCHEMA IF NOT EXISTS raw;
DROP TABLE IF EXISTS raw."Odd Names", loans CASCADE;
CREATE TABLE loans (id bigint, rate numeric(6, 2), n integer, ok boolean, day date, at timestamptz, name text,
    whole numeric, uid uuid, clock time, share real, big bigint);
INSERT INTO loans VALUES
    (1, 1.25, 10, true, '2024-01-31', '2024-01-31 10:00+00', '가', 7, gen_random_uuid(), '10:00', 0.5, 1),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, 8, NULL, NULL, NULL, 2),
    (3, 3.5, 30, false, '1900-02-28', '2024-02-28 10:00+09', 'it''s 100%', 9, gen_random_uuid(), '11:30', 0.25, 3);
CREATE VIEW good AS SELECT id, ok FROM loans WHERE ok;
CREATE TABLE raw."Odd Names" ("A b" integer);
INSERT INTO raw."Odd Names" VALUES (5);
CREATE TABLE IF NOT EXISTS nothing (a integer);
"""


@pytest.fixture(scope="module")
def url(postgres):
    with psycopg.connect(f"postgresql://tester:{PASSWORD}@{postgres}/postgres") as connection:
        connection.execute(TABLE)
    return f"sql:postgresql://tester@{postgres}/postgres"


@pytest.fixture
def password(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)


def refused(source):
    with pytest.raises(DataLoadError) as caught:
        load_table(source)
    message = str(caught.value)
    assert PASSWORD not in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("wanted", ["loans", "public.loans", "SELECT * FROM loans ORDER BY id"])
def test_types_of_postgresql(url, password, wanted):
    frame = load_table(f"{url}#{wanted}")
    assert frame["id"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(frame["rate"], [1.25, np.nan, 3.5])
    np.testing.assert_array_equal(frame["n"], [10, np.nan, 30])
    assert frame["whole"].dtype == "int64"  # NUMERIC without places
    assert frame["rate"].dtype == frame["n"].dtype == "float64"
    assert frame["ok"].tolist() == [True, None, False]
    assert frame["day"].tolist()[::2] == [pd.Timestamp(1900 + 124, 1, 31), pd.Timestamp(1900, 2, 28)]
    assert frame["at"].tolist()[2] == pd.Timestamp("2024-02-28 01:00", tz="UTC")
    assert frame["name"].tolist()[::2] == ["가", "it's 100%"]
    assert frame["clock"].tolist()[::2] == ["10:00:00", "11:30:00"]
    assert len(frame["uid"][0]) == 36
    assert frame.loc[1, ["rate", "n", "ok", "day", "at", "name", "uid", "clock", "share"]].isna().all()


def test_a_column_without_missing_values_keeps_its_type(url, password):
    frame = load_table(f"{url}#SELECT id, id::numeric AS number, ok FROM loans WHERE ok IS NOT NULL")
    assert frame.dtypes.tolist() == [np.dtype("int64"), np.dtype("int64"), np.dtype("bool")]


def test_views_schemas_and_quoted_names(url, password):
    assert load_table(f"{url}#good").to_dict("list") == {"id": [1], "ok": [True]}
    assert load_table(f'{url}#SELECT * FROM raw."Odd Names"').to_dict("list") == {"A b": [5]}


def test_percent_signs_colons_and_comments_are_the_query_s(url, password):
    query = "SELECT id, '12:30 :x' AS t FROM loans WHERE name LIKE '%100\\%%' -- 5% :y"
    assert load_table(f"{url}#{query}").to_dict("list") == {"id": [3], "t": ["12:30 :x"]}


def test_a_password_in_the_url(url):
    assert len(load_table(f"{url.replace('tester', f'tester:{PASSWORD}')}#loans")) == 3
    short = url.replace("tester", f"tester:{PASSWORD}").replace("postgresql:", "postgres:")
    assert len(load_table(f"{short}#loans")) == 3
    message = refused(f"{url.replace('tester', f'tester:{PASSWORD}x')}#loans")
    assert "password authentication failed" in message
    assert "tester:***@" in message


@pytest.mark.parametrize(
    "query", ["DELETE FROM loans", "DELETE FROM loans RETURNING id", "DROP TABLE loans CASCADE"]
)
def test_nothing_is_changed(url, password, query):
    assert "read-only transaction" in refused(f"{url}#{query}")
    assert len(load_table(f"{url}#loans")) == 3


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("laons", "no such table (did you mean 'loans'?)"),
        ("LOANS", "no such table (did you mean 'loans'?)"),
        ("raw.loans", "no such table"),
        ("nowhere.loans", "no such table"),
        ("nothing", "no rows; columns: 'a'"),
        ("SELEC * FROM loans", 'syntax error at or near "SELEC"'),
        ("SELECT * FROM laons", 'relation "laons" does not exist'),
        ("SELECT id, id FROM loans", "more than once there: 'id'"),
        ("SELECT 1/0 AS a", "division by zero"),
        ("SET x.y TO 1", "the query returns no rows"),
        ("SELECT 'infinity'::date AS a", "date too large"),
        ("", "no table or query; expected sql:"),
    ],
)
def test_what_the_database_does_not_have(url, password, wanted, expected):
    assert expected in refused(f"{url}#{wanted}")


def test_unreachable():
    began = time.monotonic()
    assert "refused" in refused(f"sql:postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/db#t")
    assert time.monotonic() - began < 10


def test_a_server_that_never_answers(monkeypatch):
    monkeypatch.setitem(CONNECT_ARGS, "postgresql", {"connect_timeout": 2})
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        assert "timeout" in refused(f"sql:postgresql://u@127.0.0.1:{silent.getsockname()[1]}/db#t")
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"sql:postgresql://u:{PASSWORD}#x@host/db#t", "%40"),
        (f"sql:postgresql//u:{PASSWORD}@host/db#t", "not a database URL"),
        ("sql:loans", "not a database URL"),
        ("sql:", "not a database URL"),
        ("sql:oraclle://host/db#t", "unknown database 'oraclle'"),
        ("sql:mysql://host/db#t", "the driver 'MySQLdb' is not installed"),
        ("sql:sqlite:///gone.db#t", "no such file 'gone.db'"),
        ("sql:postgresql://host/db", "no table or query"),
    ],
)
def test_bad_urls(source, expected):
    assert expected in refused(source)


def test_without_the_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert 'pip install "psycopg[binary]>=3.2"' in refused("sql:postgresql://host/db#t")


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "my bank?.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE loans (a INTEGER, b REAL, c TEXT)")
        connection.executemany("INSERT INTO loans VALUES (?, ?, ?)", [(1, 0.5, "x"), (None, None, None)])
    connection.close()
    return f"sql:sqlite:///{str(path).replace('?', '%3F')}"


def test_sqlite(sqlite):
    frame = load_table(f"{sqlite}#loans")
    assert frame["a"].tolist()[0] == 1
    assert frame.iloc[1].isna().all()
    assert load_table(f"{sqlite}#SELECT c, count(*) AS n FROM loans GROUP BY c ORDER BY c").shape == (2, 2)
    assert "did you mean 'loans'?" in refused(f"{sqlite}#loan")
    assert "readonly database" in refused(f"{sqlite}#DELETE FROM loans")
    assert "syntax error" in refused(f"{sqlite}#SELECT FROM WHERE")


def test_a_file_that_is_no_sqlite_database(tmp_path):
    (tmp_path / "bank.db").write_text("a,b\n1,2\n" * 200)
    assert "file is not a database" in refused(f"sql:sqlite:///{tmp_path}/bank.db#t")
    assert "did you mean 'bank.db'?" in refused(f"sql:sqlite:///{tmp_path}/bnak.db#t")
    assert not (tmp_path / "bnak.db").exists()
