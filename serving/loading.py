"""Versions in memory: each is loaded once, proved before anyone gets it, and dropped when it was not used for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from ensembles.bundle import Bundle, load_bundle
from ensembles.versions import ModelVersion
from errors import BundleError, TabularayError

MAX_LOADED = 4


@dataclass(eq=False)
class Loaded:
    """A version in memory.

    Attributes:
        model_id: `name:version`.
        bundle: The model.
        answerer: Whatever answers requests with it; set by the hook that prepares it.
        used: When it was last asked for by name, as time.monotonic().
    """

    model_id: str
    bundle: Bundle
    answerer: Any = None
    used: float = field(default_factory=time.monotonic)


def prepare_nothing(loaded: Loaded) -> None:
    """Leave a version as it is."""


class LoadedVersions:
    """The versions in memory. Loading may be called from several threads; reading takes no lock.

    Args:
        n_threads: Threads of a prediction.
        prepare: Called with each version when it is proved and before it is handed out; a version for which it
            raises counts as damaged.
    """

    def __init__(self, n_threads: int, prepare: Callable[[Loaded], None] = prepare_nothing) -> None:
        self._n_threads = n_threads
        self._prepare = prepare
        self._loaded: dict[str, Loaded] = {}
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}

    def find(self, model_id: str) -> Loaded | None:
        """A version in memory, by its full id."""
        loaded = self._loaded.get(model_id)
        if loaded is not None:
            loaded.used = time.monotonic()
        return loaded

    def ids(self) -> list[str]:
        """Ids of what is in memory."""
        return sorted(self._loaded)

    def load(self, version: ModelVersion) -> Loaded:
        """Load a version unless it is there: check every byte, replay its golden rows, prepare it.

        Raises: BundleError: it is damaged or fails. ConfigError: its store does not answer.
        """
        with self._lock:
            turn = self._loading.setdefault(version.model_id, threading.Lock())
        with turn:
            found = self.find(version.model_id)
            if found is not None and found.bundle.bundle_id == version.bundle_id:
                return found
            loaded = self._prove(version)
            with self._lock:
                self._loaded = {**self._loaded, version.model_id: loaded}
        return loaded

    def drop_unused(self, in_use: Collection[Loaded]) -> None:
        """Keep what is in use, and of the others those asked for last; requests in flight keep theirs until done."""
        with self._lock:
            others = [loaded for loaded in self._loaded.values() if loaded not in in_use]
            others.sort(key=lambda loaded: loaded.used, reverse=True)
            gone = {loaded.model_id for loaded in others[MAX_LOADED:]}
            if gone:
                self._loaded = {k: v for k, v in self._loaded.items() if k not in gone}

    def _prove(self, version: ModelVersion) -> Loaded:
        path = version.fetch()
        try:
            loaded = Loaded(version.model_id, load_bundle(path, self._n_threads))
            self._prepare(loaded)
        except TabularayError as error:
            raise BundleError(f"{version.model_id}: {error}") from error
        except Exception as error:
            raise BundleError(f"{version.model_id}: cannot be loaded: {error!r}") from error
        return loaded
