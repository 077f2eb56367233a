"""The models a replica has loaded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ensembles.bundle import Bundle, load_bundle
from ensembles.registry import ModelVersion, Registry
from errors import ModelNotFoundError

MAX_LOADED = 4


@dataclass
class Loaded:
    """A version in memory."""

    model_id: str
    bundle: Bundle
    answerer: Any = None


class LoadedModels:
    """Bundles in memory, the least recently used one dropped first.

    Args:
        registry: Where models are registered.
        default: The model served when a request names none.
        n_threads: Threads of a prediction.
        prepare: Called with every version before it is asked.
    """

    def __init__(
        self, registry: str | Path, default: str, n_threads: int, prepare: Callable[[Loaded], None]
    ) -> None:
        self.registry = Registry(registry)
        self.default = default
        self.n_threads = n_threads
        self._prepare = prepare
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._served = self.get()

    def resolve(self, model_id: str | None = None) -> ModelVersion:
        """Find a version; besides the registry's forms, an alias alone means that of the default model.

        Raises: ModelNotFoundError: there is none.
        """
        if model_id is None:
            return self.registry.resolve(self.default)
        try:
            return self.registry.resolve(model_id)
        except ModelNotFoundError:
            name = self.registry.resolve(self.default).name
            if any(model_id in v.aliases for v in self.registry.versions(name)):
                return self.registry.resolve(f"{name}@{model_id}")
            raise

    def get(self, model_id: str | None = None) -> Loaded:
        """A version's id and its loaded bundle.

        Raises: ModelNotFoundError: no such version. BundleError: it is damaged.
        """
        version = self.resolve(model_id)
        if version.model_id not in self._loaded:
            loaded = Loaded(version.model_id, load_bundle(version.fetch(), self.n_threads))
            self._prepare(loaded)
            self._loaded[version.model_id] = loaded
            if len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(version.model_id)
        return self._loaded[version.model_id]

    def pick(self) -> Loaded:
        return self._served

    def find(self, model_id: str) -> Loaded | None:
        return self._loaded.get(model_id)

    async def load(self, model_id: str) -> Loaded:
        return await asyncio.to_thread(self.get, model_id)

    def observe(self, loaded: Loaded, X: np.ndarray, mean: np.ndarray) -> None:
        pass

    def status(self) -> dict[str, Any]:
        return {"production": self._served.model_id}
