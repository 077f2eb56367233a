"""Coverage and size of prediction intervals and sets on withheld rows, beside MAPIE's split conformal.

python -m benchmarks.coverage                                             the committed sample, a minute of fitting
python -m benchmarks.coverage --manifest data/manifest.json --all --runs /tmp/portfolios

MAPIE holds out a fifth of the same training rows and calibrates LightGBM with our tuned starting point on them
(numbers: absolute and, where it can, gamma scores; classes: LAC and RAPS). MAPIE is in the extra `bench`.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.model_selection import train_test_split

from benchmarks.portfolio import build, find_tables, fitted, parser, predict_test, say
from data.dataset import TabularDataset
from ensembles.build import Ensemble
from ensembles.conformal import interval, prediction_set
from ensembles.scoring import Answers

TUNED = {
    "learning_rate": 0.04,
    "num_leaves": 50,
    "min_child_samples": 40,
    "subsample": 0.75,
    "subsample_freq": 1,
}
ROUNDS = 400
Line = tuple[str, float, float]


def main() -> None:
    """Print coverage and mean width, or mean size, per table, level and method."""
    options = parser(__doc__)
    options.add_argument("--levels", type=float, nargs="+", default=[0.8, 0.9, 0.95])
    options.add_argument("--no-mapie", action="store_true")
    options.add_argument("--raps", action="store_true", help="also MAPIE's RAPS; minutes with many classes")
    given = options.parse_args()
    say(
        f"{'table':<20} {'test rows':>9} {'level':>6} {'method':<16} {'covered':>8} {'size':>11} {'to MAPIE':>9}"
    )
    for table in find_tables(given):
        with fitted(table, given) as run:
            ensemble, dataset = build(run, n_threads=given.threads)
            answers, y = predict_test(ensemble, dataset, given.threads)
        rows = [_ours(ensemble, answers, y, given.levels)]
        if not given.no_mapie:
            rows += (_mapie_intervals if dataset.problem_type == "regression" else _mapie_sets)(
                dataset, given
            )
        for place, level in enumerate(given.levels):
            _print(table.name, level, len(y), [lines[place] for lines in rows])


def _print(name: str, level: float, n_rows: int, lines: list[Line]) -> None:
    reference = lines[1][2] if len(lines) > 1 else float("nan")
    for method, covered, size in lines:
        say(
            f"{name:<20} {n_rows:>9,} {level:>6.2f} {method:<16} {covered:>8.4f} {size:>11.5g} "
            f"{size / reference:>9.3f}"
        )


def _ours(ensemble: Ensemble, answers: Answers, y: np.ndarray, levels: list[float]) -> list[Line]:
    conformal = ensemble.honesty.conformal
    if conformal["kind"] == "interval":
        name = f"ours, {conformal['scale']['shape']}"
        return [
            _of_ends(name, interval(answers.mean, answers.members, conformal, level), y) for level in levels
        ]
    name = f"ours, {conformal['score']}"
    return [_of_sets(name, prediction_set(answers.mean, conformal, level), y) for level in levels]


def _of_ends(method: str, ends: np.ndarray, y: np.ndarray) -> Line:
    covered = (ends[:, 0] <= y) & (y <= ends[:, 1])
    return method, float(covered.mean()), float((ends[:, 1] - ends[:, 0]).mean())


def _of_sets(method: str, sets: np.ndarray, y: np.ndarray) -> Line:
    return method, float(sets[np.arange(len(y)), y].mean()), float(sets.sum(axis=1).mean())


def _mapie_intervals(dataset: TabularDataset, given: argparse.Namespace) -> list[list[Line]]:
    from mapie.regression import SplitConformalRegressor  # noqa: PLC0415 - not needed with --no-mapie

    X, X_cal, y, y_cal = train_test_split(np.asarray(dataset.X), dataset.y, test_size=0.2, random_state=0)
    model = LGBMRegressor(n_estimators=ROUNDS, n_jobs=given.threads, verbose=-1, **TUNED).fit(X, y)
    rows = []
    for score in ("absolute", "gamma"):
        if score == "gamma" and min(y.min(), y_cal.min(), model.predict(X_cal).min()) <= 0:
            continue  # for positive numbers only
        mapie = SplitConformalRegressor(
            model, confidence_level=given.levels, conformity_score=score, prefit=True
        )
        _, ends = mapie.conformalize(X_cal, y_cal).predict_interval(np.asarray(dataset.X_test))
        rows.append(
            [_of_ends(f"MAPIE {score}", ends[:, :, i], dataset.y_test) for i in range(len(given.levels))]
        )
    return rows


def _mapie_sets(dataset: TabularDataset, given: argparse.Namespace) -> list[list[Line]]:
    from mapie.classification import SplitConformalClassifier  # noqa: PLC0415 - as above
    from mapie.conformity_scores import RAPSConformityScore  # noqa: PLC0415

    X, X_cal, y, y_cal = train_test_split(
        np.asarray(dataset.X), dataset.y, test_size=0.2, random_state=0, stratify=_strata(dataset.y)
    )
    model = LGBMClassifier(n_estimators=ROUNDS, n_jobs=given.threads, verbose=-1, **TUNED).fit(X, y)
    scores = {"lac": "lac"}
    if dataset.problem_type == "multiclass" and given.raps:
        scores["raps"] = RAPSConformityScore()
    rows = []
    for name, score in scores.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mapie = SplitConformalClassifier(
                model, confidence_level=given.levels, conformity_score=score, prefit=True, random_state=0
            )
            _, sets = mapie.conformalize(X_cal, y_cal).predict_set(np.asarray(dataset.X_test))
        rows.append(
            [_of_sets(f"MAPIE {name}", sets[:, :, i], dataset.y_test) for i in range(len(given.levels))]
        )
    return rows


def _strata(y: np.ndarray) -> np.ndarray | None:
    return y if np.bincount(y).min() > 1 else None


if __name__ == "__main__":
    main()
