"""The live view of a sweep: one calm table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from data.messages import show_duration, show_score
from data.metrics import Metric
from tuning.budget import Budget
from tuning.tally import Best, Tally

if TYPE_CHECKING:
    from models.trials import StoredTrial
    from tuning.recorder import TrialProgress

WIDTH = 78
TIME_WIDTH = 29  # of "1:12 of 5:00, about 3:48 left": the bar keeps its length
REFRESH_PER_S = 2
# Between plain lines: a line every 10 s at first, every minute once a sweep has gone on for 20.
PLAIN_EVERY_S = (10.0, 60.0)
PLAIN_SHARE = 0.05
SLOW_FOLDS_PER_S = 0.1
TITLES = {"running": "running", "completed": "done", "stopped": "stopped", "failed": "failed"}


class Display:
    """Shows trials as they happen; writes to the standard error, so that results can be piped.

    Args:
        console: Where to write.
        metric: What is optimised.
        families: Families of the sweep, in order.
        budget: The job's time.
        num_trials: The job's trials, or None.
        tally: What is shown, where somebody else keeps it; default: what `update` is told.
    """

    def __init__(
        self,
        console: Console,
        metric: Metric,
        families: tuple[str, ...],
        budget: Budget,
        num_trials: int | None,
        tally: Tally | None = None,
    ) -> None:
        self.console = console
        self.metric = metric
        self.families = families
        self.budget = budget
        self.num_trials = num_trials
        self.tally = tally or Tally(metric.mode)
        self._live = Live(
            get_renderable=self.render, console=console, refresh_per_second=REFRESH_PER_S, transient=True
        )
        self._last_line = -math.inf

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
            self.console.print(self.render(over=True))
        elif self.tally.n_trials():
            self.console.print(self.line(over=True), soft_wrap=True, highlight=False)

    def update(self, trial: TrialProgress) -> None:
        """Take a trial that started, finished a fold or ended; the work does not grow with their number."""
        now = time.time()
        self.tally.change(trial.number, trial.family, trial.state, trial.score, trial.n_folds, now)
        self.tick(now)

    def restore(self, trial: StoredTrial) -> None:
        """Take a trial of an earlier session."""
        state = "interrupted" if trial.state == "running" else trial.state
        self.tally.change(trial.number, trial.family, state, trial.score, len(trial.folds), time.time())

    def ensemble(self, score: float, n_members: int) -> None:
        """Take the running ensemble's new out-of-fold score."""
        self.tally.ensemble = score, n_members
        self.tick(time.time())

    def tick(self, now: float) -> None:
        """Without a terminal, print a line if the last one is old enough."""
        least, most = PLAIN_EVERY_S
        every = min(most, max(least, PLAIN_SHARE * self.budget.elapsed_s()))
        if not self.console.is_terminal and now - self._last_line >= every:
            self._last_line = now
            self.console.print(self.line(), soft_wrap=True, highlight=False)

    def line(self, over: bool = False) -> str:
        """All of it on one line, for logs.

        Args:
            over: Whether the sweep has ended.
        """
        best = self.tally.best()
        states = ", ".join(f"{n} {title}" for s, title in TITLES.items() if (n := self.tally.count(s)))
        parts = [
            f"{show_duration(self.budget.elapsed_s()):>7}",
            f"trials {self._trials()}: {states or 'starting'}",
            *([f"best {self.metric.name} {show_score(best.score)} ({best.family})"] if best else []),
            *([f"ensemble {show_score(self.tally.ensemble[0])}"] if self.tally.ensemble else []),
            *([self._rates(), self._left()] if not over else []),
        ]
        return "  ".join(part for part in parts if part)

    def render(self, over: bool = False) -> Constrain:
        """All of it for a terminal: never wider than the screen, and of one height throughout.

        Args:
            over: Whether the sweep has ended.
        """
        time_text = show_duration(self.budget.elapsed_s())
        if self.budget.total_s:
            time_text += f" of {show_duration(self.budget.total_s)}"
        left = "" if over else self._left()
        head = Table.grid(expand=True, padding=(0, 1))
        head.add_column(ratio=1)
        head.add_column(no_wrap=True, min_width=TIME_WIDTH)
        bar = ProgressBar(total=1.0, completed=self._share())
        head.add_row(bar, f"{time_text}, {left}" if left else time_text)
        foot = f"trials {self._trials()}" + ("" if over else f"   {self._rates()}")
        return Constrain(
            Group(head, self._table(), Text(foot, no_wrap=True, overflow="ellipsis")),
            min(WIDTH, self.console.width),
        )

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
        table.add_column("family", ratio=1, no_wrap=True)
        for title in (*TITLES.values(), f"best {self.metric.name}"):
            table.add_column(title, justify="right", no_wrap=True)
        for family in self.families:
            counts = (self.tally.count(state, family) for state in TITLES)
            table.add_row(family, *(str(n or "") for n in counts), _shown(self.tally.best(family)))
        counts = (self.tally.count(state) for state in TITLES)
        table.add_row("all", *(str(n or "") for n in counts), _shown(self.tally.best()), style="bold")
        score, members = self.tally.ensemble or (None, 0)
        name = f"ensemble of {members}" if members else "ensemble"
        table.add_row(name, *[""] * len(TITLES), "" if score is None else show_score(score), style="bold")
        return table

    def _trials(self) -> str:
        ended = self.tally.n_ended()
        return f"{ended} of {self.num_trials}" if self.num_trials else str(ended)

    def _rates(self) -> str:
        now = time.time()
        folds = self.tally.folds.per_s(now)
        shown = f"{60 * folds:.1f} folds/min" if folds < SLOW_FOLDS_PER_S else f"{folds:.1f} folds/s"
        return f"{60 * self.tally.trials.per_s(now):.1f} trials/min, {shown}"

    def _share(self) -> float:
        """How much of the budget is used, of time or of trials, whichever is further on."""
        of_time = self.budget.elapsed_s() / self.budget.total_s if self.budget.total_s else 0.0
        of_trials = self.tally.n_ended() / self.num_trials if self.num_trials else 0.0
        return min(1.0, max(of_time, of_trials))

    def _left(self) -> str:
        """Time left: at most the budget's, and what the remaining trials will take if that is less."""
        of_time = max(0.0, self.budget.total_s - self.budget.elapsed_s()) if self.budget.total_s else math.inf
        of_trials = None
        if self.num_trials:
            of_trials = self.tally.seconds_for(self.num_trials - self.tally.n_ended(), time.time())
        if of_trials is not None and of_trials < of_time:
            return f"about {show_duration(of_trials)} left"
        return f"{show_duration(of_time)} left" if of_time < math.inf else ""


def _shown(best: Best | None) -> str:
    """The score, or in parentheses the one so far of a trial that is not complete."""
    if best is None:
        return ""
    return show_score(best.score) if best.complete else f"({show_score(best.score)})"
