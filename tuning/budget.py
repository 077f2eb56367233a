"""How the wall clock of a job is divided."""

from __future__ import annotations

import time
from dataclasses import dataclass

# Share of the budget, and least and most seconds, kept for what comes after the search: without test rows
# selection, writing and export only; with them every member predicts, and the baseline is trained.
RESERVE = (0.08, 4.0, 40.0)
RESERVE_WITH_TEST = (0.12, 6.0, 90.0)
SHORT_S = 20.0
# What fitting members once more on all rows may take besides: every member, or boosted trees only.
RESERVE_REFIT: dict[bool | str, tuple[float, float, float]] = {
    True: (0.15, 5.0, 600.0),
    "auto": (0.03, 0.0, 120.0),
    False: (0.0, 0.0, 0.0),
}


@dataclass(frozen=True)
class Budget:
    """The time a job has.

    Attributes:
        start: time.time() when the command began.
        total_s: Seconds of the whole command; None: no limit.
        has_test: Whether withheld rows will be scored at the end.
        refit: Which members will be fitted once more on all rows, see configs.schema.EnsembleConfig.
    """

    start: float
    total_s: float | None = None
    has_test: bool = False
    refit: bool | str = False

    @property
    def reserve_s(self) -> float:
        """Seconds kept for the ensemble, its scores and the end of tracking."""
        if self.total_s is None:
            return 0.0
        parts = [RESERVE_WITH_TEST if self.has_test else RESERVE, RESERVE_REFIT[self.refit]]
        kept = sum(min(max(share * self.total_s, least), most) for share, least, most in parts)
        return min(kept, 0.5 * self.total_s)

    @property
    def search_end(self) -> float | None:
        """time.time() at which every fit has ended; None: never."""
        return None if self.total_s is None else self.start + self.total_s - self.reserve_s

    @property
    def is_short(self) -> bool:
        """Whether it is too little to start a cluster for, however much of it is left."""
        return self.total_s is not None and self.total_s <= SHORT_S

    def left_s(self) -> float:
        """Seconds of search left; infinite without a limit."""
        return float("inf") if self.search_end is None else self.search_end - time.time()

    def elapsed_s(self) -> float:
        """Seconds since the command began."""
        return time.time() - self.start
