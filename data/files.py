"""A file of any of the formats, from its bytes to a table."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from configs.sources import PACKED_SUFFIXES, TABLE_SUFFIXES
from data.csvtable import parse_csv
from data.jsontable import parse_json, parse_jsonl
from data.messages import did_you_mean, show_error
from data.names import check_names
from errors import DataLoadError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
MAGIC = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
PROGRAMS = {".gz": "gzip", ".zst": "zstd"}
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CHUNK_BYTES = 1 << 24


def load_file(path: str, text_columns: Collection[str] = ()) -> pd.DataFrame:
    """Read a local file.

    Raises: DataLoadError: there is no such file, or it is not what its suffix says.
    """
    return load_bytes(str(Path(path)), lambda: _read(Path(path)), text_columns)


def load_bytes(where: str, read: Callable[[], bytes], text_columns: Collection[str]) -> pd.DataFrame:
    """Read a file that lies anywhere.

    Args:
        where: Its address, as messages show it; its suffixes say the format.
        read: Called for its content once the suffixes are known to be allowed.
        text_columns: CSV and TSV: columns kept as text.

    Raises: DataLoadError: it is not what its suffixes say.
    """
    suffix, packed = _suffixes(where)
    data = read()
    if not data:
        raise DataLoadError(f"{where}: empty file (0 bytes)")
    data = _unpack(data, packed, where)
    try:
        return _parse(data, suffix, where, text_columns)
    except UnicodeDecodeError as error:
        raise DataLoadError(_wrong_encoding(where, packed, data, error.start)) from None


def _suffixes(where: str) -> tuple[str, str]:
    """What the file is, and what it is packed with, if anything."""
    path = Path(where.casefold())
    packed = path.suffix if path.suffix in PACKED_SUFFIXES else ""
    suffix = path.with_suffix("").suffix if packed else path.suffix
    if suffix not in TABLE_SUFFIXES:
        found = f"suffix {suffix!r}" if suffix else "no suffix"
        allowed = f"{', '.join(TABLE_SUFFIXES)}, each also with {' or '.join(PACKED_SUFFIXES)}"
        raise DataLoadError(f"{where}: {found}; allowed: {allowed}")
    return suffix, packed


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise DataLoadError(f"{path}: a folder; expected a file ({', '.join(TABLE_SUFFIXES)})")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataLoadError(f"{path}: no such file{did_you_mean(path.name, siblings)}") from None
    except OSError as error:
        raise DataLoadError(f"{path}: cannot be read: {error.strerror}") from error


def _unpack(data: bytes, packed: str, where: str) -> bytes:
    if not packed:
        for suffix, magic in MAGIC.items():
            if data.startswith(magic):
                name = Path(where).name
                raise DataLoadError(
                    f"{where}: {PROGRAMS[suffix]} data without {suffix} in its name; rename it to {name}{suffix}"
                )
        return data
    try:
        if packed == ".gz":
            data = gzip.decompress(data)
        else:
            data = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataLoadError(f"{where}: damaged or not {PROGRAMS[packed]}: {show_error(error)}") from error
    if not data:
        raise DataLoadError(f"{where}: empty file (0 bytes when decompressed)")
    return data


def _parse(data: bytes, suffix: str, where: str, text_columns: Collection[str]) -> pd.DataFrame:
    if suffix == ".parquet":
        return _parse_parquet(data, where)
    _check_utf8(data)
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise DataLoadError(f"{where}: empty file (white space only)")
    if suffix == ".json":
        return parse_json(data.decode(), where)
    if suffix == ".jsonl":
        return parse_jsonl(data.decode(), where)
    return parse_csv(data, DELIMITERS[suffix], where, text_columns)


def _parse_parquet(data: bytes, where: str) -> pd.DataFrame:
    try:
        check_names(where, pq.read_schema(io.BytesIO(data)).names)
        frame = pd.read_parquet(io.BytesIO(data))
    except UnicodeDecodeError:
        raise DataLoadError(f"{where}: not a Parquet file: a name or a text is not UTF-8") from None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataLoadError(f"{where}: not a Parquet file: {show_error(error)}") from error
    if frame.columns.nlevels > 1:
        raise DataLoadError(f"{where}: {frame.columns.nlevels} header rows; allowed: one name per column")
    named_index = any(name is not None for name in frame.index.names)
    return frame.reset_index(drop=not named_index)


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


def _wrong_encoding(where: str, packed: str, data: bytes, offset: int) -> str:
    if data.startswith(UTF16_MARKS):
        encoding = "UTF-16"
    else:
        encoding = next((name for name in ("CP949", "SHIFT_JIS") if _decodes(data, name)), "CP1252")
    found = f"byte 0x{data[offset]:02x} at offset {offset:,}"
    name = Path(where).name
    command = f"iconv -f {encoding} -t UTF-8 {name} > utf8_{name}"
    if packed:
        program = PROGRAMS[packed]
        command = f"{program} -dc {name} | iconv -f {encoding} -t UTF-8 | {program} > utf8_{name}"
    return f"{where}: not UTF-8 ({found}); allowed: UTF-8. It may be {encoding}; convert it: {command}"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
