"""Whether a table has a column, by as little of the table as tells."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path, PurePosixPath
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from configs.sources import mask_secrets, source_scheme
from data.arrowtable import UNNAMED
from data.csvtable import csv_names
from data.files import DELIMITERS
from data.messages import did_you_mean, show_list
from data.sniff import binary_kind, packing, text_kind
from errors import DataError

# No header is so long; what is one, is no table, and the task will say so.
HEAD_BYTES = 1 << 20
MAGIC_BYTES = 16
MOST_SHOWN = 30


def check_target(source: str, target: str) -> None:
    """Refuse a local file that has no such column, as reading all of it would.

    What only all of it would tell (JSON, a workbook, a damaged file, several files), or what lies elsewhere, is left
    to the task.

    Raises: DataError: it has no such column. DataLoadError: its columns cannot be told apart.
    """
    columns = None if source_scheme(source) else _columns(Path(source))
    if columns is not None and target not in columns:
        raise DataError(
            f"{mask_secrets(source)}: no target column {target!r}{did_you_mean(target, columns)}; "
            f"columns: {show_list(columns, MOST_SHOWN)}"
        )


def _columns(path: Path) -> list[str] | None:
    """The names of a file's columns; None where its beginning does not tell."""
    try:
        with path.open("rb") as file:
            magic = file.read(MAGIC_BYTES)
        program = packing(magic)
        if binary_kind(magic) == "parquet":
            return [name for name in pq.read_schema(path).names if not name.startswith(UNNAMED)]
        if program == "zip" or binary_kind(magic):
            return None
        with _open(path, program) as file:
            head = _lines(file.read(HEAD_BYTES))
    except (OSError, EOFError, ValueError, lzma.LZMAError, pa.ArrowException):
        return None
    name = path.name.rpartition(".")[0] if program else path.name
    if head is None or text_kind(head, name) != "csv":
        return None
    mark = DELIMITERS.get(PurePosixPath(name.casefold()).suffix, ",")
    return csv_names(head.encode(), mark, str(path))


def _open(path: Path, program: str) -> IO[bytes]:
    if program == "zstd":
        return pa.input_stream(path, compression="zstd")
    openers = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
    return openers[program](path, "rb") if program else path.open("rb")


def _lines(head: bytes) -> str | None:
    """The whole lines of a beginning in UTF-8; None where it has no row, or is no such text."""
    if len(head) == HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1]
    text = head.decode("utf-8-sig")
    n_lines = sum(bool(line.strip()) for line in text.splitlines())
    return text if n_lines > 1 and "\0" not in text else None
