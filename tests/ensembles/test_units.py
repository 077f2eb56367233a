"""What compares a regression's answers does so by the target's spread, wherever it lies and whatever its unit."""

from types import SimpleNamespace

import numpy as np
import pytest

from data.target import Target
from ensembles.bundle import GOLDEN_RTOL, _golden_scale
from ensembles.parity import LIMIT, units_of
from models.base import History, Prediction, Task
from models.storage import Meta
from models.trials import FoldRecord, StoredTrial, read_oof_rows, write_fold

UNITS = [(1.0, 0.0), (1.0, 1_750_000_000.0), (1e-9, 0.0), (1e9, 3e9), (1e-9, 1.0)]
VALUES = np.random.default_rng(0).normal(size=200)


@pytest.mark.parametrize(("factor", "offset"), UNITS)
def test_the_graph_is_held_to_its_models_by_the_spread(factor, offset):
    y = VALUES * factor + offset
    scale, slack = units_of(SimpleNamespace(problem_type="regression", y=y))
    assert scale == pytest.approx(y.std())
    assert slack < LIMIT


@pytest.mark.parametrize(("factor", "offset"), UNITS)
def test_golden_rows_are_held_to_their_answers_by_the_spread(factor, offset):
    golden = {
        "mean": (VALUES[:8, None] * factor + offset).tolist(),
        "total": np.full(8, 0.1 * factor).tolist(),
    }
    scale = _golden_scale(Target("y", "regression"), golden, "mean")
    assert scale * GOLDEN_RTOL < 1e-3 * factor
    assert scale == pytest.approx(np.ptp(VALUES[:8]) * factor, rel=1e-3)


class Nothing:
    """A model whose file is empty."""

    history = History()
    meta = Meta("nothing", {}, Task("regression", 1, ()), history, {})

    def save(self, folder):
        (folder / "nothing").touch()


def test_out_of_fold_predictions_keep_their_digits_beside_those_of_0_1_0(tmp_path):
    folds = np.arange(200) % 2
    y = 1_750_000_000 + VALUES[:, None]
    for fold, kind in ((0, np.float32), (1, np.float64)):
        mean = y[folds == fold].astype(kind)
        write_fold(tmp_path, FoldRecord(fold, 0.0, 0.0, 0.0), Nothing(), Prediction(mean))
    records = tuple(FoldRecord(fold, 0.0, 0.0, 0.0) for fold in (0, 1))
    trial = StoredTrial(tmp_path, 0, "nothing", {}, 0, "", "completed", "", records)
    for found in (trial.oof(folds), read_oof_rows(tmp_path, folds, np.arange(200))):
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found[folds == 1], y[folds == 1])
        np.testing.assert_array_equal(found[folds == 0], y[folds == 0].astype(np.float32))
