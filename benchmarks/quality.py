"""Test scores of the ensemble beside the best single trial and an untuned LightGBM, and where the time went.

python -m benchmarks.quality                                              the committed sample, two minutes
python -m benchmarks.quality --budget 180 homes.csv:price letters.csv:letter
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from configs.load import SAMPLES

SAMPLE = f"{SAMPLES / 'credit_default.csv.gz'}:default payment next month"


def main() -> None:
    """Run each job and print one line per table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", default=[SAMPLE], metavar="FILE:TARGET")
    parser.add_argument("--budget", type=float, default=120, metavar="SECONDS")
    options = parser.parse_args()
    print(
        f"{'table':<28} {'metric':<9} {'ensemble':>10} {'single':>10} {'untuned':>10} {'trials':>6} {'whole':>5} "
        f"{'members':>7} {'beyond fit s':>12} {'start s':>7} {'search s':>8} {'end s':>6} {'total s':>7}"
    )
    for table in options.tables:
        print(line(*table.rsplit(":", 1), options.budget), flush=True)


def line(source: str, target: str, budget: float) -> str:
    """Run one job with a fifth of the rows withheld; its figures in a line."""
    result = run(source, target, budget)
    metric, seconds = result["metric"], result["seconds"]
    test, who = result["scores"]["test"], ("ensemble", "best_single", "untuned_lightgbm")
    scores = [test[w][metric] if w in test else float("nan") for w in who]
    overhead = result["overhead_s_per_trial"]
    return (
        f"{Path(source).name:<28} {metric:<9} {' '.join(f'{s:>10.5g}' for s in scores)} {result['n_trials']:>6} "
        f"{result['n_completed']:>5} {len(result['members']):>7} {overhead:>12.2f} {seconds['before_search']:>7.1f} "
        f"{seconds['search']:>8.1f} {seconds['ensemble']:>6.1f} {seconds['total']:>7.1f}"
    )


def run(source: str, target: str, budget: float) -> dict[str, Any]:
    """`tabularay tune` as a user would type it; what it prints with --json."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "cli", "tune", f"data.source={source}", f"data.target={target}"),
            *("data.test_size=0.2", f"search.time_budget_s={budget}", f"runs={folder}/runs"),
            *(f"registry={folder}/registry", "--json"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
