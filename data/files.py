"""A file of any of the formats, from its bytes to a table; its content says which, its suffix only what is likely."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pandas as pd

from configs.sources import STDIN, is_pattern, split_member
from data.archives import unpack, unzip, zip_kind
from data.arrowtable import parse_arrow
from data.csvtable import parse_csv
from data.encodings import SETTING, check_encoding, to_utf8
from data.jsontable import is_lines, parse_json, parse_jsonl
from data.messages import did_you_mean
from data.parts import find_parts, join_parts, parts_of_folder
from data.sniff import binary_kind, check_no_stranger, packing, says_text, text_kind
from errors import DataLoadError

DELIMITERS = {".tsv": "\t", ".tab": "\t"}
PACKED = (".gz", ".zst", ".bz2", ".xz")
PARQUET = (".parquet", ".parq", ".pqt")
# A packed file in an archive, and once more; deeper is no table that anybody wrote.
MOST_PACKINGS = 3
HEAD_CHARACTERS = 1 << 16


def load_file(path: str, encoding: str | None = None) -> pd.DataFrame:
    """Read a local file, one file or sheet in it (`FILE#NAME`), all files of a pattern, or a folder of Parquet files.

    Returns: typed or text cells, as `attrs["typed"]` says, and `attrs["notes"]`.
    Raises: DataLoadError: there is no such file, or it is no table.
    """
    if path == STDIN:
        return load_bytes("stdin", sys.stdin.buffer.read, encoding)
    # os.path has no objection to names that no file can have; reading says what is wrong with them.
    if os.path.isdir(path):
        return join_parts(path, parts_of_folder(Path(path)), lambda part: _load_one(part, "", encoding))
    if not os.path.exists(path):
        file, member = split_member(path)
        if is_pattern(file):
            return join_parts(path, find_parts(file), lambda part: _load_one(part, member, encoding))
        return _load_one(file, member, encoding)
    return _load_one(path, "", encoding)


def _load_one(path: str, member: str, encoding: str | None) -> pd.DataFrame:
    where = str(Path(path))
    return load_bytes(where, lambda: _read(Path(path)), encoding, member)


def load_bytes(
    where: str, read: Callable[[], bytes], encoding: str | None = None, member: str = ""
) -> pd.DataFrame:
    """Read a file that lies anywhere.

    Args:
        where: Its address, as messages show it.
        read: Called for its content.
        encoding: Of a text; None: found out.
        member: The file of an archive, or the sheet of a workbook; empty for the only one.

    Raises:
        DataLoadError: it is no table; says what it is.
        ConfigError: there is no such encoding.
    """
    if encoding is not None:
        check_encoding(encoding)
    data = read()
    if not data:
        raise DataLoadError(f"{where}: empty file (0 bytes)")
    data, name, member = _unpacked(data, where, member)
    frame = _parse(data, name, where, encoding, member)
    frame.attrs.setdefault("notes", [])
    return frame


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataLoadError(f"{path}: no such file{did_you_mean(path.name, siblings)}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataLoadError(f"{path}: cannot be read: {reason}") from error


def _unpacked(data: bytes, where: str, member: str) -> tuple[bytes, str, str]:
    """What is packed in the file, its name, and what of `member` is still to be chosen."""
    name = where.rpartition("/")[2]
    for _ in range(MOST_PACKINGS):
        program = packing(data)
        if not program:
            break
        if program == "zip":
            if zip_kind(data, where) == "workbook":
                return data, name, member
            data, name = unzip(data, member, where)
            name, member = name.rpartition("/")[2], ""
        else:
            data = unpack(data, program, where)
        name = _without(name)
    else:
        if packing(data):
            raise DataLoadError(f"{where}: packed more than {MOST_PACKINGS} times; unpack it")
    if member:
        raise DataLoadError(f"{where}: neither a workbook nor an archive, so there is no {member!r} in it")
    return data, name, member


def _without(name: str) -> str:
    """The name without the suffix of a packing."""
    return name.rpartition(".")[0] if name.casefold().endswith((*PACKED, ".zip")) else name


def _parse(data: bytes, name: str, where: str, encoding: str | None, member: str) -> pd.DataFrame:
    if packing(data) == "zip":
        from data.exceltable import parse_excel  # noqa: PLC0415 - only those who need it wait for it

        return _typed(parse_excel(data, member, where), encoding)
    kind = binary_kind(data)
    if kind:
        return _typed(parse_arrow(data, kind, where), encoding)
    check_no_stranger(data, where)
    text, notes = to_utf8(data, where, encoding)
    if not text.strip():
        raise DataLoadError(f"{where}: empty file (white space only)")
    check_no_stranger(text, where)
    kind = text_kind(text[:HEAD_CHARACTERS].decode("utf-8", "ignore"), name)
    frame = _parse_text(text, kind, name, where)
    frame.attrs["notes"] = [*notes, *frame.attrs.get("notes", ())]
    frame.attrs["typed"] = kind != "csv"
    return frame


def _parse_text(text: bytes, kind: str, name: str, where: str) -> pd.DataFrame:
    if kind == "csv":
        return _parse_csv(text, name, where)
    content = text.decode()
    if kind == "json" and is_lines(content):
        return parse_jsonl(content, where)
    if (
        kind == "jsonl"
        and content.lstrip().startswith("[")
        and not content.lstrip()[1:].lstrip().startswith("[")
    ):
        return parse_json(content, where)
    return parse_json(content, where) if kind == "json" else parse_jsonl(content, where)


def _parse_csv(text: bytes, name: str, where: str) -> pd.DataFrame:
    suffix = PurePosixPath(name.casefold()).suffix
    frame = parse_csv(text, DELIMITERS.get(suffix, ","), where)
    if frame.shape[1] == 1 and not says_text(name) and name != "stdin":
        said = "a Parquet file" if suffix in PARQUET else "a table"
        raise DataLoadError(
            f"{where}: not {said}: text without a delimiter; a table of one column has .csv or .txt in its name"
        )
    return frame


def _typed(frame: pd.DataFrame, encoding: str | None) -> pd.DataFrame:
    frame.attrs["typed"] = True
    if encoding is not None:
        frame.attrs["notes"] = [
            *frame.attrs.get("notes", ()),
            f"{SETTING}={encoding} says nothing here: no text file",
        ]
    return frame
