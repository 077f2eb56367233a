"""One line of JSON a request, written in the background."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any

import msgspec

from errors import ServingError

ALLOWED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")
LONGEST_ID = 128


class RequestIds:
    """Names requests: as the client did, or anew."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._n = 0

    def of(self, given: bytes | None) -> str:
        """The request's id; a client's own is kept where it is short and plain."""
        if given and len(given) <= LONGEST_ID and ALLOWED.issuperset(given):
            return given.decode()
        self._n += 1
        return f"{self._prefix}-{self._n:x}"


class RequestLog:
    """Lines are kept until `flush`, then appended in one write, so that several processes may share a file.

    Args:
        path: The file; None: nothing is logged.

    Raises: ServingError: it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._lines: list[bytes] = []
        self._file: int | None = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            except OSError as error:
                raise ServingError(f"serving.request_log={path}: {error.strerror}") from None

    def add(self, request_id: str, **what: Any) -> None:
        """Note one request."""
        if self._file is not None:
            line = {"time": round(time.time(), 3), "request_id": request_id, **what}
            self._lines.append(msgspec.json.encode(line))

    def flush(self) -> None:
        """Write what was noted."""
        if self._lines and self._file is not None:
            lines, self._lines = self._lines, []
            os.write(self._file, b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Write what was noted, and close the file."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None
