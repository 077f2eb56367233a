"""The models a replica has loaded."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from ensembles.bundle import Bundle, load_bundle
from ensembles.registry import ModelVersion, Registry
from errors import ModelNotFoundError

MAX_LOADED = 4


class LoadedModels:
    """Bundles in memory, the least recently used one dropped first.

    Args:
        registry: Where models are registered.
        default: The model served when a request names none.
        n_threads: Threads of a prediction.
    """

    def __init__(self, registry: str | Path, default: str, n_threads: int) -> None:
        self.registry = Registry(registry)
        self.default = default
        self.n_threads = n_threads
        self._loaded: OrderedDict[str, Bundle] = OrderedDict()

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

    def get(self, model_id: str | None = None) -> tuple[str, Bundle]:
        """A version's id and its loaded bundle.

        Raises: ModelNotFoundError: no such version. BundleError: it is damaged.
        """
        version = self.resolve(model_id)
        if version.model_id not in self._loaded:
            self._loaded[version.model_id] = load_bundle(version.fetch(), self.n_threads)
            if len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(version.model_id)
        return version.model_id, self._loaded[version.model_id]
