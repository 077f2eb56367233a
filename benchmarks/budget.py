"""Is a time budget kept, and does a larger one help? Whole commands, on different tables.

python -m benchmarks.budget FILE:TARGET=20,60 FILE:TARGET=20,40,80

Printed per command: seconds of wall clock as the shell sees them, the overshoot and what is allowed (the larger of
5 % and 10 s), and the ensemble's out-of-fold score, which should not get worse with the budget. Ends with 1 if a
budget is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from data.metrics import METRICS

ROOT = Path(__file__).parent.parent
ALLOWED = (0.05, 10.0)


def main() -> None:
    """Print one line per table and budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="FILE:TARGET=S,S,...")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="Further configuration.")
    given = parser.parse_args()
    n_broken = n_worse = n_all = 0
    for table in given.tables:
        what, _, budgets = table.rpartition("=")
        source, _, target = what.rpartition(":")
        losses: list[float] = []
        for budget in map(float, budgets.split(",")):
            wall, answer = tune(Path(source).resolve(), target, budget, given.set)
            allowed = max(ALLOWED[0] * budget, ALLOWED[1])
            score, sign = answer["scores"]["oof"], 1 if METRICS[answer["metric"]].mode == "min" else -1
            worse = bool(losses) and sign * score > min(losses)
            losses.append(sign * score)
            n_all, n_worse = n_all + 1, n_worse + worse
            n_broken += wall - budget > allowed
            print(
                f"{Path(source).name:32s} {budget:5.0f} s  took {wall:6.1f} s "
                f"({wall - budget:+5.1f}, allowed +{allowed:.0f})"
                f"  {answer['n_completed']:3d} of {answer['n_trials']:3d} trials complete"
                f"  {answer['metric']} {score:.5g}{'  worse than with less time' if worse else ''}",
                flush=True,
            )
    print(f"{n_broken} of {n_all} budgets broken; {n_worse} worse than with less time")
    sys.exit(n_broken > 0)


def tune(source: Path, target: str, budget: float, more: list[str]) -> tuple[float, dict]:
    """Run the command; its wall clock, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "cli", "tune", f"data.source={source}", f"data.target={target}"),
                *(f"search.time_budget_s={budget}", *more, "--json"),
            ],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "WANDB_MODE": "offline"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        return time.time() - started, json.loads(done.stdout)


if __name__ == "__main__":
    main()
