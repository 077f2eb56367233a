"""A target's unit and where it begins change nothing: same R2, and the graph answers as the models."""

import numpy as np
import pytest

from data.metrics import r2
from ensembles.graph import ExportMember, build_graph
from ensembles.reference import answer
from ensembles.session import GraphSession
from models.base import FitContext, Fold
from models.baseline import predict_untuned_lightgbm
from models.boosting import TargetScale
from models.families import get_family
from tests.models.tables import QUICK, make_rows, make_task

TASK = make_task("regression")
UNITS = {
    "1e8 off": lambda y: y + 1e8,
    "unix seconds": lambda y: y + 1_750_000_000,
    "3e9 off": lambda y: y + 3e9,
    "tiny": lambda y: y * 1e-9,
    "large": lambda y: y * 1e9,
    "tiny, far off": lambda y: 1 + y * 1e-9,
    "beyond float32": lambda y: y * 1e-42,
}


def rows(change, n_rows, seed):
    X, y = make_rows("regression", n_rows, seed)
    return X, change((y - 1e4) / 500)


def fitted(family, change):
    fold = Fold(*rows(change, 400, 1), *rows(change, 150, 2))
    return get_family(family).fit(QUICK[family], TASK, fold, FitContext()), fold


@pytest.fixture(scope="module", params=["lightgbm", "xgboost", "dnn", "mc_dropout", "bnn"])
def family(request):
    return request.param


@pytest.fixture(scope="module")
def plain(family):
    model, fold = fitted(family, lambda y: y)
    return r2(fold.y_val, model.predict(fold.X_val).mean)


@pytest.mark.parametrize("unit", UNITS)
def test_r2_is_the_same_in_every_unit(family, plain, unit):
    model, fold = fitted(family, UNITS[unit])
    prediction = model.predict(fold.X_val)
    assert prediction.mean.dtype == np.float64
    assert r2(fold.y_val, prediction.mean) == pytest.approx(plain, abs=1e-3)
    units, spread = TargetScale.of(fold.y_train, TASK), float(np.std(fold.y_train))
    noise = float(np.mean((prediction.mean[:, 0] - fold.y_val) ** 2))
    members = [ExportMember(family, family, 1.0, noise, (model,))]
    found = GraphSession(build_graph(members, TASK, units, None).SerializeToString()).predict(fold.X_val)
    expected = answer(members, fold.X_val)
    for name in ("mean", "members", "total", "aleatoric"):
        gap = np.abs(getattr(found, name) - getattr(expected, name)).max()
        assert gap < 1e-5 * spread, name


@pytest.mark.parametrize("unit", UNITS)
def test_the_untuned_baseline_is_no_straw_man(unit):
    scores = []
    for change in (lambda y: y, UNITS[unit]):
        (X, y), (X_test, y_test) = rows(change, 400, 1), rows(change, 150, 2)
        scores.append(r2(y_test, predict_untuned_lightgbm(TASK, X, y, X_test, FitContext())))
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)
