import time

import numpy as np
import pytest
import torch

from errors import TrainingError
from models import training
from models.base import FitContext
from models.dnn import DNN
from models.training import Schedule, gaussian_nll, isolated
from tests.models.tables import QUICK, make_fold, make_task


def test_divergence_names_epoch_and_rate(monkeypatch):
    def explode(outputs, y):
        return outputs.mean() * torch.inf

    monkeypatch.setattr(DNN, "_losses", classmethod(lambda *_: (explode, explode)))
    with pytest.raises(TrainingError, match=r"dnn: the fit diverged in epoch 1 with lr=0\.01"):
        DNN.fit(QUICK["dnn"], make_task("binary"), make_fold("binary"), FitContext())


def test_wild_rate_still_leaves_numbers():
    fold = make_fold("regression")
    model = DNN.fit({**QUICK["dnn"], "lr": 1.0}, make_task("regression"), fold, FitContext())
    assert np.isfinite(model.predict(fold.X_val).mean).all()


def test_weights_of_the_best_epoch_are_kept():
    fold, task = make_fold("binary", 100, 100), make_task("binary")
    params = {**QUICK["dnn"], "d_block": 128, "epochs": 60, "patience": 5, "lr": 0.03, "dropout": 0.0}
    model = DNN.fit(params, task, fold, FitContext())
    assert model.history.stop_reason == "patience"
    assert len(model.history.val) == model.history.best + 6
    mean = model.predict(fold.X_val).mean
    loss = -np.log(mean[np.arange(len(mean)), fold.y_val]).mean()
    assert loss == pytest.approx(min(model.history.val), rel=1e-4)


def test_hidden_dims_override_blocks():
    params = {**QUICK["dnn"], "hidden_dims": [16, 7], "n_blocks": 5}
    model = DNN.fit(params, make_task("binary"), make_fold("binary"), FitContext())
    assert [linear.out_features for linear in model.network.body.linears] == [16, 7]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "mish"])
def test_every_choice_trains(optimizer, activation):
    params = {**QUICK["dnn"], "optimizer": optimizer, "activation": activation, "num_embedding": "none"}
    model = DNN.fit(params, make_task("binary"), make_fold("binary"), FitContext())
    assert min(model.history.val) < 0.6


def test_schedule_warms_up_and_anneals_to_nothing():
    schedule = Schedule(100, deadline=None)
    factors = []
    for _ in range(100):
        factors.append(schedule.factor())
        assert not schedule.advance()
    assert factors[0] < 0.3
    assert max(factors) > 0.99
    assert factors[-1] < 0.01
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert schedule.share == pytest.approx(1)


def test_schedule_squeezes_the_curve_before_a_deadline():
    schedule = Schedule(10**9, deadline=time.monotonic() + 0.3)
    late, last = False, 1.0
    while not late:
        last = schedule.factor()
        late = schedule.advance()
        time.sleep(0.001)
    assert time.monotonic() < schedule.deadline + 0.1
    assert last < 0.1


def test_gaussian_nll_is_torch_s_own():
    torch.manual_seed(0)
    outputs, y = torch.randn(50, 2), torch.randn(50)
    expected = torch.nn.functional.gaussian_nll_loss(outputs[:, 0], y, outputs[:, 1].exp())
    torch.testing.assert_close(gaussian_nll(outputs, y), expected)


def test_beta_of_one_teaches_the_mean_as_squared_error_does():
    outputs, y = torch.randn(50, 2, requires_grad=True), torch.randn(50)
    gaussian_nll(outputs, y, beta=1.0).backward()
    torch.testing.assert_close(outputs.grad[:, 0], (outputs[:, 0] - y).detach() / 50)


def test_isolation_puts_threads_and_generator_back():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    before = torch.get_num_threads()
    with isolated(FitContext(n_threads=before + 1, seed=9)):
        assert torch.get_num_threads() == before + 1
        torch.rand(5)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("rows", "size", "batches"), [(24_000, 512, 46), (800, 512, 32), (30, 512, 3), (5, 2, 2), (1, 2, 1)]
)
def test_small_tables_use_smaller_batches(rows, size, batches):
    assert training._batches(rows, size) == batches
