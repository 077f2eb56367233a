"""Is the uncertainty useful? Error on the rows that are kept when the least certain ones are rejected, and on odd rows.

python -m benchmarks.rejection                                            the committed sample, a minute of fitting
python -m benchmarks.rejection --manifest data/manifest.json adult uci_credit_default --runs /tmp/portfolios

Withheld rows are rejected by total and by epistemic uncertainty; "by chance" is what rejecting at random gives, "area"
the mean over all shares. "shifted" are the same rows with half of their numbers moved by some standard deviations:
the median epistemic uncertainty there, as a multiple of that of the rows as they are.
"""

from __future__ import annotations

import numpy as np

from benchmarks.portfolio import build, find_tables, fitted, parser, say
from data.dataset import TabularDataset
from ensembles import load_bundle

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
SHIFTS = (1.0, 3.0, 10.0)


def main() -> None:
    """Print the curves of every table."""
    given = parser(__doc__).parse_args()
    shares = " ".join(f"{share:>8.0%}" for share in SHARES)
    say(f"{'table':<20} {'error of':<9} {'rejected by':<11} {shares} {'area':>8}")
    for table in find_tables(given):
        with fitted(table, given) as run:
            _ensemble, dataset = build(run, n_threads=given.threads)
            bundle = load_bundle(run / "bundle", given.threads)
            found = bundle.predict_encoded(np.asarray(dataset.X_test))
            what, errors = row_errors(found.mean, np.asarray(dataset.y_test))
            for name in ("total", "epistemic", "by chance"):
                order = None if name == "by chance" else np.argsort(getattr(found, name), kind="stable")
                kept = np.cumsum(errors if order is None else errors[order]) / np.arange(1, len(errors) + 1)
                kept = np.full(len(errors), errors.mean()) if order is None else kept
                points = [kept[max(1, round((1 - share) * len(kept))) - 1] for share in SHARES]
                line = " ".join(f"{finish(what, p):>8.4g}" for p in points)
                say(f"{table.name:<20} {what:<9} {name:<11} {line} {finish(what, kept.mean()):>8.4g}")
            before = np.median(found.epistemic)
            moved = [
                np.median(bundle.predict_encoded(shift(dataset, by)).epistemic) / before for by in SHIFTS
            ]
            text = "   ".join(f"{by:g} sd: x {value:.2f}" for by, value in zip(SHIFTS, moved, strict=True))
            say(f"{table.name:<20} epistemic on shifted rows   {text}")


def row_errors(mean: np.ndarray, y: np.ndarray) -> tuple[str, np.ndarray]:
    """What is counted, and it per row: mistakes, or squared errors."""
    if mean.shape[1] == 1:
        return "rmse", np.square(mean[:, 0] - y)
    return "class", (mean.argmax(axis=1) != y).astype(float)


def finish(what: str, mean: float) -> float:
    """A mean of row errors in the unit it is shown in."""
    return float(np.sqrt(mean)) if what == "rmse" else float(mean)


def shift(dataset: TabularDataset, by: float) -> np.ndarray:
    """The withheld rows with every other number moved by some standard deviations."""
    X = np.array(dataset.X_test, np.float32)
    numbers = [i for i, size in enumerate(dataset.encoder.cardinalities) if not size]
    spread = np.nanstd(np.asarray(dataset.X)[:, numbers], axis=0)
    X[:, numbers[::2]] += (by * spread)[::2]
    return X


if __name__ == "__main__":
    main()
