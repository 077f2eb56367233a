"""A version on trial: which requests it answers, what is counted of it, and what is to become of it."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from ensembles.rollouts import Rollout
from errors import BundleError
from serving.comparing import Comparison
from serving.judging import Counts, Verdict, judge
from serving.loading import Loaded

HASHES = 2**32

Sum = Callable[[str, Counts], Awaitable[Counts]]


class OnTrial:
    """A version that is tried beside the one that is served.

    A canary gets its share by counting: of any run of requests to one replica it answers the floor or the ceiling of
    the share. A request with a key goes by the key's hash: one caller always meets the same version, on every
    replica, for as long as the rollout lasts; another rollout mixes the callers anew.

    Args:
        rollout: How it is tried.
        served: The version beside it.
        candidate: The version; or why there is none to try.
    """

    def __init__(self, rollout: Rollout, served: Loaded, candidate: Loaded | BundleError) -> None:
        self.rollout = rollout
        self.served = served
        self.model_id = f"{served.model_id.partition(':')[0]}:{rollout.version}"
        self.totals = Counts()
        self.verdict: Verdict = "go on"
        self.reason = ""
        self.comparison: Comparison | None = None
        self.candidate: Loaded | None = None
        self._failed = Counts()
        self._turns = count(1)
        try:
            if isinstance(candidate, BundleError):
                raise candidate
            self.comparison = Comparison(served, candidate)
            self.candidate = candidate
        except BundleError as error:
            self._failed = Counts(errors=1, first_error=str(error))
        self._share = rollout.plan.share
        self._is_shadow = rollout.plan.mode == "shadow"

    def pick(self, key: str | None = None) -> Loaded:
        """The version for the next request that names none.

        Args:
            key: Who asks, where that is to decide.
        """
        candidate = self.candidate
        if candidate is None or self._is_shadow:
            return self.served
        if key is None:
            return candidate if self._is_turn() else self.served
        salted = f"{self.model_id} {self.rollout.number} {key}"
        return candidate if zlib.crc32(salted.encode()) < self._share * HASHES else self.served

    def observe(self, loaded: Loaded, X: np.ndarray, mean: np.ndarray, rows: Any) -> None:
        """Have an answered request compared, where it is the candidate's or one of its shadow's share."""
        comparison = self.comparison
        if comparison is None:
            return
        if loaded is self.candidate or (self._is_shadow and loaded is self.served and self._is_turn()):
            comparison.offer(loaded, X, mean, rows)

    def failed(self, loaded: Loaded, error: BaseException) -> None:
        """Take note that the candidate did not answer; it gets no more requests."""
        if self.comparison is not None and loaded is self.candidate:
            self.comparison.failed(error)
            self.candidate = None

    async def judge(self, add_up: Sum | None) -> Verdict:
        """Reach a verdict.

        Args:
            add_up: Adds this replica's counts to those of the others; None: there are no others.
        """
        self.totals = self._failed + (self.comparison.tally() if self.comparison else Counts())
        if add_up is not None:
            key = f"{self.served.model_id} {self.model_id} {self.rollout.number}"
            self.totals = await add_up(key, self.totals)
        self.verdict, self.reason = judge(self.totals, self.rollout.plan)
        return self.verdict

    def stop(self) -> None:
        """End the comparison."""
        self.candidate = None
        if self.comparison is not None:
            self.comparison.stop()

    def status(self) -> dict[str, Any]:
        """How it stands, as of the last verdict."""
        plan = self.rollout.plan
        return {
            "number": self.rollout.number,
            "model_id": self.model_id,
            "beside": self.served.model_id,
            "mode": plan.mode,
            "share": plan.share,
            "promote": plan.promote,
            "min_requests": plan.min_requests,
            "max_latency_ratio": plan.max_latency_ratio,
            "verdict": self.verdict,
            "reason": self.reason,
            "counts": self.totals.shown(),
        }

    def _is_turn(self) -> bool:
        turn = next(self._turns)
        return int(turn * self._share) > int((turn - 1) * self._share)


class Route(NamedTuple):
    """Where requests go; replaced as a whole.

    Attributes:
        served: The version that is served by default.
        trial: The one that is tried beside it.
    """

    served: Loaded
    trial: OnTrial | None = None
