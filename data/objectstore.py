"""Files in S3, Google Cloud Storage, and stores that speak their protocols."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, unquote

import pandas as pd
import pyarrow.fs as pafs

from configs.sources import mask_secrets, source_scheme, split_member
from data.files import load_bytes
from data.messages import did_you_mean, show_list
from data.parts import join_parts, natural
from data.reach import is_unreachable
from errors import DataLoadError, SourceUnreachableError

OPTIONS = {"s3": ("endpoint_override", "region", "anonymous"), "gs": ("endpoint_override", "anonymous")}
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws, AWS_REGION, AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or ?anonymous=true for a public bucket",
}
TIMEOUT_S = 3
PATIENT_S = 15  # who writes has more to lose by giving up than who waits for a table
LONGEST_WAIT_S = 10


def load_object(source: str, encoding: str | None = None) -> pd.DataFrame:
    """Read a file of an object store, or all files that a pattern in the last part of its path stands for.

    Args:
        source: s3://bucket/path or gs://bucket/path; `?endpoint_override=http://host:port`, `&region=...` and
            `&anonymous=true` may follow. Credentials come from where the store's own tools look for them.
        encoding: Of text files; None: found out.

    Raises: DataLoadError: the store does not answer or refuses, or there is no such bucket or file.
    """
    address, member = _split_member(source)
    where, scheme, path, open_it = _parse(address)
    if "/" not in path.strip("/"):
        raise DataLoadError(f"{where}: expected {scheme}://BUCKET/PATH")

    def read(path: str) -> bytes:
        try:
            store, info = _within(LONGEST_WAIT_S, lambda: _locate(open_it, path))
            if info.type != pafs.FileType.File:
                raise DataLoadError(f"{where}: {_absent(store, path, info)}")
            with store.open_input_stream(path, compression=None) as stream:
                return stream.read()
        except (OSError, ValueError) as error:  # what pyarrow's errors derive from
            raise _unread(error, where, scheme) from None

    folder, _, name = path.rpartition("/")
    if not any(sign in name for sign in "*["):
        return load_bytes(where, lambda: read(path), encoding, member)
    try:
        store = _within(LONGEST_WAIT_S, open_it)
        found = _within(LONGEST_WAIT_S, lambda: store.get_file_info(pafs.FileSelector(folder)))
    except (OSError, ValueError) as error:
        raise _unread(error, where, scheme) from None
    names = sorted(
        (one.base_name for one in found if one.is_file and fnmatchcase(one.base_name, name)), key=natural
    )
    if not names:
        raise DataLoadError(f"{where}: no file of such a name")
    base = where.rpartition("/")[0]

    def read_part(part: str) -> pd.DataFrame:
        return load_bytes(part, lambda: read(f"{folder}/{part.rpartition('/')[2]}"), encoding, member)

    return join_parts(where, [f"{base}/{one}" for one in names], read_part)


def _split_member(source: str) -> tuple[str, str]:
    """The address with its options, and what is meant in the file: s3://bucket/book.xlsx#Sheet2."""
    address, mark, query = source.partition("?")
    if mark:
        query, _, member = query.partition("#")
        return f"{address}?{query}", member
    return split_member(source)


def _unread(error: Exception, where: str, scheme: str) -> DataLoadError:
    kind = SourceUnreachableError if is_unreachable(error) else DataLoadError
    return kind(f"{where}: cannot be read: {store_error(error, scheme)}")


def _locate(open_it: Callable[[], pafs.FileSystem], path: str) -> tuple[pafs.FileSystem, pafs.FileInfo]:
    store = open_it()
    return store, store.get_file_info(path)


def open_objects(uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system and the path in it that a URI names.

    Args:
        uri: s3:// or gs://, with the options of `load_object`, or whatever else pyarrow knows.

    Raises: DataLoadError: unknown options. OSError, ValueError: the store does not answer, or pyarrow knows none.
    """
    if source_scheme(uri) not in OPTIONS:
        return pafs.FileSystem.from_uri(uri)
    _, _, path, open_it = _parse(uri, PATIENT_S)
    return _within(LONGEST_WAIT_S, open_it), path.strip("/")


def store_error(error: Exception, scheme: str) -> str:
    """What a store said, in one line without secrets, and where it looks for credentials."""
    reason = mask_secrets((str(error).split(" error_info=")[0].splitlines() or [type(error).__name__])[0])
    return f"{reason}; credentials: {CREDENTIALS[scheme]}" if scheme in CREDENTIALS else reason


def _parse(source: str, timeout_s: int = TIMEOUT_S) -> tuple[str, str, str, Callable[[], pafs.FileSystem]]:
    """The address to show, the scheme, the path with its bucket, and what opens the store."""
    address, _, query = source.partition("?")
    scheme, _, path = address.partition("://")
    scheme, where = scheme.lower(), mask_secrets(address)
    keys, _, path = path.rpartition("@") if ":" in path.partition("/")[0] else ("", "", path)
    options = dict(parse_qsl(query))
    strangers = set(options) - set(OPTIONS[scheme])
    if strangers:
        raise DataLoadError(f"{where}: unknown {show_list(strangers)}; allowed: {', '.join(OPTIONS[scheme])}")
    return where, scheme, path, lambda: _open_store(scheme, path, keys, options, timeout_s)


def _open_store(
    scheme: str, path: str, keys: str, options: dict[str, str], timeout_s: int
) -> pafs.FileSystem:
    shared: dict[str, Any] = {"anonymous": options.get("anonymous", "").lower() in ("true", "1")}
    endpoint = options.get("endpoint_override", "")
    if scheme == "gs":
        protocol, _, host = endpoint.rpartition("://")
        if host:
            shared |= {"endpoint_override": host, "scheme": protocol or "https"}
        return pafs.GcsFileSystem(retry_time_limit=timedelta(seconds=timeout_s), **shared)
    endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        shared["endpoint_override"] = endpoint
    elif not region:
        region = pafs.resolve_s3_region(path.partition("/")[0])
    if keys:
        access_key, _, secret_key = keys.partition(":")
        shared |= {"access_key": unquote(access_key), "secret_key": unquote(secret_key)}
    return pafs.S3FileSystem(
        region=region,
        connect_timeout=timeout_s,
        request_timeout=timeout_s,
        allow_delayed_open=True,  # a small file is one request: it is there at once and whole, or not at all
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=2),
        **shared,
    )


def _absent(store: pafs.FileSystem, path: str, info: pafs.FileInfo) -> str:
    """Why there is nothing to read, and what is there instead."""
    if info.type == pafs.FileType.Directory:
        return "a folder; expected a file"
    bucket, folder = path.partition("/")[0], path.rpartition("/")[0]
    if store.get_file_info(bucket).type == pafs.FileType.NotFound:
        return f"no bucket {bucket!r} that these credentials may see"
    siblings = store.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    return f"no such file{did_you_mean(info.base_name, [sibling.base_name for sibling in siblings])}"


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """What call returns or raises, unless a silent server keeps it longer.

    Raises: TimeoutError: it does.
    """
    answers: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except (OSError, ValueError) as error:
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        value, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error:
        raise error
    return value
