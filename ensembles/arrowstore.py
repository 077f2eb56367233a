"""A registry on an object store, through pyarrow.

pyarrow offers no "create unless there is one". So a file that only one writer may make is first claimed: every writer
puts a claim of its own, waits until no claim can come that is not younger, and lists them. The oldest by the store's
own clock wins (equal times: the first by name), and whoever sees that writes the winner's content to its place, so
that a winner that died holds nobody up. A claim is removed only once the file is there.

What this rests on: lists show all that was written before (S3, Google Cloud Storage), and the clocks of one store's
servers differ by less than SETTLE_S minus the second to which they are told.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow.fs as pafs

from configs.sources import mask_secrets, source_scheme
from data.objectstore import open_objects, store_error
from data.reach import is_unreachable
from ensembles.bundle import file_hashes, read_manifest
from errors import BundleError, ConfigError, DataLoadError, UnreachableError

SETTLE_S = 2.0
CLAIMS = "claims"
MANIFEST = "manifest.json"
N_TRANSFERS = 8
CHUNK_BYTES = 1 << 22


class ArrowStore:
    """A folder of a pyarrow file system.

    Args:
        uri: s3://bucket/folder, gs://bucket/folder, or what else pyarrow knows; options as for data.source.
        settle_s: How long a claim is waited for.

    Raises: ConfigError: there is no such file system, or it does not answer.
    """

    def __init__(self, uri: str, settle_s: float = SETTLE_S) -> None:
        self.where = mask_secrets(uri).partition("?")[0].rstrip("/")
        self._scheme = source_scheme(uri)
        self._settle_s = settle_s
        try:
            with self._named("opened"):
                self._files, self._root = open_objects(uri)
        except DataLoadError as error:
            raise ConfigError(f"registry {error}") from None
        if not self._root:
            raise ConfigError(f"registry {self.where}: expected {self._scheme}://BUCKET or .../FOLDER in it")

    def names(self, folder: str) -> list[str]:
        """Names in a folder; claims are none."""
        # Google Cloud Storage, as pyarrow shows it, has files only: a folder is seen by what is in it.
        found = self._list(folder, recursive=self._scheme == "gs")
        prefix = f"{self._at(folder).rstrip('/')}/"
        return sorted({i.path.removeprefix(prefix).partition("/")[0] for i in found} - {CLAIMS})

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        with self._named("read"):
            return self._files.get_file_info(self._at(path)).type == pafs.FileType.File

    def read(self, path: str) -> bytes:
        """A file's content."""
        with self._named("read", FileNotFoundError), self._files.open_input_stream(self._at(path)) as stream:
            return stream.read()

    def create(self, path: str, content: bytes) -> bool:
        """Claim the path, and write the file of whoever was first.

        Raises: ConfigError: the store refuses.
        """
        if self.has(path):
            return False
        folder, _, name = path.rpartition("/")
        claims = f"{folder}/{CLAIMS}"
        mine = f"{name}.{uuid.uuid4().hex}"
        self._write(f"{claims}/{mine}", content)
        time.sleep(self._settle_s)
        # The claims are listed before the file is looked for: who sees a claim gone then sees the file.
        rivals = sorted(self._list(claims), key=lambda i: (self._time(i), i.base_name))
        ours = [i.base_name for i in rivals if i.base_name.startswith(f"{name}.")]
        left = [i.base_name for i in rivals if i.base_name < name]  # by writers that died since
        if not self.has(path):
            self._write(path, content if ours[0] == mine else self._claimed(f"{claims}/{ours[0]}", path))
        won = self.read(path) == content
        for claim in [*ours, *left] if won else [mine]:
            self._remove_file(f"{claims}/{claim}")
        return won

    def put_folder(self, source: Path, path: str) -> None:
        """Copy in, the manifest last, so that a folder with one is whole.

        Raises: ConfigError: the store refuses.
        """
        if self.has(f"{path}/{MANIFEST}"):
            return
        files = [p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()]
        files.sort(key=lambda name: name == MANIFEST)

        def send(name: str) -> None:
            self._copy(lambda: (source / name).open("rb"), lambda: self._writer(f"{path}/{name}"), "written")

        with ThreadPoolExecutor(N_TRANSFERS) as pool:
            list(pool.map(send, files[:-1]))
        send(files[-1])

    def fetch(self, path: str, bundle_id: str) -> Path:
        """The bundle in this machine's cache; what is not there, or damaged there, is brought.

        Raises: BundleError: the store's copy is damaged. ConfigError: the store refuses.
        """
        cached = cache_folder() / bundle_id
        if not _is_whole(cached, bundle_id):
            beside = cached.with_name(f".{bundle_id}.{uuid.uuid4().hex}")
            try:
                self._bring(path, beside)
                if not _is_whole(beside, bundle_id):
                    raise BundleError(f"{self.location(path)}: its files are not those that were registered")
                _replace(beside, cached)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
        return cached

    def fetch_manifest(self, path: str, bundle_id: str) -> Path:
        """The manifest alone, in this machine's cache, unless the whole bundle is there."""
        if (cache_folder() / bundle_id / MANIFEST).is_file():
            return cache_folder() / bundle_id
        folder = cache_folder() / "manifests" / bundle_id
        if not (folder / MANIFEST).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            beside = folder / f".{uuid.uuid4().hex}"
            beside.write_bytes(self.read(f"{path}/{MANIFEST}"))
            beside.replace(folder / MANIFEST)
        return folder

    def remove_folder(self, path: str) -> None:
        """Remove a folder's files, the manifest first."""
        self._remove_file(f"{path}/{MANIFEST}")
        root = self._at(path)
        for info in self._list(path, recursive=True):
            if info.type == pafs.FileType.File:
                self._remove_file(f"{path}/{info.path.removeprefix(f'{root}/')}")
        with self._named("written"):
            if self._files.get_file_info(root).type == pafs.FileType.Directory:
                self._files.delete_dir(root)

    def location(self, path: str) -> str:
        """The path's URI."""
        return f"{self.where}/{path}"

    def _bring(self, path: str, target: Path) -> None:
        root = self._at(path)
        found = self._list(path, recursive=True)
        names = [i.path.removeprefix(f"{root}/") for i in found if i.type == pafs.FileType.File]

        def bring(name: str) -> None:
            to = target / name
            to.parent.mkdir(parents=True, exist_ok=True)
            self._copy(
                lambda: self._files.open_input_stream(f"{root}/{name}", compression=None),
                lambda: to.open("wb"),
                "read",
            )

        with ThreadPoolExecutor(N_TRANSFERS) as pool:
            list(pool.map(bring, names))

    def _copy(self, source: Callable, target: Callable, done: str) -> None:
        with self._named(done), source() as reader, target() as writer:
            while chunk := reader.read(CHUNK_BYTES):
                writer.write(chunk)

    def _claimed(self, claim: str, path: str) -> bytes:
        """The content of another writer's claim; where it is gone, that of the file made of it."""
        try:
            return self.read(claim)
        except FileNotFoundError:
            return self.read(path)

    def _time(self, info: pafs.FileInfo) -> int:
        if info.mtime_ns is None:
            raise ConfigError(f"registry {self.where}: this file system does not say when a file was made")
        return info.mtime_ns

    def _list(self, folder: str, recursive: bool = False) -> list[pafs.FileInfo]:
        with self._named("read"):
            root = self._at(folder).rstrip("/")
            return self._files.get_file_info(pafs.FileSelector(root, True, recursive))

    def _write(self, path: str, content: bytes) -> None:
        with self._named("written"), self._writer(path) as stream:
            stream.write(content)

    def _writer(self, path: str) -> pafs.NativeFile:
        return self._files.open_output_stream(self._at(path), compression=None)

    def _remove_file(self, path: str) -> None:
        with self._named("written", FileNotFoundError):
            try:
                self._files.delete_file(self._at(path))
            except FileNotFoundError:
                return

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _named(self, done: str, *passed: type[OSError]) -> Iterator[None]:
        """Say of an error whose it is; those named are passed on."""
        try:
            yield
        except passed:
            raise
        except (OSError, ValueError) as error:
            reason = store_error(error, self._scheme)
            kind = UnreachableError if is_unreachable(error) else ConfigError
            raise kind(f"registry {self.where}: cannot be {done}: {reason}") from None


def cache_folder() -> Path:
    """Where bundles from far away are kept: TABULARAY_CACHE, else the user's cache."""
    if own := os.environ.get("TABULARAY_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tabularay" / "bundles"


def _is_whole(folder: Path, bundle_id: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        manifest = read_manifest(folder)
    except BundleError:
        return False
    return manifest["bundle_id"] == bundle_id and file_hashes(folder) == manifest["files"]


def _replace(beside: Path, target: Path) -> None:
    """Put a whole folder where none or a damaged one is; another process may do the same."""
    old = beside.with_name(f"{beside.name}.old")
    try:
        if target.exists():
            os.rename(target, old)
        os.rename(beside, target)
    except OSError:
        if not _is_whole(target, target.name):
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
