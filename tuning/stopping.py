"""When a sweep ends before its searcher does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ray import tune
from rich.console import Console

from tuning.budget import Budget

GRACE_S = 5.0


class SweepEnd(tune.Stopper):
    """Ends the sweep on Ctrl-C, or when fits have not ended a while after their deadline."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.reason = ""
        self.interrupted = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Single trials are not stopped here."""
        return False

    def stop_all(self) -> bool:
        """Whether to end the sweep now."""
        if self.interrupted:
            self.reason = "interrupted"
        elif self.budget.left_s() < -GRACE_S:
            self.reason = f"the fit had not ended {GRACE_S:g} s after its deadline"
        return bool(self.reason)

    @contextmanager
    def listening(self, console: Console) -> Iterator[None]:
        """Take the first Ctrl-C as a wish to end cleanly; a second one ends at once."""

        def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
            self.interrupted = True
            signal.signal(signal.SIGINT, before)
            console.print("Ctrl-C: ending; finished folds are kept. Once more to end at once.")

        before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
