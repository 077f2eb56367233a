"""The parts networks are made of: preprocessing, embeddings, plain and Bayesian layers.

Shape symbols: B rows, F numbers, C categories, K draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish}
CLIP = 3.0


class Preprocessing(nn.Module):
    """Scale numbers, flag missing ones, and turn category codes into embedding slots.

    Numbers: (x - median) / interquartile range, then a smooth clip to (-3, 3); missing becomes 0, and a flag
    where the column had missing values in training. A column that is mostly one value has no interquartile
    range; there it is the distance from that value that three in four of the others stay below.
    Categories: each has a slot, plus one per column for a missing or unseen value. Everything is a buffer, so
    an exported graph takes raw rows.

    Shape: X (B, n_features) -> numbers (B, F + n_flags), slots int64 (B, C).
    Source: Holzmüller et al. 2024, arXiv 2407.04491, appendix A.1 (robust scale and smooth clip; without an
        interquartile range the paper takes half the range, which one outlier can stretch).
    """

    def __init__(self, cardinalities: Sequence[int], center: Tensor, factor: Tensor, flagged: Tensor):
        super().__init__()
        sizes = torch.tensor([size for size in cardinalities if size], dtype=torch.int64)
        is_number = torch.tensor([size == 0 for size in cardinalities])
        self.register_buffer("numeric", torch.nonzero(is_number).flatten(), persistent=False)
        self.register_buffer("categorical", torch.nonzero(~is_number).flatten(), persistent=False)
        self.register_buffer("missing_slots", sizes, persistent=False)
        self.register_buffer("offsets", (sizes + 1).cumsum(0) - sizes - 1, persistent=False)
        self.register_buffer("center", center)
        self.register_buffer("factor", factor)
        self.register_buffer("flagged", flagged)
        self.n_slots = int((sizes + 1).sum())

    @classmethod
    def fit(cls, X: np.ndarray, cardinalities: Sequence[int]) -> Preprocessing:
        """Measure the numbers of the training rows; a constant or empty column becomes 0 everywhere."""
        numbers = X[:, [size == 0 for size in cardinalities]].astype(np.float64)
        seen = np.isfinite(numbers)
        stats = [_center_and_factor(column[mask]) for column, mask in zip(numbers.T, seen.T, strict=True)]
        center, factor = np.array(stats, dtype=np.float32).reshape(-1, 2).T
        flagged = np.flatnonzero(~seen.all(axis=0) & seen.any(axis=0))
        return cls(cardinalities, torch.tensor(center), torch.tensor(factor), torch.tensor(flagged))

    @property
    def n_numbers(self) -> int:
        """Numbers F, without flags."""
        return len(self.center)

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        raw = X[:, self.numeric]
        scaled = ((raw - self.center) * self.factor).clamp(-1e6, 1e6)
        clipped = scaled / torch.sqrt(1 + (scaled / CLIP) ** 2)
        numbers = torch.where(torch.isnan(clipped), 0.0, clipped)
        flags = torch.isnan(raw[:, self.flagged]).to(numbers.dtype)
        codes = X[:, self.categorical]
        slots = torch.where(torch.isnan(codes), self.missing_slots.to(codes.dtype), codes)
        return torch.cat([numbers, flags], dim=1), slots.to(torch.int64) + self.offsets


def _center_and_factor(values: np.ndarray) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    if q3 > q1:
        return median, 1 / (q3 - q1)
    distances = np.abs(values[values != median] - median)
    return median, 1 / np.quantile(distances, 0.75) if len(distances) else 0.0


class PeriodicEmbedding(nn.Module):
    """Each number as itself and `d_out - 1` learned mixtures of cosines of it (PBLD).

    Shape: (B, F) -> (B, F * d_out).
    Source: Holzmüller et al. 2024, arXiv 2407.04491, section 3 (hidden width 16, output 4, as there).
    """

    def __init__(self, n_numbers: int, frequency_scale: float, d_hidden: int = 16, d_out: int = 4):
        super().__init__()
        self.d_out = d_out
        self.frequency = nn.Parameter(torch.randn(n_numbers, d_hidden) * frequency_scale * 2 * math.pi)
        self.phase = nn.Parameter((torch.rand(n_numbers, d_hidden) * 2 - 1) * math.pi)
        bound = 1 / math.sqrt(d_hidden)
        self.weight = nn.Parameter((torch.rand(n_numbers, d_hidden, d_out - 1) * 2 - 1) * bound)
        self.bias = nn.Parameter((torch.rand(n_numbers, d_out - 1) * 2 - 1) * bound)

    def forward(self, numbers: Tensor) -> Tensor:
        """See the class."""
        x = numbers.T.unsqueeze(2)
        waves = torch.cos(x * self.frequency.unsqueeze(1) + self.phase.unsqueeze(1))
        mixed = torch.baddbmm(self.bias.unsqueeze(1), waves, self.weight)
        return torch.cat([x, mixed], dim=2).transpose(0, 1).flatten(1)


class CategoryEmbedding(nn.Module):
    """One vector per slot, all columns in one table.

    Shape: slots (B, C) -> (B, C * d_out).
    """

    def __init__(self, n_slots: int, d_out: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(n_slots, d_out) / math.sqrt(d_out))

    def forward(self, slots: Tensor) -> Tensor:
        """See the class."""
        return functional.embedding(slots, self.table).flatten(1)

    @torch.no_grad()
    def fill_unseen(self, slots: Tensor, starts: Sequence[int]) -> None:
        """Give slots that no training row has the mean vector of their column over the training rows.

        Shape: slots (n_train, C), as in training; starts (C,): first slot of each column.
        """
        counts = torch.bincount(slots.flatten(), minlength=len(self.table)).to(self.table.dtype)
        for start, stop in pairwise([*starts, len(self.table)]):
            part, count = self.table[start:stop], counts[start:stop]
            part[count == 0] = count @ part / count.sum()


def dropout_mask(h: Tensor, rate: float) -> Tensor:
    """Random zeros among 1 / (1 - rate), from eight random bits each: a third of the time of torch's dropout.

    Shape: that of h. `rate`, the share of zeros, is rounded to 1/256.
    """
    words = torch.empty(-(-h.numel() // 8), dtype=torch.int64, device=h.device).random_(-(2**63), None)
    dropped = round(256 * rate)
    kept = words.view(torch.uint8)[: h.numel()].view(h.shape) >= dropped
    return kept.to(h.dtype).mul_(256 / (256 - dropped))


class MLP(nn.Module):
    """Blocks of linear, batch normalisation (optional), activation and dropout, then a linear output.

    Shape: (B, d_in) -> (B, d_out); with masks, one (K, 1, width) per block -> (K, B, d_out).
    """

    def __init__(self, sizes: Sequence[int], activation: str, batch_norm: bool, dropout: float):
        super().__init__()
        pairs = list(pairwise(sizes[:-1]))
        self.linears = nn.ModuleList(nn.Linear(d_in, d_out) for d_in, d_out in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm1d(d_out) for _, d_out in pairs) if batch_norm else None
        self.activation = ACTIVATIONS[activation]()
        self.dropout = dropout
        self.output = nn.Linear(sizes[-2], sizes[-1])

    def forward(self, h: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """See the class; without masks, dropout is active in training mode only."""
        for index, linear in enumerate(self.linears):
            h = linear(h)
            if self.norms is not None:
                h = self.norms[index](h.flatten(0, -2)).view_as(h)
            h = self.activation(h)
            if masks is not None:
                h = h * masks[index]
            elif self.training and self.dropout:
                h = h * dropout_mask(h, self.dropout)
        return self.output(h)


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
        weights = torch.tensor(noise.standard_normal((n_draws, d_out, d_in)), dtype=self.mean.dtype)
        biases = torch.tensor(noise.standard_normal((n_draws, 1, d_out)), dtype=self.mean.dtype)
        weights = self.mean + weights * functional.softplus(self.rho)
        return weights.transpose(1, 2), self.bias_mean + biases * functional.softplus(self.bias_rho)


def _gaussian_kl(mean: Tensor, std: Tensor, prior_std: float) -> Tensor:
    ratio = std / prior_std
    return (0.5 * (ratio.square() + (mean / prior_std).square() - 1) - torch.log(ratio)).sum()


class BayesianMLP(nn.Module):
    """Bayesian linear layers with activations between them.

    Shape: (B, d_in) -> (B, d_out); with weights, one pair per layer as BayesianLinear.sample -> (K, B, d_out).
    """

    def __init__(self, sizes: Sequence[int], activation: str, prior_scale: float, init_scale: float):
        super().__init__()
        self.layers = nn.ModuleList(
            BayesianLinear(d_in, d_out, prior_scale, init_scale) for d_in, d_out in pairwise(sizes)
        )
        self.activation = ACTIVATIONS[activation]()

    def forward(self, h: Tensor, weights: Sequence[tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """See the class."""
        for index, layer in enumerate(self.layers):
            if index:
                h = self.activation(h)
            h = layer(h) if weights is None else torch.matmul(h, weights[index][0]) + weights[index][1]
        return h

    def kl(self) -> Tensor:
        """KL divergence of all weights from their priors, in nats."""
        return sum(layer.kl() for layer in self.layers)


class TabularNetwork(nn.Module):
    """Preprocessing, embeddings and a body; outputs are logits, or values in units of the target's spread.

    Shape: X (B, n_features) -> (B, d_out).

    Attributes:
        target_center, target_spread: What a regression output is scaled by; 0 and 1 for classes.
    """

    def __init__(
        self, preprocessing: Preprocessing, numbers: nn.Module, categories: nn.Module, body: nn.Module
    ):
        super().__init__()
        self.preprocessing = preprocessing
        self.numbers = numbers
        self.categories = categories
        self.body = body
        self.register_buffer("target_center", torch.zeros((), dtype=torch.float64))
        self.register_buffer("target_spread", torch.ones((), dtype=torch.float64))

    def embed(self, numbers: Tensor, slots: Tensor) -> Tensor:
        """What the body sees of preprocessed rows.

        Shape: see Preprocessing -> (B, d_in).
        """
        n_numbers = self.preprocessing.n_numbers
        parts = [self.numbers(numbers[:, :n_numbers]), numbers[:, n_numbers:], self.categories(slots)]
        return torch.cat(parts, dim=1)

    def forward(self, X: Tensor) -> Tensor:
        """See the class."""
        return self.body(self.embed(*self.preprocessing(X)))

    @torch.no_grad()
    def fit_target(self, y: np.ndarray) -> None:
        """Measure a regression target; a constant one keeps a spread of 1.

        Shape: y (n_train,).
        """
        spread = float(np.std(y))
        self.target_center.fill_(float(np.mean(y)))
        self.target_spread.fill_(spread if spread > 0 else 1.0)

    def fill_unseen(self, slots: Tensor) -> None:
        """See CategoryEmbedding.fill_unseen.

        Shape: slots (n_train, C).
        """
        self.categories.fill_unseen(slots, self.preprocessing.offsets.tolist())
