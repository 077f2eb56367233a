"""What a network sees of a row: scaled numbers, flags, and vectors for numbers and categories.

Shape symbols: B rows, F numbers, C categories.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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
        self.d_hidden = d_hidden
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
