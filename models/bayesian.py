"""Layers whose weights are Gaussians, learned by variational inference.

Shape symbols: B rows, K draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks import ACTIVATIONS


class BayesianLinear(nn.Module):
    """A linear layer whose weights are independent Gaussians, learned by variational inference.

    Shape: (B, d_in) -> (B, d_out).
    Source: Blundell et al. 2015, arXiv 1505.05424 (mean-field Gaussian, closed-form KL); Kingma et al. 2015,
        arXiv 1506.02557 (local reparameterisation: the noise is drawn per output, not per weight). The prior's
        variance is prior_scale**2 / d_in, so that layers of every width start out alike.
    """

    def __init__(self, d_in: int, d_out: int, prior_scale: float, init_scale: float):
        super().__init__()
        self.prior_std = prior_scale / math.sqrt(d_in)
        start = math.log(math.expm1(init_scale * self.prior_std))
        self.mean = nn.Parameter(torch.empty(d_out, d_in))
        self.rho = nn.Parameter(torch.full((d_out, d_in), start))
        self.bias_mean = nn.Parameter(torch.zeros(d_out))
        self.bias_rho = nn.Parameter(torch.full((d_out,), start))
        nn.init.kaiming_uniform_(self.mean, a=math.sqrt(5))

    def forward(self, h: Tensor) -> Tensor:
        """A fresh draw per row in training; the mean weights otherwise."""
        mean = functional.linear(h, self.mean, self.bias_mean)
        if not self.training:
            return mean
        std, bias_std = functional.softplus(self.rho), functional.softplus(self.bias_rho)
        variance = functional.linear(h * h, std * std, bias_std * bias_std)
        return mean + torch.sqrt(variance + 1e-12) * torch.randn_like(mean)

    def kl(self) -> Tensor:
        """KL divergence of the weights from the prior, summed, in nats."""
        return sum(
            _gaussian_kl(mean, functional.softplus(rho), self.prior_std)
            for mean, rho in ((self.mean, self.rho), (self.bias_mean, self.bias_rho))
        )

    @torch.no_grad()
    def sample(self, noise: np.random.RandomState, n_draws: int) -> tuple[Tensor, Tensor]:
        """Draw weights.

        Shape: weights (K, d_in, d_out), biases (K, 1, d_out).
        """
        d_out, d_in = self.mean.shape
        spread = functional.softplus(self.rho)
        weights = torch.empty((n_draws, d_out, d_in), dtype=self.mean.dtype)
        for (
            draw
        ) in weights:  # one by one: the noise arrives in 64 bits, and the weights of a wide table are many
            draw.copy_(torch.from_numpy(noise.standard_normal((d_out, d_in)))).mul_(spread).add_(self.mean)
        biases = torch.tensor(noise.standard_normal((n_draws, 1, d_out)), dtype=self.mean.dtype)
        return weights.transpose(1, 2), self.bias_mean + biases * functional.softplus(self.bias_rho)


def _gaussian_kl(mean: Tensor, std: Tensor, prior_std: float) -> Tensor:
    ratio = std / prior_std
    return (0.5 * (ratio.square() + (mean / prior_std).square() - 1) - torch.log(ratio)).sum()


class BayesianMLP(nn.Module):
    """Bayesian linear layers with activations between them.

    Shape: (B, d_in) -> (1, B, d_out); with weights, one pair per layer as BayesianLinear.sample -> (K, B, d_out).
    """

    def __init__(self, sizes: Sequence[int], activation: str, prior_scale: float, init_scale: float):
        super().__init__()
        self.layers = nn.ModuleList(
            BayesianLinear(d_in, d_out, prior_scale, init_scale) for d_in, d_out in pairwise(sizes)
        )
        self.activation = ACTIVATIONS[activation]

    def forward(self, h: Tensor, weights: Sequence[tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """See the class."""
        for index, layer in enumerate(self.layers):
            if index:
                h = self.activation(h)
            h = layer(h) if weights is None else torch.matmul(h, weights[index][0]) + weights[index][1]
        return h if weights else h.unsqueeze(0)

    def kl(self) -> Tensor:
        """KL divergence of all weights from their priors, in nats."""
        return sum(layer.kl() for layer in self.layers)
