"""A table of a database, or what a query returns; only ever read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from numbers import Number
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import URL, Connection, Engine, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from configs.sources import mask_secrets
from data.exact import decimal_series, exact_series
from data.messages import did_you_mean
from data.names import check_names
from data.reach import is_unreachable
from errors import DataLoadError, SourceUnreachableError

EXAMPLE = "sql:postgresql://user@host/db#schema.table or '...#SELECT ...'"
TIMEOUT_S = 5
CONNECT_ARGS = {backend: {"connect_timeout": TIMEOUT_S} for backend in ("postgresql", "mysql", "mariadb")}
INSTALL = {"postgresql": 'pip install "psycopg[binary]>=3.2"'}
# What a cell can be as it is; the rest (UUID, time, network addresses) becomes text.
CELLS = (str, Number, date, timedelta, list, dict, bytes, memoryview)


def load_sql(source: str) -> pd.DataFrame:
    """Read a table or a query's result in a transaction that is rolled back.

    Args:
        source: `sql:URL#TABLE`, `sql:URL#SCHEMA.TABLE` or `sql:URL#QUERY`. URL is SQLAlchemy's; what holds
            white space is a query.

    Returns: NUMERIC as numbers, NULL as missing, dates as dates. Rows come as the database gives them: ORDER BY in
        a query makes their order, and so the folds, the same each time.

    Raises:
        SourceUnreachableError: no connection.
        DataLoadError: not a URL, no driver, no such table, or a query that the database refuses.
    """
    where = mask_secrets(source)
    url, wanted = _split(source.partition(":")[2], where)
    engine = _engine(url, where)
    connected = False
    try:
        with engine.connect() as connection:  # closing it without a commit rolls back
            connected = True
            query = wanted if len(wanted.split()) > 1 else _select_all(connection, wanted, where)
            result = connection.exec_driver_sql(query)
            if not result.returns_rows:
                raise DataLoadError(f"{where}: the query returns no rows; expected SELECT ...")
            names, rows = list(result.keys()), result.fetchall()
    except DBAPIError as error:
        absent = error.connection_invalidated or (not connected and is_unreachable(str(error.orig)))
        kind = SourceUnreachableError if absent else DataLoadError
        raise kind(f"{where}: {_reason(error)}") from None
    check_names(where, names)
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return pd.DataFrame({name: _column(column) for name, column in zip(names, columns, strict=True)})


def _split(rest: str, where: str) -> tuple[URL, str]:
    text, _, wanted = rest.partition("#")
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):  # their texts quote the URL, password included
        raise DataLoadError(
            f"{where}: not a database URL; expected {EXAMPLE}, with @ : / # ? % in a password written as %40 etc."
        ) from None
    if not wanted.strip():
        raise DataLoadError(f"{where}: no table or query; expected {EXAMPLE}")
    return url, wanted.strip()


def _engine(url: URL, where: str) -> Engine:
    backend = url.get_backend_name()
    arguments: dict[str, Any] = {"connect_args": CONNECT_ARGS.get(backend, {})}
    if backend == "sqlite":
        arguments = {"creator": lambda: _open_sqlite(url, where)}
    try:
        return create_engine(url, poolclass=NullPool, execution_options=_options(backend), **arguments)
    except NoSuchModuleError:
        raise DataLoadError(
            f"{where}: unknown database {url.drivername!r}; for example postgresql, mysql+pymysql, sqlite"
        ) from None
    except ModuleNotFoundError as error:
        install = INSTALL.get(backend, "install it with pip, or name another: mysql+pymysql://...")
        raise DataLoadError(f"{where}: the driver {error.name!r} is not installed: {install}") from None


def _options(backend: str) -> dict[str, Any]:
    """Without parameters, % in a query is only a percent sign."""
    return {"no_parameters": True, **({"postgresql_readonly": True} if backend == "postgresql" else {})}


def _open_sqlite(url: URL, where: str) -> sqlite3.Connection:
    path = Path(url.database or "")
    if not path.is_file():
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataLoadError(f"{where}: no such file {str(path)!r}{did_you_mean(path.name, siblings)}")
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_S)


def _select_all(connection: Connection, table: str, where: str) -> str:
    """The query that reads a whole table or view."""
    schema, _, name = table.rpartition(".")
    inspector = inspect(connection)
    if not inspector.has_table(name, schema or None):
        there = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
        raise DataLoadError(f"{where}: no such table{did_you_mean(name, there)}")
    quote = connection.dialect.identifier_preparer.quote_identifier
    full = ".".join(quote(part) for part in (schema, name) if part)
    return f"SELECT * FROM {full}"  # noqa: S608 - quoted by the dialect


def _column(values: Sequence[Any]) -> pd.Series:
    series = exact_series(values)
    kinds = set(map(type, series.dropna())) if series.dtype == object else set()
    if Decimal in kinds and all(issubclass(kind, Number) for kind in kinds):
        return _numbers(values)
    if kinds and kinds <= {date, datetime}:
        return pd.to_datetime(series)
    if any(not issubclass(kind, CELLS) for kind in kinds):
        return series.map(str, na_action="ignore")
    return series


def _numbers(values: Sequence[Any]) -> pd.Series:
    """NUMERIC of scale 0 as whole numbers, else floats."""
    if all(value is None or isinstance(value, (Decimal, int)) for value in values):
        return decimal_series([None if value is None else Decimal(value) for value in values])
    return pd.Series(list(values)).astype(float)


def _reason(error: Any) -> str:
    """The database's own words in one line."""
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return mask_secrets(lines[0]) if lines else type(error.orig).__name__
