import numpy as np
import pytest

from errors import ConfigError
from models.base import FitContext, Fold, Task
from models.families import FAMILIES, get_family
from models.weights import row_weights
from tests.models.tables import QUICK, make_fold, make_task


def test_weights_make_classes_equal():
    X = np.zeros((8, 1), np.float32)
    fold = Fold(X, np.array([0, 0, 0, 0, 0, 0, 2, 2]), X[:3], np.array([0, 2, 1]))
    task = Task("multiclass", 3, (0,))
    train, val = row_weights("balanced", fold, task)
    assert train.mean() == pytest.approx(1)
    assert train[:6].sum() == pytest.approx(train[6:].sum())
    np.testing.assert_allclose(val, [train[0], train[6], 1])
    assert row_weights(None, fold, task) == (None, None)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_that_cannot_be(family):
    with pytest.raises(ConfigError, match=r"class_weight: got 'balance'; allowed: null( or|,) balanced"):
        get_family(family).check_params({"class_weight": "balance"})
    params = {**QUICK[family], "class_weight": "balanced"}
    with pytest.raises(ConfigError, match="class_weight: got 'balanced' for a regression target"):
        get_family(family).fit(params, make_task("regression"), make_fold("regression"), FitContext())
