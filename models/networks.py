"""The body of a plain network, and the network around it.

Shape symbols: B rows, M members, K draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.embeddings import Preprocessing

MIN_ROWS = 64
EMBEDDED_FLOATS = 2**22  # 16 MB

ACTIVATIONS = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": functional.mish,
    "selu": functional.selu,
}


def dropout_mask(h: Tensor, rate: float) -> Tensor:
    """Random zeros among 1 / (1 - rate), from eight random bits each: a third of the time of torch's dropout.

    Shape: that of h. `rate`, the share of zeros, is rounded to 1/256.
    """
    words = torch.empty(-(-h.numel() // 8), dtype=torch.int64, device=h.device).random_(-(2**63), None)
    dropped = round(256 * rate)
    kept = words.view(torch.uint8)[: h.numel()].view(h.shape) >= dropped
    return kept.to(h.dtype).mul_(256 / (256 - dropped))


class ScaledLinear(nn.Module):
    """A linear layer whose weights have unit spread and are divided by the square root of its inputs.

    So one learning rate suits layers of every width.

    Shape: (..., d_in) -> (..., d_out).
    Source: Jacot et al. 2018, arXiv 1806.07572 (neural tangent parametrisation), as in RealMLP.
    """

    def __init__(self, d_in: int, d_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_in, d_out))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, h: Tensor) -> Tensor:
        """See the class."""
        rows = h.reshape(-1, h.shape[-1])
        out = torch.addmm(self.bias, rows, self.weight, alpha=1 / math.sqrt(len(self.weight)))
        return out.view(*h.shape[:-1], -1)

    @torch.no_grad()
    def fit(self, h: Tensor) -> Tensor:
        """Set the spread of each output over the rows to 1, and its zero to a random mixture of five rows.

        Shape: h (n, d_in) -> (n, d_out).
        Source: Holzmüller et al. 2024, arXiv 2407.04491, appendix A.2 ("he+5" biases, data-driven weights).
        """
        out = h @ self.weight / math.sqrt(len(self.weight))
        spread = out.std(dim=0, correction=0).clamp_min(1e-6)
        self.weight.div_(spread)
        out = out / spread
        rows = torch.randint(len(h), (5, out.shape[1]), device=h.device)
        shares = torch.empty(rows.shape, device=h.device).exponential_()
        self.bias.copy_(-(out.gather(0, rows) * shares).sum(dim=0) / shares.sum(dim=0))
        return out + self.bias


class ParametricActivation(nn.Module):
    """A mixture of an activation and the identity, its share learned per unit and 1 at the start.

    Shape: (..., width) -> (..., width).
    Source: Holzmüller et al. 2024, arXiv 2407.04491, section 3.
    """

    def __init__(self, name: str, width: int):
        super().__init__()
        self.fn = ACTIVATIONS[name]
        self.share = nn.Parameter(torch.ones(width))

    def forward(self, h: Tensor) -> Tensor:
        """See the class."""
        return torch.lerp(h, self.fn(h), self.share)


class MLP(nn.Module):
    """Members that share their hidden layers; each has its own scaling of the inputs and its own output layer.

    A block is a linear layer, batch normalisation (optional), activation and dropout. One member is a plain
    network with RealMLP's scaling layer; with more, scalings start at random signs, which makes the members
    differ, and each learns on its own loss.

    Shape: (B, d_in) -> (M, B, d_out); one member with masks, one (K, 1, width) per block -> (K, B, d_out).
    Source: Holzmüller et al. 2024, arXiv 2407.04491 (RealMLP); Gorishniy et al. 2024, arXiv 2410.24210
        (TabM-mini, whose weights it parametrises as RealMLP does).
    """

    def __init__(
        self, sizes: Sequence[int], activation: str, batch_norm: bool, dropout: float, n_members: int = 1
    ):
        super().__init__()
        signs = torch.randint(0, 2, (n_members, sizes[0])) * 2.0 - 1
        self.scale = nn.Parameter(signs if n_members > 1 else torch.ones(1, sizes[0]))
        self.linears = nn.ModuleList(ScaledLinear(d_in, d_out) for d_in, d_out in pairwise(sizes[:-1]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(d_out) for d_out in sizes[1:-1]) if batch_norm else None
        self.activations = nn.ModuleList(ParametricActivation(activation, width) for width in sizes[1:-1])
        self.dropout = dropout
        self.weight = nn.Parameter(torch.zeros(n_members, sizes[-2], sizes[-1]))
        self.bias = nn.Parameter(torch.zeros(n_members, 1, sizes[-1]))

    def forward(self, h: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """See the class; without masks, dropout is active in training mode only."""
        h = h * self.scale.unsqueeze(1)
        for index, linear in enumerate(self.linears):
            h = linear(h)
            if self.norms is not None:
                h = self.norms[index](h.flatten(0, -2)).view_as(h)
            h = self.activations[index](h)
            if masks is not None:
                h = h * masks[index]
            elif self.training and self.dropout:
                h = h * dropout_mask(h, self.dropout)
        return torch.matmul(h, self.weight / math.sqrt(self.weight.shape[1])) + self.bias

    @torch.no_grad()
    def fit(self, h: Tensor) -> None:
        """Fit the hidden layers' starting weights to embedded training rows, see ScaledLinear.fit.

        Shape: h (n, d_in).
        """
        h = h * self.scale[torch.randint(len(self.scale), (len(h),), device=h.device)]
        for linear, activation in zip(self.linears, self.activations, strict=True):
            h = activation(linear.fit(h))


class TabularNetwork(nn.Module):
    """Preprocessing, embeddings and a body; outputs are logits, or values in units of the target's spread.

    Shape: X (B, n_features) -> (M, B, d_out).

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

    @property
    def rows_at_once(self) -> int:
        """Rows to embed together outside training: fewer of wide tables, so that memory is bounded."""
        return max(MIN_ROWS, EMBEDDED_FLOATS // max(1, self._d_row))

    @property
    def _d_row(self) -> int:
        return self.preprocessing.n_numbers * getattr(self.numbers, "d_hidden", 1)

    @torch.no_grad()
    def embed_all(self, numbers: Tensor, slots: Tensor) -> Tensor:
        """The same as embed, some rows at a time, without gradients."""
        parts = zip(numbers.split(self.rows_at_once), slots.split(self.rows_at_once), strict=True)
        return torch.cat([self.embed(*part) for part in parts])

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
