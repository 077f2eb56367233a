"""JSON under a Redis key."""

from __future__ import annotations

import os
from itertools import islice
from urllib.parse import parse_qsl, urlencode, urlsplit

import pandas as pd
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from configs.sources import mask_secrets, source_scheme
from data.jsontable import parse_json
from data.messages import did_you_mean
from errors import DataLoadError, SourceUnreachableError

DEFAULT_URL = "redis://localhost:6379/0"
TIMEOUT_S = 5
MOST_KEYS = 10_000
NOT_THERE = (RedisConnectionError, RedisTimeoutError)


def load_redis(source: str) -> pd.DataFrame:
    """Read the JSON records or columns that a Redis string holds.

    Args:
        source: `redis:KEY`, on the server that the environment's REDIS_URL names, else this machine's; or
            `redis://[user:password@]host:port/db?key=KEY` (rediss:// with TLS).

    Raises:
        SourceUnreachableError: the server cannot be reached.
        DataLoadError: it refuses, the key is absent or no string, or its value is no table in JSON.
    """
    where = mask_secrets(source)
    url = DEFAULT_URL
    try:
        url, key = _split(source, where)
        with _connect(url) as client:
            return _parse(_get(client, key, where), where)
    except RedisError as error:
        # A server that refuses the password raises a connection error, too.
        absent = isinstance(error, NOT_THERE) and not isinstance(error, AuthenticationError)
        kind = SourceUnreachableError if absent else DataLoadError
        raise kind(f"{where}: Redis at {_server(url)}: {_line(error)}") from None
    except ValueError as error:  # how redis-py refuses a URL
        raise DataLoadError(f"{where}: not a Redis URL: {mask_secrets(_line(error))}") from None


def _split(source: str, where: str) -> tuple[str, str]:
    """The server's URL and the key."""
    scheme = source_scheme(source)
    rest = source[len(scheme) + 1 :]
    url, key = os.environ.get("REDIS_URL") or DEFAULT_URL, rest
    if rest.startswith("//"):
        parts = urlsplit(source)
        options = dict(parse_qsl(parts.query))
        key = options.pop("key", "")
        url = parts._replace(query=urlencode(options)).geturl()
    if not key:
        raise DataLoadError(f"{where}: no key; expected redis:KEY or redis://host:6379/0?key=KEY")
    return url, key


def _connect(url: str) -> Redis:
    return Redis.from_url(
        url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )


def _get(client: Redis, key: str, where: str) -> bytes:
    kind = client.type(key).decode()
    if kind == "none":
        keys = (k.decode(errors="replace") for k in islice(client.scan_iter(count=1000), MOST_KEYS))
        raise DataLoadError(f"{where}: no such key{did_you_mean(key, keys)}")
    if kind != "string":
        raise DataLoadError(f"{where}: the key holds a {kind}; allowed: a string with JSON in it")
    return client.get(key) or b""


def _parse(value: bytes, where: str) -> pd.DataFrame:
    try:
        text = value.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataLoadError(
            f"{where}: not JSON: byte 0x{value[error.start]:02x} at offset {error.start:,} is not UTF-8"
        ) from None
    if not text.strip():
        raise DataLoadError(f"{where}: empty value")
    return parse_json(text, where)


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
