"""A registered version, and what lists say of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ensembles.bundle import read_manifest


@dataclass(frozen=True)
class ModelVersion:
    """One registered version.

    Attributes:
        name: Model name.
        version: 1, 2, ...
        bundle_id: Identity of its content.
        location: Where its bundle lies: a path or a URI.
        aliases: Aliases that point at it.
        registered: When it was registered, as time.time().
    """

    name: str
    version: int
    bundle_id: str
    location: str
    aliases: tuple[str, ...] = ()
    registered: float = 0.0
    _fetch: Callable[[], Path] = field(default=Path, repr=False, compare=False)
    _fetch_manifest: Callable[[], Path] = field(default=Path, repr=False, compare=False)

    @property
    def model_id(self) -> str:
        """`name:version`, which names this version forever."""
        return f"{self.name}:{self.version}"

    def fetch(self) -> Path:
        """Its bundle's folder on this machine; from an object store it is brought once, into a cache.

        Raises: BundleError: the store's copy is damaged. ConfigError: the store does not answer.
        """
        return self._fetch()

    def manifest(self) -> dict[str, Any]:
        """The bundle's manifest, without bringing the rest of it."""
        return read_manifest(self._fetch_manifest())


def version_row(version: ModelVersion) -> dict[str, Any]:
    """A version in a few plain values, for lists."""
    manifest = version.manifest()
    return {
        "model_id": version.model_id,
        "aliases": list(version.aliases),
        "problem_type": manifest["problem_type"],
        "target": manifest["target"],
        "metric": manifest["metric"],
        "oof_score": manifest["scores"]["oof"],
        "test_score": manifest["scores"]["test"].get("ensemble", {}).get(manifest["metric"]),
        "n_members": len(manifest["members"]),
        "n_features": len(manifest["features"]),
        "created": time.strftime("%Y-%m-%d %H:%M", time.gmtime(manifest["created"])),
        "path": version.location,
    }
