"""Counts of versions on trial, added up over the replicas of a service.

The board is an actor of the Ray cluster, apart from the replicas, so that what a replica saw outlives it. It holds
counts only: what is on trial, and what became of it, is in the registry. Without it each replica judges alone.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import OrderedDict

import ray
from ray.exceptions import RayError

from serving.judging import Counts

NAME = "tabularay-counts"
NAMESPACE = "tabularay"
# Rollouts whose counts are kept.
MOST_KEYS = 16
ANSWER_S = 2.0
log = logging.getLogger("tabularay.serving")


class Board:
    """The latest counts of each replica, by rollout."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, dict[str, Counts]] = OrderedDict()

    def add_up(self, replica: str, key: str, counts: Counts) -> Counts:
        """Take a replica's counts in; returns all replicas' sum."""
        self._counts.setdefault(key, {})[replica] = counts
        self._counts.move_to_end(key)
        if len(self._counts) > MOST_KEYS:
            self._counts.popitem(last=False)
        return sum(self._counts[key].values(), Counts())


class SharedCounts:
    """A replica's way to the board; what it is called with is the Sum that LiveModels takes."""

    def __init__(self) -> None:
        self._replica = uuid.uuid4().hex
        self._board: ray.actor.ActorHandle | None = None
        self._is_away = False

    async def __call__(self, key: str, counts: Counts) -> Counts:
        """This replica's counts and the others'; this one's alone while the board does not answer."""
        try:
            if self._board is None:
                self._board = await asyncio.to_thread(_open_board)
            total = await asyncio.wait_for(self._board.add_up.remote(self._replica, key, counts), ANSWER_S)
        except (RayError, ValueError, TimeoutError) as error:
            if not self._is_away:
                log.warning("counts of other replicas cannot be had, this one judges alone: %s", error)
            self._board, self._is_away = None, True
            return counts
        self._is_away = False
        return total


def _open_board() -> ray.actor.ActorHandle:
    return (
        ray.remote(Board)
        .options(
            name=NAME,
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            num_cpus=0,
            max_restarts=-1,
        )
        .remote()
    )
