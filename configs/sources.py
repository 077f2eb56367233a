"""What a source's text says before anything is read: its scheme, its short name, and what of it is secret."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qs

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".dat")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
BINARY_SUFFIXES = (".parquet", ".parq", ".pqt", ".arrow", ".feather", ".xlsx")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, *JSON_SUFFIXES, *BINARY_SUFFIXES)
PACKED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz", ".zip")
STDIN = "-"
# What makes a path a pattern of several files.
WILD = re.compile(r"[*?\[]")
SECRET_OPTION = re.compile(r"([?&][\w.-]*(?:passw|pwd|secret|token)[\w.-]*=)[^&#\s]*", re.IGNORECASE)


def source_scheme(source: str) -> str:
    """redis, sql, s3, gs or whatever else stands before the colon; empty for a path."""
    match = re.match(r"(redis|rediss|sql):|([a-z][a-z0-9+.-]*)://", source, re.IGNORECASE)
    return (match[1] or match[2]).lower() if match else ""


def mask_secrets(text: str) -> str:
    """The text with *** for the password, key or token of a URL in it.

    Masks too much rather than too little where a password holds characters that a URL would have escaped.
    """
    text = SECRET_OPTION.sub(r"\1***", text)
    return re.sub(r"(//[^\s:/?#@]*:)(.*)", _mask_password, text, flags=re.DOTALL)


def _mask_password(match: re.Match[str]) -> str:
    before, rest = match.groups()
    url, mark, wanted = rest.partition("#")
    if "@" in url:
        return f"{before}***{url[url.rindex('@') :]}{mark}{mask_secrets(wanted)}"
    is_port = re.match(r"\d*(?![^/?#\s])", rest)
    if not is_port and "@" in rest:  # a password with a raw #
        return f"{before}***{rest[rest.rindex('@') :]}"
    return before + mask_secrets(rest)


def source_name(source: str) -> str:
    """The short name of a table.

    A file's name without suffixes (of the sheet or the file in it that was chosen, too), a Redis key, a table's
    name without schema, stdin.
    """
    if source == STDIN:
        return "stdin"
    source = mask_secrets(source)
    scheme = source_scheme(source)
    rest = source[len(scheme) + 1 :] if scheme else source
    if scheme in ("redis", "rediss"):
        keys = parse_qs(rest.partition("?")[2]).get("key") if rest.startswith("//") else [rest]
        return keys[0] if keys else ""
    if scheme == "sql":
        return _sql_name(rest)
    return _file_name(rest.partition("?")[0] if scheme else rest)


def _sql_name(rest: str) -> str:
    """The table, the first table of a query, or the database."""
    url, _, wanted = rest.partition("#")
    if len(wanted.split()) > 1:
        table = re.search(r"\bfrom\s+([\w.\"]+)", wanted, re.IGNORECASE)
        wanted = table[1] if table else ""
    name = wanted.strip().replace('"', "").rpartition(".")[2]
    return name or PurePosixPath(url.partition("?")[0]).stem


def split_member(path: str) -> tuple[str, str]:
    """A path and what is meant in it: the sheet of a workbook, or the file of an archive; empty for all of it."""
    file, mark, member = path.rpartition("#")
    is_holder = file.casefold().endswith((".zip", ".xlsx", ".xlsm", ".xlsb", ".ods"))
    return (file, member) if mark and is_holder and member else (path, "")


def is_pattern(path: str) -> bool:
    """Whether a path may stand for several files."""
    return bool(WILD.search(path))


def _file_name(path: str) -> str:
    path, member = split_member(path)
    path = path.rstrip("/")
    name = _bare(path.rpartition("/")[2])
    if is_pattern(name):
        name = re.sub(r"[*?\[\]!-]+", "-", name).strip("-_.") or path.rpartition("/")[0].rpartition("/")[2]
    if not member:
        return name
    return _bare(member.rpartition("/")[2]) if path.casefold().endswith(".zip") else f"{name}_{member}"


def _bare(name: str) -> str:
    for suffixes in (PACKED_SUFFIXES, TABLE_SUFFIXES):
        ending = next((s for s in suffixes if name.casefold().endswith(s)), "")
        name = name[: len(name) - len(ending)]
    return name
