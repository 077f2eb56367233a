"""When a sweep ends before its searcher does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ray import tune
from rich.console import Console

from errors import TrainingError
from tuning.budget import Budget
from tuning.cluster import dead_parts
from tuning.runs import Run

GRACE_S = 5.0
HEARTBEAT_S = 1.0


class SweepEnd(tune.Stopper):
    """Ends the sweep on Ctrl-C or SIGTERM, or when fits have not ended a while after their deadline.

    Args:
        budget: The job's time.
        run: Its run, told every second that the sweep lives.
    """

    def __init__(self, budget: Budget, run: Run) -> None:
        self.budget = budget
        self.run = run
        self.reason = ""
        self.interrupted = False
        self._last_beat = 0.0

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Single trials are not stopped here."""
        return False

    def stop_all(self) -> bool:
        """Whether to end the sweep now.

        Raises: TrainingError: Ray died.
        """
        now = time.monotonic()
        if now - self._last_beat >= HEARTBEAT_S:
            self._last_beat = now
            self.run.beat()
            if dead := dead_parts():
                raise TrainingError(
                    f"Ray died ({dead}); nothing that was finished is lost, go on with: "
                    f"tabularay tune --resume {self.run.path}"
                )
        if self.interrupted:
            self.reason = "interrupted"
        elif self.budget.left_s() < -GRACE_S:
            self.reason = f"the fit had not ended {GRACE_S:g} s after its deadline"
        return bool(self.reason)

    @contextmanager
    def listening(self, console: Console) -> Iterator[None]:
        """Take the first Ctrl-C or SIGTERM as a wish to end cleanly; a second one ends at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def on_signal(number: int, _frame: FrameType | None) -> None:
            self.interrupted = True
            for each, handler in before.items():
                signal.signal(each, handler)
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            console.print(f"{name}: ending; finished folds are kept. Once more to end at once.")

        for number in before:
            signal.signal(number, on_signal)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
