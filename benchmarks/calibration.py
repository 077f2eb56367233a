"""Calibration error and log-loss of the ensemble before and after calibration, on withheld rows.

python -m benchmarks.calibration                                          the committed sample, a minute of fitting
python -m benchmarks.calibration --manifest data/manifest.json adult letter --runs /tmp/portfolios

"cross" is out of fold, every row calibrated by what the other folds taught; "test" the withheld rows.
"""

from __future__ import annotations

from benchmarks.portfolio import build, find_tables, fitted, parser, predict_test, say
from ensembles.calibration import calibration_error, row_losses


def main() -> None:
    """Print one line per table."""
    options = parser(__doc__)
    given = options.parse_args()
    say(
        f"{'table':<20} {'chosen':<12} {'cross log-loss':>17} {'cross ECE':>15} {'test log-loss':>17} {'test ECE':>15}"
    )
    for table in find_tables(given):
        if table.problem_type == "regression":
            continue
        with fitted(table, given) as run:
            ensemble, dataset = build(run, n_threads=given.threads)
            if dataset.problem_type == "regression":
                continue
            answers, y = predict_test(ensemble, dataset, given.threads)
        cross = ensemble.honesty.report["calibration"]
        raw = sum(m.weight * P.astype(float) for m, P in zip(ensemble.members, answers.members, strict=True))
        raw = raw / raw.sum(axis=1, keepdims=True)
        losses = [float(row_losses(P, y).mean()) for P in (raw, answers.mean)]
        errors = [calibration_error(P, y) for P in (raw, answers.mean)]
        say(
            f"{table.name:<20} {cross['kind'] or 'none':<12} "
            f"{cross['log_loss_before']:>8.5f} {cross['log_loss_after']:>8.5f} "
            f"{cross['ece_before']:>7.4f} {cross['ece_after']:>7.4f} "
            f"{losses[0]:>8.5f} {losses[1]:>8.5f} {errors[0]:>7.4f} {errors[1]:>7.4f}"
        )


if __name__ == "__main__":
    main()
