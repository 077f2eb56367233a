"""Which rule for the next family, and which scheduler, makes the best ensemble in equal time?

python -m benchmarks.search --seconds 120 FILE:TARGET FILE:TARGET FILE:TARGET

Whole commands with a fifth of the rows withheld; printed are the ensemble's out-of-fold score and its score on the
withheld rows, for each rule of `search.choice` with the race, and for the other schedulers with the default rule.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.budget import tune

CONTENDERS = (
    "search.choice=turns",
    "search.choice=time",
    "search.choice=gain",
    "search.scheduler=median",
    "search.scheduler=none",
)


def main() -> None:
    """Print one line per table, seed and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="FILE:TARGET")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--contenders", nargs="*", default=CONTENDERS, metavar="KEY=VALUE")
    given = parser.parse_args()
    for table in given.tables:
        source, _, target = table.rpartition(":")
        for seed in range(given.seeds):
            for contender in given.contenders:
                more = [contender, "data.test_size=0.2", f"seed={seed}", "tracking=none"]
                _wall, answer = tune(Path(source).resolve(), target, given.seconds, more)
                scores, metric = answer["scores"], answer["metric"]
                families = {m["family"] for m in answer["members"]}
                print(
                    f"{Path(source).name:32s} seed {seed}  {contender:26s} {metric}: out of fold {scores['oof']:.6g}, "
                    f"withheld rows {scores['test']['ensemble'][metric]:.6g}  "
                    f"({answer['n_completed']} of {answer['n_trials']} trials complete, "
                    f"members of {len(families)} families)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
