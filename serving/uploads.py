"""Tables that clients send: multipart bodies, read to disk as they come, within a limit."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from configs.sources import PACKED_SUFFIXES, TABLE_SUFFIXES
from errors import DataError, DataLoadError
from serving.refusals import (
    ClientLeftError,
    PayloadTooLargeError,
    SlowRequestError,
    UnsupportedMediaTypeError,
)
from serving.roots import UPLOADED

MAX_FIELDS = 20
FIELD_BYTES = 1_000_000
# Room for the fields and the parts' headers beside the table.
OVERHEAD_BYTES = 2_000_000
# A client that sends nothing for so long is given up.
SILENCE_S = 30.0
# And one that sends less than this, in the mean, after such a time.
LEAST_BYTES_S = 10_000
COPY_BYTES = 1 << 20
# In bytes; file systems take 255.
LONGEST_NAME = 200
MULTIPART = "multipart/form-data"


async def read_form(request: Request, max_bytes: int) -> FormData:
    """A multipart body; its file lies on disk where it is large, and goes when it is closed.

    Raises:
        UnsupportedMediaTypeError: the body is of another type.
        PayloadTooLargeError: it is larger than allowed.
        SlowRequestError: the client has fallen silent.
        ClientLeftError: it has left.
        DataError: it is not well-formed.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != MULTIPART:
        raise UnsupportedMediaTypeError(
            f"the body is {kind.partition(';')[0] or 'untyped'}; expected {MULTIPART}"
        )
    limit = max_bytes + OVERHEAD_BYTES
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(max_bytes)
    parser = MultiPartParser(
        request.headers,
        _counted(request.stream(), limit, max_bytes),
        max_files=1,
        max_fields=MAX_FIELDS,
        max_part_size=FIELD_BYTES,
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise DataError(f"body: {error.message}") from None
    except ClientDisconnect:
        raise ClientLeftError("the client left before its table was read") from None


async def _counted(stream: AsyncIterator[bytes], limit: int, max_bytes: int) -> AsyncIterator[bytes]:
    size, began = 0, time.monotonic()
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise SlowRequestError(f"nothing of the body arrived for {SILENCE_S:g} s") from None
        if chunk is None:
            return
        size += len(chunk)
        if size > limit:
            raise _too_large(max_bytes)
        if time.monotonic() - began > SILENCE_S + size / LEAST_BYTES_S:
            raise SlowRequestError(f"the body arrives at less than {LEAST_BYTES_S:,} bytes a second")
        yield chunk


def table_of(form: FormData, max_bytes: int) -> UploadFile:
    """The table of a form.

    Raises: DataError: there is none. PayloadTooLargeError: it is larger than allowed.
    """
    table = form.get("file")
    if not isinstance(table, UploadFile):
        raise DataError("file: required, as a part with a file name")
    if (table.size or 0) > max_bytes:
        raise _too_large(max_bytes)
    return table


def store_table(table: UploadFile, uploads: Path) -> str:
    """Keep a table, under a name that is safe, in a folder of its own.

    Returns: the dataset_path that names it.
    Raises: DataLoadError: its name says no known format, or it is empty.
    """
    name = _safe_name(table.filename or "")
    if not table.size:
        raise DataLoadError(f"file: {name} is empty")
    uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
    upload_id = secrets.token_hex(8)
    beside, folder = uploads / f".{upload_id}", uploads / upload_id
    beside.mkdir(mode=0o700)
    try:
        with (beside / name).open("wb") as file:
            shutil.copyfileobj(table.file, file, COPY_BYTES)
        beside.rename(folder)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return f"{UPLOADED}{upload_id}/{name}"


def _safe_name(name: str) -> str:
    """The file's own name, without what a path or a shell could read into it."""
    name = re.sub(r"[^\w.-]+", "_", re.split(r"[/\\]", name)[-1])
    name = name.encode()[-LONGEST_NAME:].decode(errors="ignore").lstrip(".-")
    bare = name.lower()
    is_archive = bare.endswith(".zip")
    for packed in PACKED_SUFFIXES:
        bare = bare.removesuffix(packed)
    if not is_archive and not bare.endswith(TABLE_SUFFIXES):
        allowed, packings = ", ".join(TABLE_SUFFIXES), ", ".join(PACKED_SUFFIXES)
        raise DataLoadError(f"file: '{name}' has no known format; allowed: {allowed}, plain, {packings}")
    return name


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"the table is larger than serving.training.max_upload_mb={max_bytes / 1e6:g}"
    )
