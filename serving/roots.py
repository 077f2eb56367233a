"""Which tables training may read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from configs.sources import mask_secrets, source_scheme
from errors import ConfigError, DataLoadError

UPLOADED = "upload:"
# The folder of one table, and its name; nothing that could lead elsewhere.
UPLOAD = re.compile(UPLOADED + r"([0-9a-f]{16})/[^/\\]+")


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

        A relative path is looked for in each folder. Links are followed first: what counts is where the file lies.

        Raises: DataLoadError: it is outside, or not there. What lies outside is not told.
        """
        if "\0" in asked or any(ord(letter) < ord(" ") for letter in asked):
            raise DataLoadError("dataset_path: control characters in it")
        if asked.startswith(UPLOADED):
            return self._uploaded(asked)
        if source_scheme(asked):
            return self._remote(asked)
        inside = [real for folder in self._folders if (real := _inside(folder, asked)) is not None]
        if not inside:
            raise DataLoadError(f"dataset_path={asked!r}: outside of what is allowed; {self._allowed()}")
        found = next((real for real in inside if real.is_file()), None)
        if found is None:
            raise DataLoadError(f"dataset_path={asked!r}: no such file; {self._allowed()}")
        return str(found)

    def _uploaded(self, asked: str) -> str:
        path = None
        if UPLOAD.fullmatch(asked):
            path = _inside(self._uploads.resolve(), asked.removeprefix(UPLOADED))
        if path is None or not path.is_file():
            raise DataLoadError(
                f"dataset_path={asked!r}: no such upload; POST /api/ml/train/tables makes one"
            )
        return str(path)

    def _remote(self, asked: str) -> str:
        parts = asked.replace("\\", "/").split("/")
        if ".." not in parts and any(_begins(asked, prefix) for prefix in self._prefixes):
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
    return None if found is None else found[1]


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


def _inside(folder: Path, asked: str) -> Path | None:
    """Where a path leads, if that is in the folder."""
    try:
        real = Path(os.path.realpath(folder / asked))
        real.is_file()
    except (OSError, ValueError):  # such as a name that is too long
        return None
    return real if real.is_relative_to(folder) else None
