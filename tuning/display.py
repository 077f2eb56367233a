"""The live view of a sweep: one calm table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections import Counter
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from data.metrics import Metric
from tuning.budget import Budget
from tuning.recorder import TrialProgress

PLAIN_EVERY_S = 10.0


class Display:
    """Shows trials as they happen; writes to the standard error, so that results can be piped.

    Args:
        console: Where to write.
        metric: What is optimised.
        families: Families of the sweep, in order.
        budget: The job's time.
        num_trials: The job's trials, or None.
    """

    def __init__(
        self,
        console: Console,
        metric: Metric,
        families: tuple[str, ...],
        budget: Budget,
        num_trials: int | None,
    ) -> None:
        self.console = console
        self.metric = metric
        self.families = families
        self.budget = budget
        self.num_trials = num_trials
        self.states: dict[int, TrialProgress] = {}
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)
        self._last_line = 0.0

    def __enter__(self) -> Display:
        """Begin."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the last state stays on the screen."""
        if self.console.is_terminal:
            self._live.stop()
            self.console.print(self._render())
        elif self.states:
            self.console.print(self._line())

    def ensemble(self, score: float, n_members: int) -> None:
        """The running ensemble has changed."""

    def update(self, trial: TrialProgress) -> None:
        """Take a trial's newest state; without a terminal, print a line now and then."""
        self.states[trial.number] = trial
        now = time.monotonic()
        if not self.console.is_terminal and now - self._last_line >= PLAIN_EVERY_S:
            self._last_line = now
            self.console.print(self._line())

    def _line(self) -> str:
        best = self._best(list(self.states.values()))
        score = (
            "no score yet" if best is None else f"best {self.metric.name} {best.score:.5g} ({best.family})"
        )
        return f"{self.budget.elapsed_s():6.1f} s  {self._counts()}  {score}"

    def _counts(self) -> str:
        counts = Counter(s.state for s in self.states.values())
        done = "/".join([str(len(self.states)), *([str(self.num_trials)] if self.num_trials else [])])
        parts = [f"{counts[k]} {k}" for k in ("running", "completed", "stopped", "failed") if counts[k]]
        return f"trials {done}: {', '.join(parts) or 'starting'}"

    def _best(self, states: list[TrialProgress]) -> TrialProgress | None:
        """The best trial, complete ones before the others."""
        scored = [s for s in states if not math.isnan(s.score)]
        sign = 1 if self.metric.mode == "max" else -1
        return max(scored, key=lambda s: (s.state == "completed", sign * s.score), default=None)

    def _render(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for title in (
            "family",
            "trials",
            "running",
            "completed",
            "stopped",
            "failed",
            f"best {self.metric.name}",
        ):
            table.add_column(title, justify="left" if title == "family" else "right")
        for family in self.families:
            mine = [s for s in list(self.states.values()) if s.family == family]
            counts, best = Counter(s.state for s in mine), self._best(mine)
            shown = [
                str(counts[k]) if counts[k] else "" for k in ("running", "completed", "stopped", "failed")
            ]
            table.add_row(family, str(len(mine)), *shown, "" if best is None else f"{best.score:.5f}")
        elapsed, total = self.budget.elapsed_s(), self.budget.total_s
        if total:
            bar = ProgressBar(total=total, completed=min(elapsed, total), width=40)
            time_text = f" {elapsed:.0f} of {total:.0f} s"
        else:
            bar = ProgressBar(total=self.num_trials or 1, completed=self._n_ended(), width=40)
            time_text = f" {elapsed:.0f} s"
        grid = Table.grid()
        grid.add_row(bar, Text(time_text), Text(f"   {self._counts()}   {self._rate():.1f} folds/s"))
        return Group(grid, table)

    def _n_ended(self) -> int:
        return sum(s.state != "running" for s in list(self.states.values()))

    def _rate(self) -> float:
        return sum(s.n_folds for s in list(self.states.values())) / max(self.budget.elapsed_s(), 1e-9)
