"""What the registry says is to be served, and what is to be tried on traffic."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from configs.schema import ServingConfig
from ensembles.registry import PRODUCTION, Registry
from ensembles.rollouts import Plan, Rollout
from ensembles.versions import ModelVersion
from errors import ModelNotFoundError

CANDIDATE = "candidate"


@dataclass(frozen=True)
class Wanted:
    """What is to be served.

    Attributes:
        version: By default.
        position: The journal's last event when it was read.
        rollout: What is on trial.
        candidate: The version of that.
        names: Each name by which a version can be asked for, and the version's id.
    """

    version: ModelVersion
    position: int
    rollout: Rollout | None
    candidate: ModelVersion | None
    names: dict[str, str]


class Wishes:
    """A registry as one served model sees it.

    Args:
        registry: The registry.
        default: The model that is served: NAME, NAME:VERSION or NAME@ALIAS.
        config: What is on trial by configuration.
    """

    def __init__(self, registry: Registry, default: str, config: ServingConfig) -> None:
        self.registry = registry
        self.default = default
        self.name = default.partition(":")[0].partition("@")[0]
        self.alias = default.partition("@")[2] or PRODUCTION
        self._config = config

    def read(self, others: Iterable[str] = ()) -> Wanted:
        """Read it now.

        Args:
            others: Other models, whose names are wanted too.

        Raises: ModelNotFoundError: no such model any more. BundleError: its journal is damaged. ConfigError, OSError:
            the registry does not answer.
        """
        registry = self.registry
        version = registry.resolve(self.default)
        rollout = registry.rollout(self.name) or self._configured(version)
        candidate = None
        if rollout is not None:
            candidate = registry.resolve(f"{self.name}:{rollout.version}")
        if candidate == version:
            rollout = candidate = None
        names = self.names(self.name)
        for other in others:
            with suppress(
                ModelNotFoundError
            ):  # all its versions are deleted; then nothing means them any more
                names |= self.names(other)
        return Wanted(version, registry.position(self.name), rollout, candidate, names)

    def names(self, name: str) -> dict[str, str]:
        """Each name of a model's versions, and the id that it means; of the served model also the bare aliases.

        Raises: ModelNotFoundError: no such model.
        """
        found = {}
        for version in self.registry.versions(name):
            found[version.model_id] = version.model_id
            for alias in version.aliases:
                found[f"{name}@{alias}"] = version.model_id
                if name == self.name:
                    found[alias] = version.model_id
        if f"{name}@{PRODUCTION}" in found:
            found[name] = found[f"{name}@{PRODUCTION}"]
        return found

    def resolve(self, model_id: str) -> ModelVersion:
        """Find a version; besides the registry's forms, an alias alone means that of the served model.

        Raises: ModelNotFoundError: there is none.
        """
        try:
            return self.registry.resolve(model_id)
        except ModelNotFoundError:
            if model_id in self.names(self.name):
                return self.registry.resolve(f"{self.name}@{model_id}")
            raise

    def _configured(self, version: ModelVersion) -> Rollout | None:
        """The rollout that the configuration asks for, unless its version was withdrawn."""
        config = self._config
        if not config.canary_share:
            return None
        found = next((v for v in self.registry.versions(self.name) if CANDIDATE in v.aliases), None)
        if found is None or found == version or found.version in self.registry.withdrawn(self.name):
            return None
        limits = (config.canary_promote, config.canary_requests, config.canary_latency_ratio)
        return Rollout(0, found.version, self.alias, Plan("canary", config.canary_share, *limits))
