"""The learning rate over the course of a fit, bent to its deadline."""

from __future__ import annotations

import math
import time

CHECK_EVERY = 8


class Schedule:
    """How far a plan is, and the learning rate there.

    Where the deadline comes first, the rest of the curve is squeezed into the steps that still fit, so that a
    cut fit ends with small steps too. A deadline that does not bind changes nothing, whatever the clock says.

    A cycle ends with small steps, so its last weights are as good as those of a shorter plan: tables on which
    networks overfit early find their best there, without a plan of their own.

    Source: Holzmüller et al. 2024, arXiv 2407.04491, section 3 (coslog4, here with any number of cycles).
    """

    def __init__(self, n_steps: int, deadline: float | None, n_cycles: int):
        self.n_cycles = n_cycles
        self.start = time.monotonic()
        self.n_steps = n_steps
        self.deadline = deadline
        self.done = 0
        self.share = 0.0
        self.pace = 1 / n_steps

    @property
    def cycle(self) -> int:
        """The cycle that the next step is in, from 0."""
        return self._cycle_at(self.share)

    @property
    def last_cycle(self) -> int:
        """The cycle that the last step was in."""
        return self._cycle_at(max(self.share - self.pace / 2, 0.0))

    def _cycle_at(self, share: float) -> int:
        return int(math.log2(1 + self._stretch * min(share, 1.0)) + 1e-9)

    @property
    def _stretch(self) -> int:
        return 2**self.n_cycles - 1

    def factor(self) -> float:
        """Share of the peak learning rate for the next step: cosine cycles, each twice as long as the last."""
        middle = min(self.share + self.pace / 2, 1.0)  # a step in the middle of its time: the last is not 0
        return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + self._stretch * middle)))

    def advance(self) -> bool:
        """Count a step; whether the deadline ends the fit here, which is looked up every few steps."""
        self.done += 1
        self.share += self.pace
        if self.done % CHECK_EVERY and self.done > 1:
            return False
        now, left = time.monotonic(), float(self.n_steps - self.done)
        if self.deadline is not None and self.done > 1:  # the first step also pays for what torch sets up
            seconds_per_step = (now - self.start) / self.done
            left = min(left, 0.95 * (self.deadline - now) / seconds_per_step)
        self.pace = (1 - self.share) / max(left, 1.0)
        squeezed_out = self.share >= 1 and self.done < self.n_steps
        return self.deadline is not None and (squeezed_out or now >= self.deadline)
