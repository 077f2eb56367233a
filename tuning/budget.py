"""How the wall clock of a job is divided."""

from __future__ import annotations

import time
from dataclasses import dataclass

ENSEMBLE_SHARE = 0.1
MIN_RESERVE_S = 8.0
MAX_RESERVE_S = 60.0


@dataclass(frozen=True)
class Budget:
    """The time a job has.

    Attributes:
        start: time.time() when the command began.
        total_s: Seconds of the whole command; None: no limit.
    """

    start: float
    total_s: float | None = None

    @property
    def reserve_s(self) -> float:
        """Seconds kept for the ensemble, its scores and the end of tracking."""
        if self.total_s is None:
            return 0.0
        return min(max(ENSEMBLE_SHARE * self.total_s, MIN_RESERVE_S), MAX_RESERVE_S, 0.5 * self.total_s)

    @property
    def search_end(self) -> float | None:
        """time.time() at which every fit has ended; None: never."""
        return None if self.total_s is None else self.start + self.total_s - self.reserve_s

    def left_s(self) -> float:
        """Seconds of search left; infinite without a limit."""
        return float("inf") if self.search_end is None else self.search_end - time.time()

    def elapsed_s(self) -> float:
        """Seconds since the command began."""
        return time.time() - self.start
