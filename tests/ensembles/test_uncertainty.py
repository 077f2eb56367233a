import numpy as np
import pytest

from ensembles.uncertainty import UncertaintySum
from models.base import Prediction


def test_models_that_agree_have_no_epistemic_part():
    p = np.array([[0.5, 0.5], [1.0, 0.0]], np.float32)
    sums = UncertaintySum(is_regression=False)
    sums.add(Prediction(p), 0.3)
    sums.add(Prediction(p), 0.7)
    found = sums.result()
    np.testing.assert_allclose(found.mean, p)
    np.testing.assert_allclose(found.total, [np.log(2), 0.0], atol=1e-9)
    np.testing.assert_allclose(found.epistemic, 0.0, atol=1e-9)


def test_sure_models_that_contradict_each_other_are_all_epistemic():
    sums = UncertaintySum(is_regression=False)
    sums.add(Prediction(np.array([[1.0, 0.0]], np.float32)), 1.0)
    sums.add(Prediction(np.array([[0.0, 1.0]], np.float32)), 1.0)
    found = sums.result()
    assert found.epistemic[0] == pytest.approx(np.log(2))
    assert found.aleatoric[0] == pytest.approx(0.0)


def test_variance_of_numbers_adds_up():
    draws = np.array([[[1.0]], [[3.0]]], np.float32)
    sums = UncertaintySum(is_regression=True)
    sums.add(Prediction(draws.mean(0), draws, np.array([4.0], np.float32)), 1.0)
    sums.add(Prediction(np.array([[2.0]], np.float32)), 1.0, noise=2.0)
    found = sums.result()
    assert found.mean[0, 0] == pytest.approx(2.0)
    assert found.epistemic[0] ** 2 == pytest.approx(0.5)
    assert found.aleatoric[0] ** 2 == pytest.approx(3.0)
    assert found.total[0] ** 2 == pytest.approx(3.5)
