"""The ensemble beside the best single trial and an untuned LightGBM on withheld rows, for every table of a manifest.

python -m benchmarks.members                                              the committed sample, a minute
python -m benchmarks.members --manifest data/manifest.json --all --seconds 180

Runs `tabularay tune` as a user would, with a fifth of the rows withheld. "out of fold" is where selection was made.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.portfolio import Table, find_tables, parser, say
from data.metrics import METRICS

WHO = ("ensemble", "best_single", "untuned_lightgbm")


def main() -> None:
    """Run every table and print its line."""
    given = parser(__doc__).parse_args()
    say(
        f"{'table':<20} {'metric':<9} {'out of fold: ens., single':>25} {'test: ensemble':>14} "
        f"{'single':>10} {'untuned':>10} {'won':>4} {'members':>7} {'trials':>6} {'covered':>8} {'ECE':>7} "
        f"{'total s':>8}"
    )
    won = []
    for table in find_tables(given):
        result = tune(table, given.seconds)
        won.append(_print(table, result))
    say(f"the ensemble was ahead of the best single trial on {sum(won)} of {len(won)} tables")


def tune(table: Table, seconds: float) -> dict[str, Any]:
    """`tabularay tune` on a table; what it prints with --json."""
    ignore = ",".join(json.dumps(name, ensure_ascii=False) for name in table.ignore)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(
                sys.executable,
                "-m",
                "cli",
                "tune",
                f"data.source={table.source}",
                f"data.target={table.target}",
            ),
            *(f"data.ignore=[{ignore}]", "data.test_size=0.2", f"search.time_budget_s={seconds:g}"),
            *("tracking=none", f"runs={folder}/runs", f"registry={folder}/registry", "--json"),
        ]
        if table.problem_type:
            command.insert(-1, f"problem_type={table.problem_type}")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{table.name}: {done.stderr}")
    return json.loads(done.stdout)


def _print(table: Table, result: dict[str, Any]) -> bool:
    metric, scores = result["metric"], result["scores"]
    test, honesty = scores["test"], scores["test_honesty"]
    ensemble, single, untuned = (test.get(who, {}).get(metric, float("nan")) for who in WHO)
    ahead = ensemble > single if METRICS[metric].mode == "max" else ensemble < single
    say(
        f"{table.name:<20} {metric:<9} {scores['oof']:>12.5g} {scores['oof_best_single']:>12.5g} {ensemble:>14.5g} "
        f"{single:>10.5g} {untuned:>10.5g} {'yes' if ahead else 'no':>4} {len(result['members']):>7} "
        f"{result['n_completed']:>6} {honesty.get('covered', float('nan')):>8.4f} "
        f"{honesty.get('ece', float('nan')):>7.4f} {result['seconds']['total']:>8.1f}"
    )
    return ahead


if __name__ == "__main__":
    main()
