"""What a model's journal adds up to: its versions, its aliases, where each was before, and what is rolled out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ensembles.rollouts import Rollout


@dataclass(frozen=True)
class Entry:
    """A version as the journal knows it.

    Attributes:
        version: 1, 2, ...; never used again.
        bundle: Id of its content.
        folder: Its folder's name in `bundles/`.
        time: When it was registered.
    """

    version: int
    bundle: str
    folder: str
    time: float


@dataclass
class State:
    """A model after some events.

    Attributes:
        n_events: How many.
        versions: Those that are there.
        aliases: Where each points.
        earlier: Per alias, the versions that a rollback goes back to, the next one last.
        n_versions: How many were ever registered.
        deletions: How often a content was deleted.
        rollout: The version that is tried on traffic now.
        withdrawn: Versions that were tried and withdrawn, and not asked for again.
    """

    n_events: int = 0
    versions: dict[int, Entry] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    earlier: dict[str, list[int]] = field(default_factory=dict)
    n_versions: int = 0
    deletions: Counter[str] = field(default_factory=Counter)
    rollout: Rollout | None = None
    withdrawn: set[int] = field(default_factory=set)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take an event in.

        Raises: KeyError, ValueError: it is none of ours.
        """
        self.n_events += 1
        action = event["action"]
        if action == "register":
            self._register(event)
        elif action == "promote":
            self._point(event["alias"], event["version"])
        elif action == "rollback":
            self.aliases[event["alias"]] = self.earlier[event["alias"]].pop()
        elif action == "delete":
            self._delete(event["version"])
        elif action == "rollout":
            self.rollout = Rollout.from_event(event)
            self.withdrawn.discard(event["version"])
        elif action == "withdraw":
            self._end_rollout(event["version"])
            self.withdrawn.add(event["version"])
        else:
            raise ValueError(f"unknown action {action!r}")

    def folder_of(self, bundle: str) -> str:
        """Where a content belongs: never where an earlier copy is being removed."""
        n_deleted = self.deletions[bundle]
        return f"{bundle}.{n_deleted}" if n_deleted else bundle

    def _register(self, event: Mapping[str, Any]) -> None:
        version = event["version"]
        if version not in self.versions:
            self.versions[version] = Entry(version, event["bundle"], event["folder"], event["time"])
            self.n_versions = max(self.n_versions, version)
        if event["alias"]:
            self._point(event["alias"], version)

    def _point(self, alias: str, version: int) -> None:
        before = self.aliases.get(alias)
        if before is not None and before != version:
            self.earlier.setdefault(alias, []).append(before)
        self.aliases[alias] = version
        if before != version:
            self.withdrawn.discard(version)
        if self.rollout and self.rollout.alias == alias:
            self._end_rollout(version)

    def _end_rollout(self, version: int) -> None:
        if self.rollout and self.rollout.version == version:
            self.rollout = None

    def _delete(self, version: int) -> None:
        self.deletions[self.versions.pop(version).bundle] += 1
        self._end_rollout(version)
        self.withdrawn.discard(version)
        self.aliases = {a: v for a, v in self.aliases.items() if v != version}
        self.earlier = {a: _without(stack, version) for a, stack in self.earlier.items()}


def replay(events: Iterable[Mapping[str, Any]]) -> State:
    """The state after some events."""
    state = State()
    for event in events:
        state.apply(event)
    return state


def _without(stack: list[int], version: int) -> list[int]:
    """A stack without a version, and without the repetitions this leaves."""
    kept: list[int] = []
    for one in stack:
        if one != version and kept[-1:] != [one]:
            kept.append(one)
    return kept
