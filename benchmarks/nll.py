"""Negative log-likelihood of the whole ensemble on random 90/10 splits, as the UCI benchmarks do.

python -m benchmarks.nll --splits 20 --seconds 10 concrete.csv:strength
python -m benchmarks.nll --splits 5 --seconds 60 --manifest data/manifest.json protein_structure

"normal" takes each answer for a normal distribution with the ensemble's mean and total uncertainty. "interval" is the
density that the conformal intervals imply: their scores, smoothed, stretched by their normaliser.
"""

from __future__ import annotations

import numpy as np

from benchmarks.portfolio import build, find_tables, fitted, parser, predict_test, say
from ensembles import load_bundle
from ensembles.conformal import Conformal
from ensembles.spread import apply_scale, member_spread

PUBLISHED = "concrete 3.04 (NGBoost), 3.06 (Deep Ensembles); protein 2.81, 2.83"


def main() -> None:
    """Print RMSE and negative log-likelihoods per table."""
    options = parser(__doc__)
    options.add_argument("--splits", type=int, default=5)
    given = options.parse_args()
    say(f"published: {PUBLISHED}")
    for table in find_tables(given):
        rows = []
        for seed in range(given.splits):
            with fitted(table, given, seed, test_size=0.1) as run:
                ensemble, dataset = build(run, n_threads=given.threads)
                total = (
                    load_bundle(run / "bundle", given.threads)
                    .predict_encoded(np.asarray(dataset.X_test))
                    .total
                )
                answers, y = predict_test(ensemble, dataset, given.threads)
            conformal = ensemble.honesty.conformal
            size = apply_scale(
                conformal["scale"],
                answers.mean[:, 0],
                conformal["spread_factor"] * member_spread(answers.members, conformal["weights"]),
            )
            error = y - answers.mean[:, 0]
            rmse = float(np.sqrt(np.mean(np.square(error))))
            rows.append([rmse, normal_nll(error, total), interval_nll(error, size, conformal)])
            say(f"  {table.name} split {seed}: RMSE {rmse:.4g}, NLL {rows[-1][1]:.4f}, {rows[-1][2]:.4f}")
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0) / np.sqrt(len(rows))
        figures = "   ".join(
            f"{what} {m:.4f} +- {s:.4f}"
            for what, m, s in zip(("RMSE", "NLL normal", "NLL interval"), mean, spread, strict=True)
        )
        say(f"{table.name:<20} {figures}")


def normal_nll(error: np.ndarray, std: np.ndarray) -> float:
    """Mean negative log-density of errors under normal distributions of these standard deviations."""
    return float(np.mean(0.5 * np.log(2 * np.pi * std**2) + 0.5 * np.square(error / std)))


def interval_nll(error: np.ndarray, size: np.ndarray, conformal: Conformal) -> float:
    """Mean negative log-density under the scores' own distribution, taken as symmetric, with normal kernels."""
    scores = np.asarray(conformal["scores"])
    width = 0.9 * np.sqrt(np.mean(np.square(scores))) * (2 * conformal["n"]) ** -0.2
    width = np.maximum(width, 0.5 * scores)  # wider kernels where scores are thin
    z = np.abs(error / size)[:, None]
    kernels = [np.exp(-0.5 * np.square((z - sign * scores) / width)) for sign in (1, -1)]
    density = (sum(kernels) / (2 * np.sqrt(2 * np.pi) * width)).mean(axis=1)
    return float(-np.mean(np.log(np.maximum(density, 1e-12) / size)))


if __name__ == "__main__":
    main()
