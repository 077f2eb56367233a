"""The live display: what it counts, how it looks on a terminal of any width, and as plain lines."""

import io
import math
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from data.messages import show_score
from data.metrics import get_metric
from models.trials import FoldRecord, StoredTrial
from tuning.budget import Budget
from tuning.display import Display
from tuning.recorder import TrialProgress
from tuning.tally import WINDOW_S, Rate, Tally

FAMILIES = ("lightgbm", "xgboost", "mc_dropout")


def make(width=80, terminal=True, total_s=None, num_trials=None, metric="log_loss", elapsed=10.0):
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    budget = Budget(time.time() - elapsed, total_s)
    return Display(console, get_metric(metric, "binary"), FAMILIES, budget, num_trials)


def shown(display, **options):
    with display.console.capture() as captured:
        display.console.print(display.render(**options))
    return captured.get().splitlines()


def sweep(display, n_trials, seed=0, on_change=lambda: None):
    """Random trials, two at a time, through every way a trial can go; returns them all."""
    rng, going, trials = random.Random(seed), [], []
    while len(trials) < n_trials or going:
        if len(going) < 2 and len(trials) < n_trials:
            trial = TrialProgress(len(trials), rng.choice(FAMILIES))
            trials.append(trial)
            going.append(trial)
        else:
            trial = rng.choice(going)
            if trial.n_folds == 3 or rng.random() < 0.2:
                trial.state = "completed" if trial.n_folds == 3 else rng.choice(["stopped", "failed"])
                going.remove(trial)
            else:
                trial.n_folds += 1
                trial.score = rng.random()
        display.update(trial)
        on_change()
    return trials


def best_of(trials, sign):
    scored = [t for t in trials if not math.isnan(t.score)]
    return max(scored, key=lambda t: (t.state == "completed", sign * t.score), default=None)


@pytest.mark.parametrize(("metric", "sign"), [("log_loss", -1), ("roc_auc", 1)])
def test_counts_and_bests_are_those_of_all_trials(metric, sign):
    display = make(metric=metric)
    trials = sweep(display, 300)
    for family in (*FAMILIES, None):
        mine = [t for t in trials if family in (None, t.family)]
        states = Counter(t.state for t in mine)
        assert {s: display.tally.count(s, family) for s in states} == states
        assert display.tally.best(family).number == best_of(mine, sign).number
    assert display.tally.n_folds == sum(t.n_folds for t in trials)


def test_a_running_trial_counts_with_its_folds_so_far():
    tally = Tally("min")
    tally.change(0, "lightgbm", "running", math.nan, 0, 0.0)
    assert tally.best() is None
    tally.change(0, "lightgbm", "running", 0.5, 1, 1.0)
    tally.change(0, "lightgbm", "running", 0.7, 2, 2.0)
    assert tally.best().score == 0.7
    assert not tally.best().complete
    tally.change(1, "xgboost", "completed", 0.9, 3, 3.0)
    assert tally.best().family == "xgboost"


def test_ended_trials_are_forgotten():
    display = make()
    sweep(display, 10_000)
    assert display.tally.running == {}
    assert len(display.tally.counts) == len(FAMILIES)
    assert display.tally.n_ended() == 10_000


def test_trials_of_an_earlier_session_say_nothing_about_speed():
    tally = Tally("max")
    tally.change(0, "lightgbm", "completed", 0.9, 5, 100.0)
    tally.change(1, "lightgbm", "running", 0.8, 4, 100.0)
    assert tally.n_folds == 9
    assert tally.folds.per_s(101.0) == tally.trials.per_s(101.0) == 0.0
    tally.change(1, "lightgbm", "completed", 0.8, 5, 110.0)
    assert tally.folds.per_s(110.0) == tally.trials.per_s(110.0) == 0.1


