"""Error and likelihood of MC-Dropout and the Bayesian network on random 90/10 splits, as the UCI benchmarks do.

python -m benchmarks.uncertainty --splits 20 concrete.csv:strength
python -m benchmarks.uncertainty --splits 5 --families bnn protein.csv:RMSD

Each split fits the first starting point on nine tenths of its training rows and stops on the last; "one" is that
network alone, "five" the mean of five fitted on folds, as an ensemble uses a trial. The likelihood of a row is that
of the mixture of its draws, each a normal distribution with the learned noise.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from benchmarks.splits import Split, fit, read, say, split
from data.splits import assign_folds
from models.base import Fold, Prediction
from search_spaces import get_space

PUBLISHED = {
    "mc_dropout": "Gal 2018: concrete 4.82 / 2.93, protein 4.27 / 2.87",
    "bnn": "PBP: 5.67 / 3.16, 4.73 / 2.97",
}


def main() -> None:
    """Print RMSE and negative log-likelihood per family and table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="+", metavar="FILE:TARGET")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--families", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--five", action="store_true", help="also the mean of five networks fitted on folds")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for table in options.tables:
        dataset = read(table)
        for family in options.families:
            params = get_space(family, "regression")[1][0]
            rows = []
            for seed in range(options.splits):
                part = split(dataset, 0.1, 0.1, seed)
                model, seconds = fit(family, params, part, seed, options.threads)
                row = [*scores(part, [model.predict(part.X_test, options.threads)]), seconds]
                if options.five:
                    row[2:2] = scores(part, _five(family, params, part, seed, options.threads))
                rows.append(row)
            mean, error = np.mean(rows, axis=0), np.std(rows, axis=0) / np.sqrt(len(rows))
            figures = "   ".join(f"{m:.3f} +- {e:.3f}" for m, e in zip(mean[:-1], error[:-1], strict=True))
            say(f"{table.rsplit('/', 1)[-1]:<40} {family:<11} RMSE, NLL: {figures}   {mean[-1]:.1f} s a fit")
            say(f"{'':<40} published   {PUBLISHED[family]}")


def _five(family: str, params: dict, part: Split, seed: int, n_threads: int) -> list[Prediction]:
    X = np.concatenate([part.fold.X_train, part.fold.X_val])
    y = np.concatenate([part.fold.y_train, part.fold.y_val])
    folds = assign_folds(y, 5, "regression", seed)
    parts = [
        replace(part, fold=Fold(X[folds != k], y[folds != k], X[folds == k], y[folds == k])) for k in range(5)
    ]
    return [fit(family, params, p, seed, n_threads)[0].predict(part.X_test, n_threads) for p in parts]


def scores(part: Split, predictions: list[Prediction]) -> tuple[float, float]:
    """RMSE of the mean, and mean negative log-likelihood of the mixture of all draws."""
    y = part.y_test
    draws = np.concatenate([p.draws[:, :, 0] for p in predictions]).astype(np.float64)
    noise = np.concatenate([np.broadcast_to(p.noise, p.draws.shape[:2]) for p in predictions]).astype(
        np.float64
    )
    log_p = -0.5 * (np.log(2 * np.pi * noise) + (y - draws) ** 2 / noise)
    nll = -(np.logaddexp.reduce(log_p, axis=0) - np.log(len(draws)))
    return float(np.sqrt(np.mean((y - draws.mean(axis=0)) ** 2))), float(nll.mean())


if __name__ == "__main__":
    main()
