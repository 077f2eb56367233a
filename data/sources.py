"""Reads what the user named as a source into a table, or says exactly why it is none.

    churn.csv                                       a file: CSV, TSV and other delimited text, JSON, JSON lines,
                                                    Parquet, Arrow, Feather, Excel; plain, .gz, .zst, .bz2, .xz or .zip
    book.xlsx#Sheet2, tables.zip#churn.csv          a sheet of a workbook, a file of an archive
    part-*.parquet, folder                          several files of the same columns; a folder of Parquet files
    -                                               standard input
    s3://bucket/churn.csv.gz, gs://bucket/...       the same files in an object store, patterns too
    https://host/churn.csv                          the same files on a server
    redis:KEY, redis://host:6379/0?key=KEY          JSON under a Redis key
    sql:URL#TABLE, sql:URL#SELECT ...               a database by its SQLAlchemy URL

The content of a file decides what it is, its suffix only what is likely. Passwords belong into the environment
(PGPASSWORD, REDIS_URL, AWS_...); one in a URL is shown as ***.
"""

from __future__ import annotations

from urllib.parse import unquote

import pandas as pd

from configs.sources import mask_secrets, source_name, source_scheme
from data.files import load_bytes, load_file
from data.messages import show_list
from data.names import check_names
from data.rownames import drop_row_numbers
from errors import DataLoadError

# What the extras `redis` and `sql` install.
DRIVERS = dict.fromkeys(("redis", "rediss"), '"redis>=6"') | {
    "sql": '"sqlalchemy>=2.1" "psycopg[binary]>=3.2"'
}
DATABASES = ("postgres", "mysql", "mariadb", "sqlite")
ALLOWED = "a path, -, https://..., s3://..., gs://..., redis:KEY, sql:URL#TABLE"


def load_table(source: str, encoding: str | None = None) -> pd.DataFrame:
    """Read a table with its cells as the source has them.

    Args:
        source: As above.
        encoding: Of a text file; None: found out.

    Returns: the rows in their order, indexed 0, 1, 2, ...; `attrs["typed"]` is false where every cell is the text that
        is written (CSV and the like; an empty cell is missing), `attrs["notes"]` says what was recognised or left out.

    Raises:
        DataLoadError: there is no such source, or it is not a table with named columns and rows.
        ConfigError: there is no such encoding.
    """
    frame = _load(source, encoding)
    notes = list(frame.attrs.get("notes", ()))
    typed = frame.attrs.get("typed", True)
    texts = {name: frame.attrs[name] for name in ("row_names", "written") if frame.attrs.get(name)}
    frame.columns = pd.Index([str(name) for name in frame.columns])
    check_names(mask_secrets(source), frame.columns)
    frame = drop_row_numbers(frame, notes)
    if frame.empty:
        raise DataLoadError(f"{mask_secrets(source)}: no rows; columns: {show_list(frame.columns)}")
    frame.attrs = {"notes": notes, "typed": typed, **texts}
    return frame


def table_name(source: str) -> str:
    """Short name of the table: the file's without folder and suffixes, the key, the database's table."""
    return source_name(source)


def _load(source: str, encoding: str | None) -> pd.DataFrame:
    scheme = source_scheme(source)
    if not scheme:
        return load_file(source, encoding)
    if scheme in ("s3", "gs"):
        from data.objectstore import load_object  # noqa: PLC0415 - only those who need it wait for it

        return load_object(source, encoding)
    if scheme == "https":
        return _load_web(source, encoding)
    if scheme in DRIVERS:
        return _load_by_driver(source, scheme)
    if scheme == "http":
        hint = "; over http anybody on the way could change the table: use https://, or download it"
    elif scheme.startswith(DATABASES):
        hint = f"; a database? sql:{mask_secrets(source)}#TABLE"
    else:
        hint = ""
    raise DataLoadError(f"{mask_secrets(source)}: cannot read from {scheme}://; allowed: {ALLOWED}{hint}")


def _load_web(source: str, encoding: str | None) -> pd.DataFrame:
    from data.web import fetch  # noqa: PLC0415 - only those who need it wait for it

    address, _, member = source.partition("#")
    where = mask_secrets(address.partition("?")[0])
    return load_bytes(where, lambda: fetch(address), encoding, unquote(member))


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
