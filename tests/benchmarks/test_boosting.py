import sys

import numpy as np
import pytest

from benchmarks import boosting
from models.base import Fold, Task


def test_statistics_come_from_other_rows():
    noise = np.random.default_rng(0)
    y = noise.integers(0, 2, 1000)
    X = np.column_stack([np.arange(1000), noise.integers(0, 2, 1000)]).astype(np.float32)
    new = np.array([[np.nan, 0], [7, 1]], np.float32)
    fold, task = boosting.with_statistics(Fold(X, y, new, y[:2]), Task("binary", 2, (1000, 0)))
    assert task.cardinalities == (0, 0)
    assert (
        len(np.unique(fold.X_train[:, 0])) == boosting.INNER_FOLDS
    )  # alone in its category: the others' mean
    weight, prior = boosting.SMOOTHING, y.mean()
    np.testing.assert_allclose(fold.X_val[:, 0], [prior, (y[7] + weight * prior) / (1 + weight)], rtol=1e-6)
    np.testing.assert_array_equal(fold.X_train[:, 1], X[:, 1])


def test_statistics_learn_the_category():
    noise = np.random.default_rng(0)
    codes = noise.integers(0, 4, 4000)
    y = (noise.random(4000) < np.array([0.1, 0.3, 0.5, 0.9])[codes]).astype(np.int64)
    X = codes.reshape(-1, 1).astype(np.float32)
    fold, _ = boosting.with_statistics(Fold(X, y, X, y), Task("binary", 2, (4,)))
    for code, rate in enumerate([0.1, 0.3, 0.5, 0.9]):
        assert fold.X_train[codes == code, 0] == pytest.approx(rate, abs=0.06)


def test_a_table_of_a_user(tmp_path, monkeypatch, capsys):
    noise = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{c},{2 * a + (c == 'x') + e:.3f}"
        for a, c, e in zip(
            noise.normal(size=300), noise.choice(list("xyz"), 300), noise.normal(size=300), strict=True
        )
    ]
    (tmp_path / "homes.csv").write_text("\n".join(["size,kind,price", *rows]))
    monkeypatch.setattr(sys, "argv", ["boosting", "--data", str(tmp_path), "--seeds", "1", "homes.csv:price"])
    boosting.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [["homes", f, "rmse"] for f in boosting.FAMILIES]
    assert lines[3].startswith("better on ")
    assert "native" in lines[5]
    assert len(lines) == 8
