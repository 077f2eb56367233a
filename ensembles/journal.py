"""A model's journal: one small JSON file per event, numbered, never changed.

The state of a model is the replay of its journal, so there is nothing that two writers could leave half changed: an
event is there or is not, and of two that want the same number one is told to look again.
"""

from __future__ import annotations

import getpass
import json
import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from data.versions import format_problem
from ensembles.replay import State, replay
from ensembles.stores import Store
from errors import BundleError, ConfigError

FORMAT = 1
FOLDER = "journal"
N_READERS = 16
ATTEMPTS = 1_000

Event = dict[str, Any]


class Journal:
    """The events of one model.

    Args:
        store: Where the registry lies.
        name: The model.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._folder = f"{name}/{FOLDER}"
        self._events: list[Event] = []
        self._state = State()

    def events(self) -> list[Event]:
        """Every event, oldest first; those read once are not read again.

        Raises: BundleError: an event is missing or damaged.
        """
        known = self._events
        if known and not self._store.has(self._path(len(known) + 1)):
            return known
        names = [n for n in self._store.names(self._folder) if n.endswith(".json")]
        with ThreadPoolExecutor(N_READERS) as pool:
            new = list(pool.map(self._read, range(len(known), len(names)), names[len(known) :]))
        self._events = [*known, *new]
        return self._events

    def state(self) -> State:
        """What the events add up to; not to be changed.

        Raises: BundleError: as events.
        """
        events = self.events()
        if self._state.n_events != len(events):
            try:
                self._state = replay(events)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise BundleError(
                    f"{self._store.location(self._folder)}: an event does not fit those before it: {error!r}"
                ) from None
        return self._state

    def append(self, decide: Callable[[State], Event | None], why: str = "", who: str | None = None) -> State:
        """Write what is decided of the state as it is; where another writer was quicker, decide again.

        Args:
            decide: From the state to the event, or to None where nothing need happen.
            why: The user's reason.
            who: Who asks; default: the user of this process.

        Returns: the state right after it, whatever others have done since.
        Raises: what decide raises; ConfigError: the store cannot be written.
        """
        who = who or _user()
        for _ in range(ATTEMPTS):
            state = self.state()
            event = decide(state)
            if event is None:
                return state
            number = state.n_events + 1
            facts = {"format": FORMAT, "number": number, "id": uuid.uuid4().hex, "time": time.time()}
            event = facts | {"who": who, "why": why} | event
            text = json.dumps(event, ensure_ascii=False, indent=1)
            if self._store.create(self._path(number), text.encode()):
                return replay([*self.events()[: number - 1], event])
        raise ConfigError(f"{self._store.location(self._folder)}: {ATTEMPTS} other writers were quicker")

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"

    def _read(self, place: int, name: str) -> Event:
        where = self._store.location(f"{self._folder}/{name}")
        if name != f"{place + 1:08d}.json":
            raise BundleError(f"{where}: event {place + 1} is missing before it")
        try:
            event = json.loads(self._store.read(f"{self._folder}/{name}"))
            event["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{where}: damaged: {error!r}") from None
        problem = format_problem(event, (FORMAT,))
        if problem:
            raise BundleError(f"{where}: registry of {problem}")
        return event


def _user() -> str:
    """Who is asking, as user@machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a process id without a user, as in some containers
        name = "unknown"
    return f"{name}@{socket.gethostname()}"
