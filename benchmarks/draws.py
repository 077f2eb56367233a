"""One row with 50 draws beside one plain pass of the same network, for MC-Dropout and the Bayesian network.

python -m benchmarks.draws                                                the committed sample
python -m benchmarks.draws concrete.csv:strength
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from benchmarks.quality import SAMPLE
from benchmarks.splits import fit, read, say, split
from search_spaces import get_space


def main() -> None:
    """Print one line per table and family."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", default=[SAMPLE], metavar="FILE:TARGET")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for table in options.tables:
        dataset = read(table)
        part = split(dataset, 0.2, 0.2, 0)
        for family in ("mc_dropout", "bnn"):
            params = get_space(family, dataset.problem_type)[1][0]
            model, _ = fit(family, params | {"n_draws": options.draws, "epochs": 1}, part, 0, 1)
            row = torch.tensor(part.X_test[:1])
            plain, draws = microseconds(
                [partial(model.network, row), partial(model._outputs, row)], options.repeats
            )
            say(
                f"{dataset.name:<24} {family:<11} plain {plain:7.0f} us, {options.draws} draws {draws:7.0f} us, "
                f"ratio {draws / plain:.2f}"
            )


@torch.inference_mode()
def microseconds(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median time of each call, taken in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            taken.append((time.perf_counter() - start) * 1e6)
    return [median(taken) for taken in times]


if __name__ == "__main__":
    main()
