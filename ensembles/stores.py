"""Where a registry's files lie: a local folder, or (in arrowstore.py) any file system of pyarrow."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from configs.sources import source_scheme
from errors import ConfigError

STALE_S = 24 * 3600


class Store(Protocol):
    """Files and folders by relative path; what is there is never changed, only added and removed.

    Attributes:
        where: The root as users write it, without secrets.
    """

    where: str

    def names(self, folder: str) -> list[str]:
        """Names in a folder, in order, without unfinished ones; none where there is no such folder."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""

    def read(self, path: str) -> bytes:
        """A file's content.

        Raises: FileNotFoundError: there is no such file.
        """

    def create(self, path: str, content: bytes) -> bool:
        """Write a file that must not be there; of several writers exactly one is told True.

        Args:
            path: Where to.
            content: Differs from what any other writer would write there.
        """

    def put_folder(self, source: Path, path: str) -> None:
        """Copy a local folder in, whole or not at all; one that is there already is left alone."""

    def fetch(self, path: str, bundle_id: str) -> Path:
        """A bundle's folder on this machine."""

    def fetch_manifest(self, path: str, bundle_id: str) -> Path:
        """A folder on this machine with a bundle's manifest, and perhaps with nothing else of it."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder; nothing happens where there is none."""

    def location(self, path: str) -> str:
        """The path as users write it."""


class LocalStore:
    """A folder of this machine, or one that several machines share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.where = str(root)

    def names(self, folder: str) -> list[str]:
        """Names in a folder."""
        try:
            return sorted(n for n in os.listdir(self.root / folder) if not n.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def check_writable(self) -> None:
        """Find out whether something can be written, by writing it and taking it away again.

        Raises: ConfigError: it cannot.
        """
        there = next((folder for folder in (self.root, *self.root.parents) if folder.exists()), self.root)
        probe = there / f".probe-{uuid.uuid4().hex}"
        try:
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            raise ConfigError(
                f"registry={self.where}: cannot be written: {error.strerror} ({there})"
            ) from None

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return (self.root / path).is_file()

    def read(self, path: str) -> bytes:
        """A file's content."""
        return (self.root / path).read_bytes()

    def create(self, path: str, content: bytes) -> bool:
        """Write a file beside its place, then link it there, which fails where one is.

        Raises: ConfigError: the folder cannot be written, or its file system has no hard links.
        """
        target = self.root / path
        beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(content)
            _sync(beside)
            os.link(beside, target)
            _sync(target.parent)
        except FileExistsError:
            return self.read(path) == content  # over NFS a link can be made and its answer lost
        except OSError as error:
            raise ConfigError(f"registry {self.where}: cannot be written: {error}") from None
        finally:
            beside.unlink(missing_ok=True)
        return True

    def put_folder(self, source: Path, path: str) -> None:
        """Copy beside, then rename.

        Raises: ConfigError: the folder cannot be written.
        """
        target = self.root / path
        if target.exists():
            return
        beside = target.with_name(f".{uuid.uuid4().hex}.new")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(target.parent)
            shutil.copytree(source, beside)
            for file in beside.rglob("*"):
                _sync(file)
            os.rename(beside, target)
            _sync(target.parent)
        except OSError as error:
            if not target.exists():  # another writer brought the same
                raise ConfigError(f"registry {self.where}: cannot be written: {error}") from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def fetch(self, path: str, bundle_id: str) -> Path:
        """The folder itself."""
        return self.root / path

    def fetch_manifest(self, path: str, bundle_id: str) -> Path:
        """The folder itself."""
        return self.fetch(path, bundle_id)

    def remove_folder(self, path: str) -> None:
        """Rename, then remove, so that no half of it is ever seen."""
        target = self.root / path
        beside = target.with_name(f".{uuid.uuid4().hex}.old")
        try:
            os.rename(target, beside)
            shutil.rmtree(beside)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"registry {self.where}: cannot be written: {error}") from None

    def location(self, path: str) -> str:
        """The path on this machine."""
        return str(self.root / path)


def open_store(where: str | Path) -> Store:
    """The store that a path or a URI names.

    Raises: ConfigError: pyarrow has no such file system, or it does not answer.
    """
    scheme = source_scheme(str(where))
    if scheme in ("", "file"):
        return LocalStore(Path(str(where).removeprefix("file://")))
    from ensembles.arrowstore import ArrowStore  # noqa: PLC0415 - a local registry needs no pyarrow

    return ArrowStore(str(where))


def _sync(path: Path) -> None:
    """Have the disk hold it, before a name that is trusted points at it."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove_stale(folder: Path) -> None:
    """Remove what writers that were killed long ago have left."""
    for left in [*folder.glob(".*.new"), *folder.glob(".*.old")]:
        with suppress(FileNotFoundError):  # its writer has just finished with it
            if time.time() - left.stat().st_mtime > STALE_S:
                shutil.rmtree(left, ignore_errors=True)
