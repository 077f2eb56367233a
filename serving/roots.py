"""Which tables training may read."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from urllib.parse import unquote

from configs.sources import STDIN, is_pattern, mask_secrets, source_scheme, split_member
from errors import ConfigError, DataLoadError

UPLOADED = "upload:"
# The folder of one table, its name, and what is meant in it; nothing that could lead elsewhere.
UPLOAD = re.compile(UPLOADED + r"([0-9a-f]{16}/[^/\\#]+)(?:#(.+))?")


class Roots:
    """Folders and beginnings of sources that tables may be read from.

    Args:
        roots: As in serving.training.roots; relative folders are those of this process.
        uploads: Folder of the tables that clients have sent.

    Raises: ConfigError: a root is no folder, or would allow everything.
    """

    def __init__(self, roots: Sequence[str], uploads: Path) -> None:
        self._uploads = uploads
        self._prefixes = tuple(root for root in roots if source_scheme(root))
        self._folders = tuple(_folder(root) for root in roots if not source_scheme(root))

    def source(self, asked: str) -> str:
        """The source to read for a client's dataset_path.

        A relative path is looked for in each folder. Links are followed first: what counts is where the file lies,
        every file of a pattern, and the file that a sheet or another file is taken from.

        Raises: DataLoadError: it is outside, or not there. What lies outside is not told.
        """
        if "\0" in asked or any(ord(letter) < ord(" ") for letter in asked):
            raise DataLoadError("dataset_path: control characters in it")
        if asked.startswith(UPLOADED):
            return self._uploaded(asked)
        if source_scheme(asked):
            return self._remote(asked)
        if asked == STDIN:
            raise DataLoadError(f"dataset_path={asked!r}: there is no standard input here; {self._allowed()}")
        inside = [real for folder in self._folders if (real := _inside(folder, asked)) is not None]
        if not inside:
            raise DataLoadError(f"dataset_path={asked!r}: outside of what is allowed; {self._allowed()}")
        found = next((real for real in inside if real.is_file()), None)
        if found is None:
            found = next((place for folder in self._folders if (place := _within(folder, asked))), None)
        if found is None:
            raise DataLoadError(f"dataset_path={asked!r}: no such file; {self._allowed()}")
        return str(found)

    def _uploaded(self, asked: str) -> str:
        parts = UPLOAD.fullmatch(asked)
        path = _inside(self._uploads.resolve(), parts[1]) if parts else None
        if path is None or not path.is_file():
            raise DataLoadError(
                f"dataset_path={asked!r}: no such upload; POST /api/ml/train/tables makes one"
            )
        return f"{path}#{parts[2]}" if parts and parts[2] else str(path)

    def _remote(self, asked: str) -> str:
        # A server may take %2e%2e for .. as well, and once more unquoted.
        parts = unquote(unquote(asked)).replace("\\", "/").split("/")
        options = unquote(asked).partition("?")[2]
        leads_away = source_scheme(asked) in ("s3", "gs") and "endpoint_override" in options
        begins = any(_begins(asked, prefix) for prefix in self._prefixes)
        if asked in self._prefixes or (begins and ".." not in parts and not leads_away):
            return asked
        raise DataLoadError(f"dataset_path={mask_secrets(asked)!r}: not allowed; {self._allowed()}")

    def _allowed(self) -> str:
        names = [str(folder) for folder in self._folders] + [
            mask_secrets(prefix) for prefix in self._prefixes
        ]
        return f"serving.training.roots allows {', '.join(names) or 'nothing'}, and uploads"


def upload_of(dataset_path: str) -> str | None:
    """The folder of an uploaded table; None for another."""
    found = UPLOAD.fullmatch(dataset_path)
    return None if found is None else found[1].partition("/")[0]


def _begins(source: str, prefix: str) -> bool:
    """Whether a source is a prefix's own, or goes on with a new part of its path."""
    return source == prefix or (
        source.startswith(prefix) and (prefix[-1] in "/#:" or source[len(prefix)] in "/#")
    )


def _folder(root: str) -> Path:
    folder = Path(root).resolve()
    if not folder.is_dir():
        raise ConfigError(f"serving.training.roots: {root!r}: no such folder")
    if folder == Path(folder.anchor):
        raise ConfigError(
            f"serving.training.roots: {root!r} is {folder}, which allows every file of this machine; name the folders "
            "of the tables"
        )
    return folder


def _within(folder: Path, asked: str) -> str | None:
    """A sheet or file in a file of the folder, or a pattern all of whose files are in it, as a source; else None.

    The last part of a pattern alone may be one, so that no link to another folder is gone through.
    """
    file, member = split_member(asked)
    real = _inside(folder, file)
    if real is None:
        return None
    if member and real.is_file():
        return f"{real}#{member}"
    place = _inside(folder, str(PurePath(asked).parent))
    if member or place is None or not place.is_dir() or not is_pattern(PurePath(asked).name):
        return None
    if is_pattern(str(place)):  # a folder of such a name would be taken for one
        return None
    pattern = place / PurePath(asked).name
    found = glob.glob(str(pattern))
    return str(pattern) if found and all(_inside(folder, one) for one in found) else None


def _inside(folder: Path, asked: str) -> Path | None:
    """Where a path leads, if that is in the folder."""
    try:
        real = Path(os.path.realpath(folder / asked))
        real.is_file()
    except (OSError, ValueError):  # such as a name that is too long
        return None
    return real if real.is_relative_to(folder) else None
