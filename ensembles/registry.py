"""Named models: immutable versions, movable aliases, kept history; in a folder or on an object store.

<registry>/<name>/journal/00000007.json    an event: who registered, promoted, rolled back or deleted what, and why
<registry>/<name>/bundles/<bundle id>/     a bundle, never changed
"""

from __future__ import annotations

import re
import shlex
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from configs.sources import mask_secrets
from ensembles.bundle import read_manifest
from ensembles.journal import FOLDER, Event, Journal
from ensembles.replay import Entry, State
from ensembles.rollouts import Plan, Rollout
from ensembles.stores import LocalStore, Store, open_store
from ensembles.versions import ModelVersion
from errors import ConfigError, ModelNotFoundError

PRODUCTION = "production"
CANDIDATE = "candidate"
# In a job's configuration: production, or candidate where something is doubtful.
AUTO = "auto"
NAME = re.compile(r"\w[\w.-]{0,99}")
ALIAS = re.compile(r"[\w-]{1,100}")
MODEL_ID = re.compile(r"(?P<name>[^:@]+)(?::(?P<version>\d+)|@(?P<alias>[\w-]+))?")


def check_registry(where: str) -> None:
    """Find out before long work that a model can be registered after it; of stores elsewhere, when that is done.

    Raises: ConfigError: the folder cannot be written.
    """
    store = open_store(where)
    if isinstance(store, LocalStore):
        store.check_writable()


