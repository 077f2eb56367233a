import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from errors import TrainingError
from models import training
from models.base import FitContext
from models.dnn import DNN
from models.families import get_family
from models.losses import gaussian_nll
from models.schedule import Schedule
from models.training import isolated
from tests.models.tables import QUICK, make_fold, make_task


def test_divergence_names_epoch_and_rate(monkeypatch):
    def explode(outputs, y):
        return (outputs.mean() + 1) * torch.inf

    monkeypatch.setattr(DNN, "_losses", classmethod(lambda *_: (explode, explode)))
    with pytest.raises(TrainingError, match=r"dnn: the fit diverged in epoch 1 with lr=0\.1"):
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
    assert [len(linear.bias) for linear in model.network.body.linears] == [16, 7]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "mish", "selu"])
def test_every_choice_trains(optimizer, activation):
    params = {**QUICK["dnn"], "optimizer": optimizer, "activation": activation, "num_embedding": "none"}
    model = DNN.fit(params, make_task("binary"), make_fold("binary"), FitContext())
    assert min(model.history.val) < 0.6


def test_balanced_classes_move_the_answers_to_the_rare_class():
    fold, task = make_fold("binary", 800, 200), make_task("binary")
    rare = np.flatnonzero(fold.y_train == 1)[30:]
    fold = replace(fold, X_train=np.delete(fold.X_train, rare, 0), y_train=np.delete(fold.y_train, rare))
    plain, balanced = (
        DNN.fit({**QUICK["dnn"], "class_weight": weight}, task, fold, FitContext()).predict(fold.X_val).mean
        for weight in (None, "balanced")
    )
    assert balanced[:, 1].mean() > plain[:, 1].mean() + 0.04


def test_members_train_and_come_back():
    fold, task = make_fold("multiclass"), make_task("multiclass")
    model = DNN.fit({**QUICK["dnn"], "n_members": 4}, task, fold, FitContext())
    assert min(model.history.val) < 0.8
    assert model.network(torch.tensor(fold.X_val)).shape == (4, len(fold.X_val), 4)


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
@pytest.mark.parametrize("family", ["dnn", "mc_dropout", "bnn"])
def test_a_network_fitted_on_a_device_predicts_alike_on_the_cpu(family, device, tmp_path):
    fold = make_fold("multiclass")
    context = FitContext(device=device, gpu_share=0.5)
    model = get_family(family).fit(QUICK[family], make_task("multiclass"), fold, context)
    model.save(tmp_path)
    loaded = get_family(family).load(tmp_path)
    X = torch.tensor(fold.X_val)
    on_device = model.network.to(device)(X.to(device)).cpu()
    torch.testing.assert_close(loaded.network(X), on_device, rtol=0, atol=1e-5)
    assert min(model.history.val) < 1.1


def test_schedule_anneals_to_nothing_in_cycles_of_double_length():
    schedule = Schedule(1500, deadline=None, n_cycles=4)
    factors, cycles = [], []
    for _ in range(1500):
        factors.append(schedule.factor())
        cycles.append(schedule.cycle)
        assert not schedule.advance()
    assert np.bincount(cycles) == pytest.approx([100, 200, 400, 800], abs=1)
    for cycle in range(4):
        part = np.array(factors)[np.array(cycles) == cycle]
        assert part.max() > 0.999
        assert part[[0, -1]].max() < 0.001
    assert schedule.share == pytest.approx(1)


def test_a_cycle_that_brought_nothing_ends_the_fit():
    params = {**QUICK["dnn"], "d_block": 128, "epochs": 90, "dropout": 0.0, "weight_decay": 0.0}
    history = DNN.fit(params, make_task("binary"), make_fold("binary", 60, 100), FitContext()).history
    assert history.stop_reason == "patience"
    assert len(history.val) in (18, 42)  # the ends of the second and third cycle of 6, 12, 24 and 48 epochs
    assert history.best < len(history.val) // 2


def test_schedule_squeezes_the_curve_before_a_deadline():
    schedule = Schedule(10**9, deadline=time.monotonic() + 0.3, n_cycles=4)
    late, last = False, 1.0
    while not late:
        last = schedule.factor()
        late = schedule.advance()
        time.sleep(0.001)
    assert time.monotonic() < schedule.deadline + 0.1
    assert last < 0.1


def test_gaussian_nll_is_torch_s_own():
    torch.manual_seed(0)
    outputs, y = torch.randn(1, 50, 2), torch.randn(50)
    expected = torch.nn.functional.gaussian_nll_loss(outputs[0, :, 0], y, outputs[0, :, 1].exp())
    torch.testing.assert_close(gaussian_nll(outputs, y), expected)


def test_beta_of_one_teaches_the_mean_as_squared_error_does():
    outputs, y = torch.randn(1, 50, 2, requires_grad=True), torch.randn(50)
    gaussian_nll(outputs, y, beta=1.0).backward()
    torch.testing.assert_close(outputs.grad[0, :, 0], (outputs[0, :, 0] - y).detach() / 50)


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