def test_a_resumed_sweep_shows_what_it_has():
    display = make(num_trials=10)
    for number, state in enumerate(("completed", "failed", "interrupted", "running")):
        folds = tuple(FoldRecord(k, 0.5, 1.0, 1.0) for k in range(2))
        display.restore(StoredTrial(Path(), number, "lightgbm", {}, 0, "tpe", state, "", folds))
    assert "trials 2 of 10" in "\n".join(shown(display))
    for number in (2, 3):
        trial = TrialProgress(number, "lightgbm")
        display.update(trial)
        trial.n_folds, trial.score = 3, 0.4
        display.update(trial)
    assert display.tally.count("running") == 2
    assert display.tally.n_folds == 2 * 2 + 2 * 3
    assert display.tally.folds.recent(time.time()) == 2


def test_rates_are_those_of_the_last_minute():
    rate = Rate()
    rate.begin(0.0)
    for second in range(100):
        rate.add(float(second), 5)
    assert rate.per_s(100.0) == pytest.approx(5, rel=0.05)
    assert rate.per_s(100.0 + WINDOW_S / 2) == pytest.approx(2.5, rel=0.05)
    assert rate.per_s(100.0 + 2 * WINDOW_S) == 0.0
    assert rate.overall_per_s(1000.0) == 0.5


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_it_fits_the_terminal_and_keeps_its_height(width):
    display = make(width, total_s=36_000.0, num_trials=10_000, elapsed=11_111.0)
    before = shown(display)
    looks = []
    sweep(display, 40, on_change=lambda: looks.append(shown(display)))
    display.ensemble(0.123456, 15)
    looks.append(shown(display))
    assert {len(look) for look in looks} == {len(before)}
    assert max(cell_len(line) for look in looks for line in look) <= width
    assert any("of 10000" in line for line in looks[-1])


def test_nothing_of_80_columns_is_cut():
    display = make(80, total_s=36_000.0, num_trials=10_000, elapsed=11_111.0)
    sweep(display, 40)
    display.ensemble(0.123456, 15)
    text = "\n".join(shown(display))
    for part in (
        "3:05:11 of 10:00:00",
        "left",
        "best log_loss",
        "ensemble of 15",
        "0.1235",
        "trials/min",
        "folds/",
    ):
        assert part in text
    assert "…" not in text


def test_a_terminal_is_redrawn_in_place_and_keeps_the_last_state():
    display = make(80, num_trials=9)
    with display:
        sweep(display, 9)
        time.sleep(1.2)
    written = display.console.file.getvalue()
    assert "\x1b[2J" not in written  # never cleared as a whole
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1  # the cursor is hidden once
    last = written.rsplit("\x1b[2K", 1)[1]
    assert "trials 9 of 9" in Text.from_ansi(last).plain
    assert "left" not in last


def test_plain_lines_are_few_and_say_everything():
    display = make(terminal=False, total_s=600.0, num_trials=500)
    with display:
        sweep(display, 400)
        display.ensemble(0.25, 7)
    lines = display.console.file.getvalue().splitlines()
    assert len(lines) == 2  # one at the start, one at the end: 10 s lie between lines
    assert "9:4" in lines[0]
    assert lines[0].endswith("left")
    assert "trials 400 of 500" in lines[-1]
    assert "ensemble 0.2500" in lines[-1]
    best = display.tally.best()
    assert f"best log_loss {show_score(best.score)} ({best.family})" in lines[-1]


def test_plain_lines_come_more_seldom_in_long_sweeps():
    display = make(terminal=False, elapsed=7200.0)
    sweep(display, 1)
    now = time.time()
    display.tick(now + 50)
    assert len(display.console.file.getvalue().splitlines()) == 1
    display.tick(now + 61)
    assert len(display.console.file.getvalue().splitlines()) == 2


def test_time_left_is_the_budgets_or_what_the_trials_will_take():
    tally = Tally("max")
    tally.change(0, "lightgbm", "running", math.nan, 0, 0.0)
    assert tally.seconds_for(10, 5.0) is None
    for number in range(1, 11):
        tally.change(number - 1, "lightgbm", "completed", 0.9, 5, 2.0 * number)
        tally.change(number, "lightgbm", "running", math.nan, 0, 2.0 * number)
    assert tally.seconds_for(30, 20.0) == pytest.approx(60.0)
    assert tally.seconds_for(0, 20.0) == 0.0
    display = make(total_s=100.0, elapsed=40.0)
    assert "1:00 left" in "\n".join(shown(display)) or "0:59 left" in "\n".join(shown(display))
