"""What a file is, by its content: a table of some format, a packing of one, or something else by its name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from configs.sources import JSON_SUFFIXES, TEXT_SUFFIXES
from errors import DataLoadError

PACKINGS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
TABLES = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow", b"FEA1": "feather"}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
STRANGERS = {
    OLE: "an Office file of before 2007, or one with a password (.xls); save it as .xlsx or CSV",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"\x89HDF": "an HDF5 file; write its table as Parquet or CSV",
    b"Obj\x01": "an Avro file; write it as Parquet",
    b"ORC": "an ORC file; write it as Parquet",
    b"\x93NUMPY": "a NumPy array; write it as CSV with a header",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"RDX2": "an R file; write its table as CSV or Parquet",
    b"RDX3": "an R file; write its table as CSV or Parquet",
    b"X\n\x00\x00": "an R file; write its table as CSV or Parquet",
    b"<stata_dta>": "a Stata file; write its table as CSV or Parquet",
    b"$FL2": "an SPSS file; write its table as CSV or Parquet",
    b"$FL3": "an SPSS file; write its table as CSV or Parquet",
    b"version https://git-lfs.github.com": "a Git LFS pointer, not the file itself; fetch it: git lfs pull",
    b"%!PS": "a PostScript document",
    b"{\\rtf": "a rich text document",
    b"#!/": "a script",
    b"\x00" * 12 + b"\xc2\xea\x81\x60": "a SAS file; write its table as CSV or Parquet",
}
SQLITE = b"SQLite format 3\x00"
PICKLE = re.compile(rb"\x80[\x02-\x05]")
MARKUP = re.compile(rb"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
XML = re.compile(rb"\s*<(\?xml|svg)\b", re.IGNORECASE)
ONNX = re.compile(rb"\x08[\x01-\x14]\x12.{1,40}?(pytorch|onnx|skl2onnx|tf2onnx)", re.DOTALL)
JSON_START = re.compile(r"\s*[\[{]")


def packing(data: bytes) -> str:
    """What the bytes are packed with; empty for nothing."""
    return next((name for magic, name in PACKINGS.items() if data.startswith(magic)), "")


def binary_kind(data: bytes) -> str:
    """parquet, arrow or feather; empty for another file."""
    return next((name for magic, name in TABLES.items() if data.startswith(magic)), "")


def check_no_stranger(data: bytes, where: str) -> None:
    """Refuse what is no table by saying what it is.

    Raises: DataLoadError: it is a database, a document, an image, a page of the web, a pickle, ...
    """
    kind = next((name for magic, name in STRANGERS.items() if data.startswith(magic)), "")
    if data.startswith(SQLITE):
        kind = f"a SQLite database; read a table of it: sql:sqlite:///{where}#TABLE"
    elif MARKUP.match(data[:1000].removeprefix(b"\xef\xbb\xbf")):
        kind = "a web page (HTML), perhaps one that asks to sign in"
    elif XML.match(data[:1000].removeprefix(b"\xef\xbb\xbf")):
        kind = "an XML document"
    elif PICKLE.match(data) and b"." in data[-2:]:
        kind = "a pickle, which is never loaded as it may run anything; write its table as Parquet"
    elif ONNX.match(data[:200]):
        kind = "a model (ONNX)"
    if kind:
        raise DataLoadError(f"{where}: not a table: {kind}")


def text_kind(text: str, name: str) -> str:
    """csv, json or jsonl: what a text is, whatever its suffix says.

    Args:
        text: Its beginning, which is not blank.
        name: Of the file; decides where the content leaves it open.
    """
    suffix = PurePosixPath(name.casefold()).suffix
    says_json = suffix in JSON_SUFFIXES
    if not JSON_START.match(text):
        looks_delimited = says_json and _is_delimited(text)
        return "csv" if looks_delimited or not says_json else _json_of(suffix)
    if says_json:
        return _json_of(suffix)
    return "json" if re.match(r"\s*(\[\s*([\[{]|\])|\{\s*(\"|\}))", text) else "csv"


def _json_of(suffix: str) -> str:
    return "json" if suffix == ".json" else "jsonl"


def _is_delimited(text: str) -> bool:
    """Whether a text that no JSON begins with has a header and a row, of as many cells each."""
    lines = [line for line in text.splitlines()[:3] if line.strip()]
    if len(lines) < 2 or text.lstrip()[0] in '"-0123456789':  # noqa: PLR2004
        return False
    return any(lines[0].count(mark) and lines[0].count(mark) == lines[1].count(mark) for mark in ",;\t|")


def says_text(name: str) -> bool:
    """Whether a name says that a file is delimited text, so that one column is enough."""
    return PurePosixPath(name.casefold()).suffix in TEXT_SUFFIXES
