"""Whether a table has a column, by as little of the table as tells."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from configs.sources import mask_secrets, source_scheme
from data.csvtable import parse_csv
from data.messages import did_you_mean, show_list
from errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
INDEX = "__index_level_"
# No header is so long; what is one, is no table, and the task will say so.
LONGEST_LINE = 1 << 20
MOST_SHOWN = 30


def check_target(source: str, target: str) -> None:
    """Refuse a local file that has no such column, as reading all of it would.

    What only all of it would tell (JSON, a damaged file), or what lies elsewhere, is left to the task.

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
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in (".gz", ".zst") else ""
    kind = suffixes[-1] if suffixes else ""
    try:
        if kind == ".parquet" and not packed:
            return [name for name in pq.read_schema(path).names if not name.startswith(INDEX)]
        if kind in DELIMITERS:
            with _open(path, packed) as file:
                header = _first_record(io.TextIOWrapper(file, "utf-8-sig", newline=""), DELIMITERS[kind])
            return [str(name) for name in parse_csv(header.encode(), DELIMITERS[kind], str(path)).columns]
    except (OSError, EOFError, ValueError, csv.Error, pa.ArrowException):
        return None
    return None


def _open(path: Path, packed: str) -> IO[bytes]:
    if packed == ".gz":
        return gzip.open(path, "rb")
    if packed == ".zst":
        return pa.input_stream(path, compression="zstd")
    return path.open("rb")


def _first_record(text: IO[str], delimiter: str) -> str:
    """The text of the first record that is not empty, which may have several lines.

    Raises: csv.Error, ValueError: there is none.
    """
    read: list[str] = []

    def lines() -> Iterator[str]:
        while line := text.readline(LONGEST_LINE):
            read.append(line)
            yield line

    if not any(csv.reader(lines(), delimiter=delimiter)):
        raise ValueError("no record")
    return "".join(read)