class Registry:
    """A folder of named models.

    Several processes and machines may write at once: every change is one new file of a model's journal, and of two
    writers that want the same place one sees the other's change first.

    Args:
        where: A local folder, or s3://bucket/folder, gs://bucket/folder or what else pyarrow knows.
    """

    def __init__(self, where: str | Path) -> None:
        self._store: Store = open_store(where)
        self.where = self._store.where
        self._journals: dict[str, Journal] = {}

    def names(self) -> list[str]:
        """Registered names, in order.

        Raises: ConfigError: models of an earlier layout are in the folder.
        """
        return [n for n in self._store.names("") if NAME.fullmatch(n) and self._is_model(n)]

    def versions(self, name: str) -> list[ModelVersion]:
        """Versions of a model, oldest first.

        Raises: ModelNotFoundError: no such name.
        """
        state = self._journal(name).state()
        return [self._version(name, state, entry) for _, entry in sorted(state.versions.items())]

    def history(self, name: str) -> list[Event]:
        """What happened to a model, oldest first: action, version, alias, who, when and why.

        Raises: ModelNotFoundError: no such name.
        """
        return self._journal(name).events()

    def resolve(self, model_id: str) -> ModelVersion:
        """Find a version by `name`, `name:version` or `name@alias`; a bare name means its production version.

        Raises: ModelNotFoundError: no such name, version or alias; names what there is.
        """
        match = MODEL_ID.fullmatch(model_id)
        if match is None:
            raise ModelNotFoundError(f"'{model_id}': expected NAME, NAME:VERSION or NAME@ALIAS")
        name, state = match["name"], self._journal(match["name"]).state()
        given = int(match["version"]) if match["version"] else None
        version = state.aliases.get(match["alias"] or PRODUCTION) if given is None else given
        if version in state.versions:
            return self._version(name, state, state.versions[version])
        known = ", ".join(
            f"{v.model_id} ({', '.join(v.aliases)})" if v.aliases else v.model_id for v in self.versions(name)
        )
        lacks, advice = "no such version", ""
        if model_id == name:
            lacks, advice = f"no version is {PRODUCTION}", self._advise(name, state)
        raise ModelNotFoundError(
            f"'{model_id}': {lacks} in {self.where}; there is: {known or 'none'}{advice}"
        )

    def _advise(self, name: str, state: State) -> str:
        """How to use, or to promote, what is not in production."""
        if not state.versions:
            return ""
        newest = state.aliases.get(CANDIDATE, max(state.versions))
        other = f"{name}@{CANDIDATE}" if CANDIDATE in state.aliases else f"{name}:{newest}"
        return f"; name it as {other}, or promote it: {promote_command(f'{name}:{newest}', self.where)}"

    def register(
        self, name: str, bundle: Path, alias: str | None = PRODUCTION, why: str = ""
    ) -> ModelVersion:
        """Copy a bundle in as the next version and point an alias at it.

        A bundle that is already registered under the name keeps its version.

        Raises: ConfigError: the name cannot be a folder, or the alias is none. BundleError: not a bundle.
        """
        if not NAME.fullmatch(name):
            raise ConfigError(f"name={name!r}: expected letters, digits, '.', '_' and '-', at most 100")
        if alias:
            _check_alias(alias)
        content = read_manifest(bundle)["bundle_id"]
        self._is_model(name)

        def decide(state: State) -> Event | None:
            same = [e for e in state.versions.values() if e.bundle == content]
            version = same[0].version if same else state.n_versions + 1
            if same and (not alias or state.aliases.get(alias) == version):
                return None
            folder = same[0].folder if same else state.folder_of(content)
            self._store.put_folder(bundle, f"{name}/bundles/{folder}")
            event = {"action": "register", "version": version, "bundle": content, "folder": folder}
            return event | {"alias": alias, "from": state.aliases.get(alias or "")}

        state = self._open_journal(name).append(decide, why)
        entry = next(e for e in state.versions.values() if e.bundle == content)
        return self._version(name, state, entry)

    def promote(
        self, name: str, version: int, alias: str = PRODUCTION, why: str = "", who: str | None = None
    ) -> ModelVersion:
        """Point an alias at a version.

        Raises: ModelNotFoundError: no such version. ConfigError: the alias is none.
        """
        _check_alias(alias)

        def decide(state: State) -> Event | None:
            self._check_version(name, state, version)
            before = state.aliases.get(alias)
            event = {"action": "promote", "alias": alias, "version": version, "from": before}
            return None if before == version else event

        state = self._journal(name).append(decide, why, who)
        return self._version(name, state, self._check_version(name, state, version))

    def earlier(self, name: str, alias: str = PRODUCTION) -> list[ModelVersion]:
        """The versions that rolling an alias back leads to, the next one first.

        Raises: ModelNotFoundError: no such name.
        """
        state = self._journal(name).state()
        return [self._version(name, state, state.versions[v]) for v in reversed(state.earlier.get(alias, []))]

    def rollback(
        self,
        name: str,
        alias: str = PRODUCTION,
        why: str = "",
        who: str | None = None,
        to: int | None = None,
    ) -> ModelVersion:
        """Point an alias back at the version it had before; again, at the one before that.

        Args:
            name: The model.
            alias: The alias.
            why: The user's reason.
            who: Who asks; default: the user of this process.
            to: The version expected there; None: whichever.

        Raises: ModelNotFoundError: there is none, or another than expected.
        """

        def decide(state: State) -> Event:
            earlier = state.earlier.get(alias)
            if not earlier:
                raise ModelNotFoundError(f"{name}@{alias}: has no earlier version to go back to")
            if to not in (None, earlier[-1]):
                raise ModelNotFoundError(
                    f"{name}@{alias}: the version before is {name}:{earlier[-1]} now, no longer {name}:{to}"
                )
            facts = {"version": earlier[-1], "from": state.aliases.get(alias)}
            return {"action": "rollback", "alias": alias, **facts}

        state = self._journal(name).append(decide, why, who)
        return self._version(name, state, state.versions[state.aliases[alias]])

    def position(self, name: str) -> int:
        """Number of a model's last event: it grows with every change.

        Raises: ModelNotFoundError: no such name.
        """
        return self._journal(name).state().n_events

    def rollout(self, name: str) -> Rollout | None:
        """The version of a model that is tried on traffic now.

        Raises: ModelNotFoundError: no such name.
        """
        return self._journal(name).state().rollout

    def withdrawn(self, name: str) -> frozenset[int]:
        """Versions that were tried on traffic and withdrawn, and not asked for again.

        Raises: ModelNotFoundError: no such name.
        """
        return frozenset(self._journal(name).state().withdrawn)

    def start_rollout(
        self,
        name: str,
        version: int,
        plan: Plan,
        alias: str = PRODUCTION,
        why: str = "",
        who: str | None = None,
    ) -> Rollout:
        """Try a version on traffic, instead of whichever was tried before.

        Args:
            name: The model.
            version: The version.
            plan: How.
            alias: What points at it once it is promoted.
            why: The user's reason.
            who: Who asks; default: the user of this process.

        Raises: ModelNotFoundError: no such version.
        """

        def decide(state: State) -> Event:
            self._check_version(name, state, version)
            return Rollout(0, version, alias, plan).event()

        state = self._journal(name).append(decide, why, who)
        return Rollout(state.n_events, version, alias, plan)

    def end_rollout(
        self, name: str, rollout: Rollout, promote: bool, why: str = "", who: str | None = None
    ) -> bool:
        """Promote or withdraw the version on trial; nothing happens where that trial is over already.

        Returns: whether it was not yet over.
        Raises: ModelNotFoundError: no such name.
        """
        ended = False

        def decide(state: State) -> Event | None:
            nonlocal ended
            before = state.aliases.get(rollout.alias)
            over = state.rollout != rollout if rollout.number else rollout.version in state.withdrawn
            ended = not over and rollout.version in state.versions and before != rollout.version
            if not ended:
                return None
            facts = {"version": rollout.version, "alias": rollout.alias, "from": before}
            return {"action": "promote" if promote else "withdraw", **facts}

        self._journal(name).append(decide, why, who)
        return ended

    def delete(self, name: str, version: int, force: bool = False, why: str = "") -> list[str]:
        """Remove a version and its bundle; its number is never used again.

        Args:
            name: The model.
            version: The version.
            force: Whether aliases that point at it go with it.
            why: The user's reason.

        Returns: the aliases that went.
        Raises: ModelNotFoundError: no such version. ConfigError: an alias points at it and force is not given.
        """
        folder, aliases = "", []

        def decide(state: State) -> Event:
            nonlocal folder, aliases
            folder = self._check_version(name, state, version).folder
            aliases = sorted(a for a, v in state.aliases.items() if v == version)
            if aliases and not force:
                raise ConfigError(
                    f"{name}:{version}: {', '.join(aliases)} points at it; promote another version first, or "
                    "force it: then the alias goes too"
                )
            return {"action": "delete", "version": version, "aliases": aliases}

        self._journal(name).append(decide, why)
        self._store.remove_folder(f"{name}/bundles/{folder}")
        return aliases

    def _version(self, name: str, state: State, entry: Entry) -> ModelVersion:
        path = f"{name}/bundles/{entry.folder}"
        return ModelVersion(
            name,
            entry.version,
            entry.bundle,
            self._store.location(path),
            tuple(sorted(a for a, v in state.aliases.items() if v == entry.version)),
            entry.time,
            partial(self._store.fetch, path, entry.bundle),
            partial(self._store.fetch_manifest, path, entry.bundle),
        )

    def _check_version(self, name: str, state: State, version: int) -> Entry:
        if version not in state.versions:
            known = ", ".join(f"{name}:{v}" for v in sorted(state.versions)) or "none"
            raise ModelNotFoundError(
                f"'{name}:{version}': no such version in {self.where}; there is: {known}"
            )
        return state.versions[version]

    def _is_model(self, name: str) -> bool:
        content = self._store.names(name)
        if FOLDER not in content and "versions" in content:
            raise ConfigError(
                f"{self._store.location(name)}: laid out by an earlier, unreleased version; move it away, and "
                "register its models again: tabularay ensemble RUN"
            )
        return FOLDER in content

    def _journal(self, name: str) -> Journal:
        if name in self._journals:
            return self._journals[name]
        if NAME.fullmatch(name) and self._is_model(name):
            return self._open_journal(name)
        names = self.names()
        near = get_close_matches(name, names, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        known = ", ".join(names) or "none"
        raise ModelNotFoundError(f"'{name}': no such model in {self.where}{hint}; there is: {known}")

    def _open_journal(self, name: str) -> Journal:
        return self._journals.setdefault(name, Journal(self._store, name))


def _check_alias(alias: str) -> None:
    if not ALIAS.fullmatch(alias):
        raise ConfigError(f"alias={alias!r}: expected letters, digits, '_' and '-', at most 100")


def promote_command(model_id: str, registry: str | Path) -> str:
    """What a user types to put a version into production."""
    where = mask_secrets(str(registry))
    default = "://" not in where and Path(where).resolve() == Path("registry").resolve()
    return f"tabularay models promote {model_id}" + ("" if default else f" --registry {shlex.quote(where)}")


def find_version(model: str, registry: str | Path) -> ModelVersion | None:
    """The registered version that a user names by NAME, NAME:VERSION or NAME@ALIAS; None for a bundle's folder.

    Raises: ModelNotFoundError: there is neither.
    """
    path = Path(model)
    if (path / "manifest.json").is_file():
        return None
    if path.is_dir() and "/" in model:
        raise ModelNotFoundError(f"'{model}': a folder without a manifest.json; expected a bundle's folder")
    return Registry(registry).resolve(model)


def find_bundle(model: str, registry: str | Path) -> Path:
    """The folder of the bundle that a user names, see find_version.

    Raises: ModelNotFoundError: there is none. ConfigError, BundleError: it cannot be brought.
    """
    version = find_version(model, registry)
    return version.fetch() if version else Path(model)


def find_manifest(model: str, registry: str | Path) -> dict[str, Any]:
    """The manifest of the bundle that a user names, without bringing the rest of it; raises as find_bundle."""
    version = find_version(model, registry)
    return version.manifest() if version else read_manifest(Path(model))
