"""Reads a file as a table, or says exactly why it is none."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from data.jsontable import parse_json, parse_jsonl
from data.messages import did_you_mean, show, show_list
from data.values import MISSING_TEXT
from errors import DataLoadError

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
GZIP_MAGIC = b"\x1f\x8b"
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CHUNK_BYTES = 1 << 24


def load_table(source: str, text_columns: Collection[str] = ()) -> pd.DataFrame:
    """Read a CSV, TSV, JSON (records or columns), JSON lines or Parquet file, plain or gzipped.

    Args:
        source: Path of the file; its suffix says the format.
        text_columns: CSV and TSV: columns kept as text even where every value reads as a number.

    Returns: the rows in file order, indexed 0, 1, 2, ...; empty cells, NaN and NA are missing.
    Raises: DataLoadError: there is no such file, or it is not a table with a header and rows.
    """
    path = Path(source)
    suffix = _suffix(path)
    data = _read(path)
    try:
        frame = _parse(data, suffix, path, text_columns)
    except UnicodeDecodeError as error:
        raise DataLoadError(_wrong_encoding(path, data, error.start)) from None
    frame.columns = [str(name) for name in frame.columns]
    _check_names(path, frame.columns)
    if frame.empty:
        raise DataLoadError(f"{path}: no rows; columns: {show_list(frame.columns)}")
    return frame


def table_name(source: str) -> str:
    """Name of the file without its folder and suffixes."""
    name = Path(source).name
    name = name[: -len(".gz")] if name.casefold().endswith(".gz") else name
    return Path(name).stem


def _suffix(path: Path) -> str:
    name = path.name.casefold().removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix not in SUFFIXES:
        found = f"suffix {suffix!r}" if suffix else "no suffix"
        raise DataLoadError(f"{path}: {found}; allowed: {', '.join(SUFFIXES)}, each also with .gz")
    return suffix


def _read(path: Path) -> bytes:
    """The file's content, decompressed."""
    if path.is_dir():
        raise DataLoadError(f"{path}: a folder; expected a file ({', '.join(SUFFIXES)})")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataLoadError(f"{path}: no such file{did_you_mean(path.name, siblings)}") from None
    except OSError as error:
        raise DataLoadError(f"{path}: cannot be read: {error.strerror}") from error
    if not data:
        raise DataLoadError(f"{path}: empty file (0 bytes)")
    zipped = path.name.casefold().endswith(".gz")
    if not zipped:
        if data.startswith(GZIP_MAGIC):
            raise DataLoadError(f"{path}: gzip data without .gz in its name; rename it to {path.name}.gz")
        return data
    try:
        data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataLoadError(f"{path}: damaged or not gzip: {error}") from error
    if not data:
        raise DataLoadError(f"{path}: empty file (0 bytes when decompressed)")
    return data


def _parse(data: bytes, suffix: str, path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    if suffix == ".parquet":
        return _parse_parquet(data, path)
    _check_utf8(data)
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise DataLoadError(f"{path}: empty file (white space only)")
    if suffix == ".json":
        return parse_json(data.decode(), str(path))
    if suffix == ".jsonl":
        return parse_jsonl(data.decode(), str(path))
    return _parse_csv(data, DELIMITERS[suffix], path, text_columns)


def _check_utf8(data: bytes) -> None:
    """Raise UnicodeDecodeError whose start is the offset in `data`; chunks keep memory flat."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for start in range(0, len(data), CHUNK_BYTES):
        n_held = len(decoder.getstate()[0])
        chunk = view[start : start + CHUNK_BYTES]
        try:
            decoder.decode(chunk, final=start + CHUNK_BYTES >= len(data))
        except UnicodeDecodeError as error:
            error.start += start - n_held
            raise


def _wrong_encoding(path: Path, data: bytes, offset: int) -> str:
    if data.startswith(UTF16_MARKS):
        encoding = "UTF-16"
    else:
        encoding = next((name for name in ("CP949", "SHIFT_JIS") if _decodes(data, name)), "CP1252")
    found = f"byte 0x{data[offset]:02x} at offset {offset:,}"
    convert = f"iconv -f {encoding} -t UTF-8"
    command = f"{convert} {path.name} > utf8_{path.name}"
    if path.name.casefold().endswith(".gz"):
        command = f"gunzip -c {path.name} | {convert} | gzip > utf8_{path.name}"
    return f"{path}: not UTF-8 ({found}); allowed: UTF-8. It may be {encoding}; convert it: {command}"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _parse_csv(data: bytes, delimiter: str, path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    header = next((row for row in _records(data, delimiter) if row), [])
    _check_header(path, header, delimiter)
    with warnings.catch_warnings():
        # Rows longer than the header: pandas would cut them and only warn.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = pd.read_csv(
                io.BytesIO(data),
                sep=delimiter,
                index_col=False,
                low_memory=False,
                keep_default_na=False,
                na_values=sorted(MISSING_TEXT),
                dtype=dict.fromkeys(text_columns, "str"),
            )
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise DataLoadError(_ragged(data, delimiter, path) or f"{path}: not a table: {error}") from error
    # Rows shorter than the header end in missing values, so only such tables are counted row by row.
    if not frame.empty and frame.iloc[:, -1].isna().any():
        ragged = _ragged(data, delimiter, path)
        if ragged:
            raise DataLoadError(ragged)
    return frame


def _records(data: bytes, delimiter: str) -> Iterable[list[str]]:
    csv.field_size_limit(1 << 30)  # the default refuses cells of 128 KiB, which pandas reads
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), delimiter=delimiter)


def _check_header(path: Path, header: list[str], delimiter: str) -> None:
    _check_names(path, header)
    others = [mark for mark in ",;\t|" if mark != delimiter and mark in header[0]]
    if len(header) == 1 and others:
        raise DataLoadError(
            f"{path}: the header is the single column {show(header[0])}; is {show(others[0])} its delimiter? "
            "Allowed: commas in .csv, tabs in .tsv"
        )


def _ragged(data: bytes, delimiter: str, path: Path) -> str:
    """Where the first row is whose number of fields is not the header's; empty where there is none."""
    reader = _records(data, delimiter)
    n_fields = 0
    try:
        for row in reader:
            n_fields = n_fields or len(row)
            if row and len(row) != n_fields:
                return f"{path}: line {reader.line_num} has {len(row)} fields, the header has {n_fields}"
    except csv.Error as error:
        return f"{path}: line {reader.line_num}: {error}"
    return ""


def _parse_parquet(data: bytes, path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (OSError, ValueError) as error:  # what pyarrow's errors derive from
        raise DataLoadError(f"{path}: not a Parquet file: {error}") from error
    if frame.columns.nlevels > 1:
        raise DataLoadError(f"{path}: {frame.columns.nlevels} header rows; allowed: one name per column")
    named_index = any(name is not None for name in frame.index.names)
    return frame.reset_index(drop=not named_index)


def _check_names(path: Path, names: Collection[str]) -> None:
    empty = [place for place, name in enumerate(names, start=1) if not name.strip()]
    if empty:
        raise DataLoadError(
            f"{path}: column {empty[0]} of {len(names)} has no name; every column needs one. "
            "A row index saved along (pandas: to_csv(index=False) leaves it out)?"
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataLoadError(f"{path}: column names must differ; more than once there: {show_list(twice)}")
