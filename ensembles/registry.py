"""Named models: immutable versions, movable aliases, kept history.

<registry>/<name>/versions/3/       a bundle, never changed
<registry>/<name>/aliases.json      {"aliases": {"production": 3}, "history": [...]}
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ensembles.bundle import read_manifest
from errors import ConfigError, ModelNotFoundError

PRODUCTION = "production"


@dataclass(frozen=True)
class ModelVersion:
    """One registered version.

    Attributes:
        name: Model name.
        version: 1, 2, ...
        path: Its bundle.
        aliases: Aliases that point at it.
    """

    name: str
    version: int
    path: Path
    aliases: tuple[str, ...] = ()

    @property
    def model_id(self) -> str:
        """`name:version`, which names this version forever."""
        return f"{self.name}:{self.version}"

    def manifest(self) -> dict[str, Any]:
        """The bundle's manifest."""
        return read_manifest(self.path)


class Registry:
    """A folder of named models."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def names(self) -> list[str]:
        """Registered names, in order."""
        return sorted(p.parent.name for p in self.folder.glob("*/versions"))

    def versions(self, name: str) -> list[ModelVersion]:
        """Versions of a model, oldest first.

        Raises: ModelNotFoundError: no such name.
        """
        root = self._root(name)
        aliases = self._state(name)["aliases"]
        numbers = sorted(int(p.name) for p in (root / "versions").iterdir() if p.name.isdigit())
        return [
            ModelVersion(
                name, n, root / "versions" / str(n), tuple(sorted(a for a, v in aliases.items() if v == n))
            )
            for n in numbers
        ]

    def resolve(self, model_id: str) -> ModelVersion:
        """Find a version by `name`, `name:version` or `name@alias`; a bare name means its production version.

        Raises: ModelNotFoundError: no such name, version or alias; names what there is.
        """
        match = re.fullmatch(r"(?P<name>[^:@]+)(?::(?P<version>\d+)|@(?P<alias>[\w-]+))?", model_id)
        if match is None:
            raise ModelNotFoundError(f"'{model_id}': expected NAME, NAME:VERSION or NAME@ALIAS")
        versions = self.versions(match["name"])
        alias = match["alias"] or PRODUCTION
        for version in versions:
            if version.version == int(match["version"]) if match["version"] else alias in version.aliases:
                return version
        known = ", ".join(
            f"{v.model_id} ({', '.join(v.aliases)})" if v.aliases else v.model_id for v in versions
        )
        raise ModelNotFoundError(
            f"'{model_id}': no such version in {self.folder}; there is: {known or 'none'}"
        )

    def register(self, name: str, bundle: Path, alias: str | None = PRODUCTION) -> ModelVersion:
        """Copy a bundle in as the next version and point an alias at it.

        A bundle that is already registered under the name keeps its version.

        Raises: ConfigError: the name cannot be a folder. BundleError: not a bundle.
        """
        if not re.fullmatch(r"\w[\w.-]{0,99}", name):
            raise ConfigError(f"name={name!r}: expected letters, digits, '.', '_' and '-', at most 100")
        content = read_manifest(bundle)["bundle_id"]
        versions = self.folder / name / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        with self._locked(name):
            known = self.versions(name)
            same = [v for v in known if v.manifest()["bundle_id"] == content]
            number = same[0].version if same else max((v.version for v in known), default=0) + 1
            if not same:
                beside = versions / f".{number}.new"
                shutil.rmtree(beside, ignore_errors=True)
                shutil.copytree(bundle, beside)
                os.rename(beside, versions / str(number))
            if alias:
                self._point(name, alias, number, "register")
        return self.resolve(f"{name}:{number}")

    def promote(self, name: str, version: int, alias: str = PRODUCTION) -> ModelVersion:
        """Point an alias at a version.

        Raises: ModelNotFoundError: no such version.
        """
        found = self.resolve(f"{name}:{version}")
        with self._locked(name):
            self._point(name, alias, found.version, "promote")
        return self.resolve(f"{name}:{version}")

    def rollback(self, name: str, alias: str = PRODUCTION) -> ModelVersion:
        """Point an alias back at the version it had before.

        Raises: ModelNotFoundError: there is none.
        """
        with self._locked(name):
            moves = [m for m in self._state(name)["history"] if m["alias"] == alias]
            if not moves or moves[-1]["from"] is None:
                raise ModelNotFoundError(f"{name}@{alias}: has no earlier version to go back to")
            self._point(name, alias, moves[-1]["from"], "rollback")
        return self.resolve(f"{name}@{alias}")

    def _root(self, name: str) -> Path:
        root = self.folder / name
        if name in {"", ".", ".."} or "/" in name or not (root / "versions").is_dir():
            near = get_close_matches(name, self.names(), n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            known = ", ".join(self.names()) or "none"
            raise ModelNotFoundError(f"'{name}': no such model in {self.folder}{hint}; there is: {known}")
        return root

    def _state(self, name: str) -> dict[str, Any]:
        path = self._root(name) / "aliases.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else {"aliases": {}, "history": []}

    def _point(self, name: str, alias: str, version: int, action: str) -> None:
        state = self._state(name)
        before = state["aliases"].get(alias)
        if before == version:
            return
        state["aliases"][alias] = version
        state["history"].append(
            {"time": time.time(), "action": action, "alias": alias, "from": before, "to": version}
        )
        path = self.folder / name / "aliases.json"
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(state, indent=1), "utf-8")
        os.replace(beside, path)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One writer per model at a time, on this machine."""
        with open(self._root(name) / ".lock", "w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


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
        "path": str(version.path),
    }
