"""Losses of network outputs, per member in training and of the members' mean in validation.

Shape symbols: M members, B rows. Every loss is a scalar, meaned over members and rows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(outputs: Tensor, y: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of each member on its own, in nats.

    Shape: outputs (M, B, n_classes), y int64 (B,), class_weights (n_classes,).
    """
    return functional.cross_entropy(outputs.flatten(0, 1), y.repeat(len(outputs)), class_weights)


def mean_cross_entropy(outputs: Tensor, y: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of the members' mean probabilities, in nats.

    Shape: as cross_entropy.
    """
    log_p = torch.log_softmax(outputs, dim=2).logsumexp(dim=0) - math.log(len(outputs))
    return functional.nll_loss(log_p, y, class_weights)


def squared_error(outputs: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of each member on its own.

    Shape: outputs (M, B, 1), y (B,).
    """
    return (outputs[:, :, 0] - y).square().mean()


def mean_squared_error(outputs: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of the members' mean.

    Shape: as squared_error.
    """
    return functional.mse_loss(outputs[:, :, 0].mean(dim=0), y)


def gaussian_nll(outputs: Tensor, y: Tensor, beta: float = 0.0) -> Tensor:
    """Negative log-likelihood of targets under a learned mean and log-variance, without its constant.

    Each row weighs its variance to the power of `beta`: 0 is the likelihood, 1 fits the mean as squared error
    does; in between, rows that are noisy so far still teach the mean.

    Shape: outputs (1, B, 2), y (B,).
    Source: Seitzer et al. 2022, arXiv 2203.09168.
    """
    mean, log_variance = outputs[:, :, 0], outputs[:, :, 1].clamp(-12, 12)
    loss = 0.5 * (log_variance + (y - mean).square() * torch.exp(-log_variance))
    if beta:
        loss = loss * torch.exp(beta * log_variance.detach())
    return loss.mean()
