"""Reads what the user named as a source into a table, or says exactly why it is none.

    churn.csv                                       a file: csv, tsv, json, jsonl or parquet, plain, .gz or .zst
    s3://bucket/churn.csv.gz, gs://bucket/...       the same files in an object store
    redis:KEY, redis://host:6379/0?key=KEY          JSON under a Redis key
    sql:URL#TABLE, sql:URL#SELECT ...               a database by its SQLAlchemy URL

Passwords belong into the environment (PGPASSWORD, REDIS_URL, AWS_...); one in a URL is shown as ***.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from configs.sources import mask_secrets, source_name, source_scheme
from data.files import load_file
from data.messages import show_list
from data.names import check_names
from errors import DataLoadError

# What the extras `redis` and `sql` install.
DRIVERS = dict.fromkeys(("redis", "rediss"), '"redis>=6"') | {
    "sql": '"sqlalchemy>=2.1" "psycopg[binary]>=3.2"'
}
DATABASES = ("postgres", "mysql", "mariadb", "sqlite")
ALLOWED = "a path, s3://..., gs://..., redis:KEY, sql:URL#TABLE"


def load_table(source: str, text_columns: Collection[str] = ()) -> pd.DataFrame:
    """Read a table from a file, an object store, Redis or a database.

    Args:
        source: As above.
        text_columns: CSV and TSV: columns kept as text even where every value reads as a number.

    Returns: the rows in their order, indexed 0, 1, 2, ...; empty cells, NaN, NULL and NA are missing.
    Raises: DataLoadError: there is no such source, or it is not a table with named columns and rows.
    """
    frame = _load(source, text_columns)
    frame.columns = [str(name) for name in frame.columns]
    check_names(mask_secrets(source), frame.columns)
    if frame.empty:
        raise DataLoadError(f"{mask_secrets(source)}: no rows; columns: {show_list(frame.columns)}")
    return frame


def table_name(source: str) -> str:
    """Short name of the table: the file's without folder and suffixes, the key, the database's table."""
    return source_name(source)


def _load(source: str, text_columns: Collection[str]) -> pd.DataFrame:
    scheme = source_scheme(source)
    if not scheme:
        return load_file(source, text_columns)
    if scheme in ("s3", "gs"):
        from data.objectstore import load_object  # noqa: PLC0415 - only those who need it wait for it

        return load_object(source, text_columns)
    if scheme in DRIVERS:
        return _load_by_driver(source, scheme)
    hint = f"; a database? sql:{mask_secrets(source)}#TABLE" if scheme.startswith(DATABASES) else ""
    raise DataLoadError(f"{mask_secrets(source)}: cannot read from {scheme}://; allowed: {ALLOWED}{hint}")


def _load_by_driver(source: str, scheme: str) -> pd.DataFrame:
    try:
        if scheme == "sql":
            from data.sqltable import load_sql as load  # noqa: PLC0415 - needs an optional package
        else:
            from data.rediskey import load_redis as load  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise DataLoadError(
            f"{mask_secrets(source)}: {error.name} is not installed: pip install {DRIVERS[scheme]}"
        ) from None
    return load(source)
