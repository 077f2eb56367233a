"""What is packed, unpacked within a limit."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO

import pyarrow as pa

from configs.sources import TABLE_SUFFIXES
from data.messages import did_you_mean, show, show_error, show_list
from errors import DataLoadError

PIECE_BYTES = 1 << 22
# A table of zeros packs to a thousandth, and a bomb to less; below the first limit neither does harm.
FREE_BYTES = 1 << 30
MOST_TIMES = 200
MEMORY_SHARE = 0.5
READMES = re.compile(r"(readme|license|licence|changelog|datapackage|metadata)\b", re.IGNORECASE)


def unpack(data: bytes, program: str, where: str) -> bytes:
    """What gzip, zstd, bzip2 or xz packed.

    Raises: DataLoadError: it is damaged, empty, or expands beyond measure.
    """
    try:
        with _open(data, program) as stream:
            content = _read(stream, len(data), where)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        raise DataLoadError(f"{where}: damaged or not {program}: {show_error(error)}") from None
    if not content:
        raise DataLoadError(f"{where}: empty file (0 bytes when decompressed)")
    return content


def _open(data: bytes, program: str) -> IO[bytes]:
    if program == "zstd":
        return pa.CompressedInputStream(pa.BufferReader(data), "zstd")
    opener = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[program]
    return opener(io.BytesIO(data), "rb")


def _read(stream: IO[bytes], n_packed: int, where: str) -> bytes:
    pieces, size = [], 0
    while piece := stream.read(PIECE_BYTES):
        size += len(piece)
        _check_size(size, n_packed, where)
        pieces.append(piece)
    return b"".join(pieces)


def _check_size(size: int, n_packed: int, where: str) -> None:
    limit = most_bytes(n_packed)
    if size > limit:
        raise DataLoadError(
            f"{where}: expands to more than {limit:,} bytes, {limit / max(n_packed, 1):,.0f} times its size; "
            "unpack it and name the file in it, if that is right"
        )


def most_bytes(n_packed: int) -> int:
    """How many bytes so many packed ones may become."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(max(FREE_BYTES, MOST_TIMES * n_packed), MEMORY_SHARE * memory))


def zip_kind(data: bytes, where: str) -> str:
    """workbook, or zip, for an archive of files.

    Raises: DataLoadError: it is damaged, a document, or a workbook that expands beyond measure.
    """
    files = _archive(data, where).infolist()
    names = {info.filename for info in files}
    if any(name.startswith("xl/") for name in names) or _is_ods(data, names):
        _check_size(sum(info.file_size for info in files), len(data), where)
        return "workbook"
    documents = {"word/": "a Word document", "ppt/": "a PowerPoint presentation"}
    for folder, kind in documents.items():
        if any(name.startswith(folder) for name in names):
            raise DataLoadError(f"{where}: not a table: {kind}")
    if any(name.endswith("/data.pkl") for name in names):
        raise DataLoadError(f"{where}: not a table: a model (PyTorch)")
    return "zip"


def _is_ods(data: bytes, names: set[str]) -> bool:
    return "mimetype" in names and b"opendocument.spreadsheet" in data[:200]


def unzip(data: bytes, member: str, where: str) -> tuple[bytes, str]:
    """One file of an archive, and its name.

    Args:
        data: The archive.
        member: The file's name in it; empty for the only table.
        where: What messages call the archive.

    Raises: DataLoadError: there is no such file, more than one table, a password, damage, or it expands beyond measure.
    """
    archive = _archive(data, where)
    info = _choose(archive, member, where)
    if info.flag_bits & 1:
        raise DataLoadError(f"{where}: {show(info.filename)} in it needs a password; unpack it")
    try:
        with archive.open(info) as stream:
            content = _read(stream, max(info.compress_size, 1), where)
    except (
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise DataLoadError(f"{where}: {show(info.filename)} in it: damaged: {show_error(error)}") from None
    except zipfile.BadZipFile as error:
        raise DataLoadError(f"{where}: damaged: {show_error(error)}") from None
    if not content:
        raise DataLoadError(f"{where}: {show(info.filename)} in it is empty (0 bytes)")
    return content, info.filename


def _archive(data: bytes, where: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise DataLoadError(f"{where}: damaged or not zip: {show_error(error)}") from None


def _choose(archive: zipfile.ZipFile, member: str, where: str) -> zipfile.ZipInfo:
    files = [info for info in archive.infolist() if not info.is_dir() and not _is_hidden(info.filename)]
    names = [info.filename for info in files]
    if member:
        found = [info for info in archive.infolist() if info.filename == member]
        if not found:
            raise DataLoadError(
                f"{where}: no file {show(member)} in it{did_you_mean(member, names)}; there: {show_list(names)}"
            )
        return found[0]
    tables = [info for info in files if _is_table(info.filename)]
    if len(files) == 1 or len(tables) == 1:
        return (files if len(files) == 1 else tables)[0]
    if not files:
        raise DataLoadError(f"{where}: no file in it")
    shown = [info.filename for info in tables or files]
    raise DataLoadError(f"{where}: {len(shown)} files in it, choose one as {where}#NAME: {show_list(shown)}")


def _is_hidden(name: str) -> bool:
    """What systems add to archives."""
    return any(part == "__MACOSX" or part.startswith(".") or part == "Thumbs.db" for part in name.split("/"))


def _is_table(name: str) -> bool:
    bare = PurePosixPath(name.casefold())
    while bare.suffix in (".gz", ".zst", ".bz2", ".xz"):
        bare = bare.with_suffix("")
    return bare.suffix in TABLE_SUFFIXES and not READMES.match(bare.name)
