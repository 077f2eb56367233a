import numpy as np
import pytest
import torch

from models.bayesian import BayesianLinear, BayesianMLP
from models.embeddings import CategoryEmbedding, PeriodicEmbedding, Preprocessing
from models.losses import cross_entropy, mean_cross_entropy, mean_squared_error, squared_error
from models.networks import MLP, ParametricActivation, ScaledLinear, dropout_mask

NAN = np.nan


def test_numbers_are_scaled_clipped_and_flagged():
    X = np.array(
        [[0, 5, NAN, 1], [1, 5, NAN, NAN], [2, 5, NAN, 3], [3, 5, NAN, 1], [4, 5, NAN, 9]], np.float32
    )
    numbers, slots = Preprocessing.fit(X, (0, 0, 0, 0))(torch.tensor(X))
    assert numbers.shape == (5, 4 + 1)
    assert slots.shape == (5, 0)
    scaled = (X[:, 0] - 2) / 2  # median 2, quartiles 1 and 3
    np.testing.assert_allclose(numbers[:, 0], scaled / np.sqrt(1 + (scaled / 3) ** 2), rtol=1e-6)
    assert (numbers[:, 1:3] == 0).all()
    assert numbers[1, 3] == 0
    assert numbers[:, 4].tolist() == [0, 1, 0, 0, 0]


def test_a_column_of_mostly_one_value_is_scaled_by_the_others():
    X = np.array([[0]] * 95 + [[10], [20], [30], [40], [1e9]], np.float32)
    preprocessing = Preprocessing.fit(X, (0,))
    assert float(preprocessing.center) == 0
    assert float(preprocessing.factor) == pytest.approx(1 / 40)


def test_extreme_numbers_stay_in_range():
    X = np.arange(9, dtype=np.float32)[:, None]
    wild = torch.tensor([[np.inf], [-np.inf], [3e38], [-3e38], [NAN]], dtype=torch.float32)
    numbers, _ = Preprocessing.fit(X, (0,))(wild)
    np.testing.assert_allclose(numbers[:, 0], [3, -3, 3, -3, 0], atol=1e-4)


def test_every_category_and_its_missing_value_have_a_slot():
    X = np.array([[0, 7.0, 1], [2, 8.0, NAN], [NAN, 9.0, 0]], np.float32)
    preprocessing = Preprocessing.fit(X, (3, 0, 2))
    _, slots = preprocessing(torch.tensor(X))
    assert slots.tolist() == [[0, 5], [2, 6], [3, 4]]
    assert preprocessing.n_slots == 7


def test_unseen_categories_get_the_mean_of_the_seen():
    embedding = CategoryEmbedding(5, 2)  # columns of 2 and 1 categories, each with a slot for missing
    table = embedding.table.detach().clone()
    embedding.fill_unseen(torch.tensor([[0, 3], [0, 3], [1, 3]]), starts=[0, 3])
    np.testing.assert_allclose(embedding.table[2].detach(), (2 * table[0] + table[1]) / 3, rtol=1e-6)
    np.testing.assert_allclose(embedding.table[4].detach(), table[3], rtol=1e-6)
    assert torch.equal(embedding.table[:2], table[:2])


def test_periodic_embedding_keeps_the_number_and_is_its_own_per_column():
    embedding = PeriodicEmbedding(3, 1.0)
    x = torch.randn(6, 3)
    out = embedding(x).view(6, 3, 4)
    assert torch.equal(out[:, :, 0], x)
    moved = x.clone()
    moved[:, 1] += 1
    changed = (embedding(moved).view(6, 3, 4) != out).any(dim=2).any(dim=0)
    assert changed.tolist() == [False, True, False]


def test_periodic_embedding_formula():
    embedding = PeriodicEmbedding(1, 1.0)
    x = torch.tensor([[0.3]])
    waves = torch.cos(0.3 * embedding.frequency[0] + embedding.phase[0])
    expected = waves @ embedding.weight[0] + embedding.bias[0]
    np.testing.assert_allclose(embedding(x)[0, 1:].detach(), expected.detach(), rtol=1e-5)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
def test_dropout_mask(rate):
    torch.manual_seed(0)
    mask = dropout_mask(torch.empty(301, 333), rate)
    assert (mask == 0).float().mean() == pytest.approx(rate, abs=0.01)
    assert mask.mean() == pytest.approx(1, abs=0.02)
    assert len(mask.unique()) == 2


def test_masked_draws_are_computed_one_by_one_alike():
    torch.manual_seed(0)
    mlp = MLP([5, 8, 8, 2], "silu", batch_norm=True, dropout=0.5).eval()
    x = torch.randn(4, 5)
    masks = [(torch.rand(3, 1, 8) > 0.5).float() * 2 for _ in range(2)]
    torch.nn.init.normal_(mlp.weight)
    together = mlp(x, masks)
    assert together.shape == (3, 4, 2)
    for draw in range(3):
        alone = mlp(x, [mask[draw] for mask in masks])
        torch.testing.assert_close(together[draw], alone[0])


