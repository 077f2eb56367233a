"""What a source's text says before anything is read: its scheme, its short name, and what of it is secret."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import parse_qs

TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
PACKED_SUFFIXES = (".gz", ".zst")
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
    """The short name of a table: a file's name without suffixes, a Redis key, a table's name without schema."""
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


def _file_name(path: str) -> str:
    name = path.rstrip("/").rpartition("/")[2]
    for suffixes in (PACKED_SUFFIXES, TABLE_SUFFIXES):
        ending = next((s for s in suffixes if name.casefold().endswith(s)), "")
        name = name[: len(name) - len(ending)]
    return name
