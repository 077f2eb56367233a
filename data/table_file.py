"""Writes a table as its file's suffix says.

    .csv, .tsv          text; lists as JSON, missing cells empty
    .json, .jsonl       an array of records, or a record per line; missing cells null
    .parquet            typed columns

Each but Parquet, which packs itself, also with .gz or .zst after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from data.whole_file import check_writable, whole_file
from errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

PACKINGS = {".gz": "gzip", ".zst": "zstd"}
PARQUET = ".parquet"
ALLOWED = ".csv, .tsv, .json, .jsonl (each also with .gz or .zst after it), .parquet"
# Written at a time, so that the text of a long table is never held as a whole.
PIECE_ROWS = 50_000


def check_table_file(path: Path, option: str = "--output") -> None:
    """Refuse a file before the work that could not be written after it.

    Args:
        path: The file.
        option: What it was given as, for the message.

    Raises: ConfigError: another suffix, or a place where nothing can be written.
    """
    _suffixes(path, option)
    check_writable(path, option)


def write_table(frame: pd.DataFrame, path: Path, option: str = "--output") -> None:
    """Write a table; the file is there as a whole or not at all.

    Args:
        frame: Its columns, in their order; the index is not written.
        path: A file with one of the suffixes above.
        option: What it was given as, for the message.

    Raises: ConfigError: another suffix, or it cannot be written.
    """
    kind, packing = _suffixes(path, option)
    with whole_file(path, option) as file:
        if kind == PARQUET:
            _write_parquet(frame, file)
            return
        with _packed(file, packing) as stream:
            for piece in WRITERS[kind](frame):
                stream.write(piece)


def csv_text(frame: pd.DataFrame) -> str:
    """A table as CSV."""
    return b"".join(_csv(frame, ",")).decode()


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as records that JSON holds: missing cells and what no number is are None, dates ISO texts."""
    names = [str(name) for name in frame.columns]
    columns = [_json_cells(frame.iloc[:, i]) for i in range(frame.shape[1])]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _suffixes(path: Path, option: str) -> tuple[str, str | None]:
    """What a file's name says it holds, and what packs it."""
    name = path.name.casefold()
    ending = next((suffix for suffix in PACKINGS if name.endswith(suffix)), "")
    kind = next((k for k in WRITERS if name.removesuffix(ending).endswith(k)), None)
    if kind is None and not ending and name.endswith(PARQUET):
        kind = PARQUET
    if kind is None:
        raise ConfigError(f"{option} {path}: its suffix does not say what to write; allowed: {ALLOWED}")
    return kind, PACKINGS.get(ending)


def _packed(file: IO[bytes], packing: str | None) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - needed for packed files only

    return nullcontext(file) if packing is None else pa.CompressedOutputStream(file, packing)


def _pieces(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for start in range(0, max(len(frame), 1), PIECE_ROWS):
        yield frame.iloc[start : start + PIECE_ROWS]


def _csv(frame: pd.DataFrame, delimiter: str) -> Iterator[bytes]:
    for number, piece in enumerate(_pieces(frame)):
        plain = piece.apply(_as_text) if len(piece) else piece
        text = plain.to_csv(index=False, header=number == 0, sep=delimiter, lineterminator="\n")
        yield text.encode("utf-8", "surrogatepass")


def _as_text(column: pd.Series) -> pd.Series:
    """Lists in a column as JSON."""
    if column.dtype != object:
        return column
    return column.map(lambda cell: _json_text(cell) if isinstance(cell, list | dict) else cell)


def _json(frame: pd.DataFrame) -> Iterator[bytes]:
    before = "[\n"
    for piece in _pieces(frame):
        for row in json_rows(piece):
            yield (before + _json_text(row)).encode()
            before = ",\n"
    yield b"[]\n" if before == "[\n" else b"\n]\n"


def _jsonl(frame: pd.DataFrame) -> Iterator[bytes]:
    for piece in _pieces(frame):
        yield "".join(_json_text(row) + "\n" for row in json_rows(piece)).encode()


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)


def _json_cells(column: pd.Series) -> list[Any]:
    """A column's cells as JSON has them; numbers keep all their digits."""
    import numpy as np  # noqa: PLC0415 - as pandas
    import pandas as pd  # noqa: PLC0415 - not on the serving path

    if column.dtype.kind == "f" and isinstance(column.dtype, np.dtype):
        return [value if np.isfinite(value) else None for value in column.tolist()]
    if column.dtype.kind in "iub" and isinstance(column.dtype, np.dtype):
        return column.tolist()
    return [
        None if pd.api.types.is_scalar(v) and pd.isna(v) else _json_cell(v) for v in column.astype(object)
    ]


def _json_cell(value: Any) -> Any:
    """A cell that is not missing; what JSON has no word for becomes text."""
    import numpy as np  # noqa: PLC0415 - as pandas

    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _write_parquet(frame: pd.DataFrame, file: IO[bytes]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - needed for Parquet only
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    arrays = [_arrow_cells(frame.iloc[:, i]) for i in range(frame.shape[1])]
    pq.write_table(pa.table(arrays, names=[str(name) for name in frame.columns]), file)


def _arrow_cells(column: pd.Series) -> Any:
    """A typed column; one of several types, which Parquet cannot hold, as text."""
    import pyarrow as pa  # noqa: PLC0415 - needed for Parquet only

    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if cell is None else str(cell) for cell in _json_cells(column)], pa.string())


WRITERS: dict[str, Callable[[Any], Iterable[bytes]]] = {
    ".csv": lambda frame: _csv(frame, ","),
    ".tsv": lambda frame: _csv(frame, "\t"),
    ".jsonl": _jsonl,
    ".json": _json,
}