def test_members_are_networks_of_their_own_with_shared_layers():
    torch.manual_seed(0)
    mlp = MLP([5, 8, 8, 2], "mish", batch_norm=False, dropout=0.0, n_members=3).eval()
    torch.nn.init.normal_(mlp.weight)
    x = torch.randn(4, 5)
    together = mlp(x)
    assert together.shape == (3, 4, 2)
    assert set(mlp.scale.flatten().tolist()) == {-1.0, 1.0}
    for member in range(3):
        h = x * mlp.scale[member]
        for linear, activation in zip(mlp.linears, mlp.activations, strict=True):
            h = activation(linear(h))
        alone = h @ mlp.weight[member] / 8**0.5 + mlp.bias[member]
        torch.testing.assert_close(together[member], alone)
    assert not torch.allclose(together[0], together[1])


def test_starting_weights_fit_the_rows():
    torch.manual_seed(0)
    x = torch.randn(500, 6) * torch.tensor([100.0, 1, 1, 1, 0.01, 1]) + 7
    linear = ScaledLinear(6, 40)
    out = linear.fit(x)
    torch.testing.assert_close(linear(x), out, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(out.std(dim=0).detach(), 1, rtol=0.01)
    share_positive = (out > 0).float().mean(dim=0)  # no unit is dead, none is linear
    assert share_positive.min() > 0.02
    assert share_positive.max() < 0.98


def test_a_parametric_activation_starts_as_the_activation_and_can_become_the_identity():
    layer = ParametricActivation("relu", 3)
    x = torch.randn(5, 3)
    assert torch.equal(layer(x), torch.relu(x))
    with torch.no_grad():
        layer.share.zero_()
    assert torch.equal(layer(x), x)


def test_training_scores_members_one_by_one_and_validation_their_mean():
    outputs, y = torch.randn(3, 7, 4), torch.randint(0, 4, (7,))
    each = [torch.nn.functional.cross_entropy(member, y) for member in outputs]
    torch.testing.assert_close(cross_entropy(outputs, y), torch.stack(each).mean())
    mean = torch.softmax(outputs, dim=2).mean(dim=0)
    torch.testing.assert_close(mean_cross_entropy(outputs, y), torch.nn.functional.nll_loss(mean.log(), y))
    values, target = torch.randn(3, 7, 1), torch.randn(7)
    each = [(member[:, 0] - target).square().mean() for member in values]
    torch.testing.assert_close(squared_error(values, target), torch.stack(each).mean())
    mean = values[:, :, 0].mean(dim=0)
    torch.testing.assert_close(mean_squared_error(values, target), (mean - target).square().mean())


def test_kl_is_torch_s_own():
    torch.manual_seed(0)
    layer = BayesianLinear(4, 3, prior_scale=0.7, init_scale=0.4)
    normal = torch.distributions.Normal
    prior = normal(0.0, 0.7 / 2)
    expected = sum(
        torch.distributions.kl_divergence(normal(mean, torch.nn.functional.softplus(rho)), prior).sum()
        for mean, rho in ((layer.mean, layer.rho), (layer.bias_mean, layer.bias_rho))
    )
    torch.testing.assert_close(layer.kl(), expected)


def test_prior_itself_has_no_kl():
    layer = BayesianLinear(4, 3, prior_scale=1.0, init_scale=1.0)
    with torch.no_grad():
        layer.mean.zero_()
    assert float(layer.kl().detach()) == pytest.approx(0, abs=1e-4)


def test_training_noise_and_sampled_weights_have_the_same_spread():
    torch.manual_seed(0)
    layer = BayesianLinear(6, 2, prior_scale=1.0, init_scale=0.5)
    x = torch.randn(1, 6)
    local = layer.train()(x.expand(20_000, 6)).std(dim=0)
    weights, biases = layer.sample(np.random.RandomState(0), 20_000)
    sampled = (torch.matmul(x, weights) + biases)[:, 0].std(dim=0)
    torch.testing.assert_close(local, sampled, rtol=0.03, atol=0)


def test_bayesian_mlp_is_its_mean_weights_outside_training():
    torch.manual_seed(0)
    mlp = BayesianMLP([4, 8, 1], "relu", prior_scale=1.0, init_scale=0.5)
    x = torch.randn(5, 4)
    assert mlp.eval()(x).shape == (1, 5, 1)
    assert torch.equal(mlp(x), mlp(x))
    assert not torch.equal(mlp.train()(x), mlp(x))
