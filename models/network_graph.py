"""Networks behind their embeddings, as a graph: layers, draws and answers of all folds of a trial at once.

Shape symbols: F folds, K draws or members of each, n rows, d width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.boosting import TargetScale
from models.embedding_graph import array, embed, stack
from models.exported import Exported
from models.graph import Graph

if TYPE_CHECKING:
    from torch import Tensor

    from models.base import Task
    from models.networks import MLP, TabularNetwork

LOG_VARIANCE = 12.0  # as in NetworkModel


@dataclass(frozen=True)
class Heads:
    """How outputs of networks are to be read.

    Attributes:
        networks: One per fold.
        task: What they were fitted for.
        units: Regression: answers are in these.
        has_draws: Whether each of the K outputs is an answer; otherwise their mean is.
    """

    networks: Sequence[TabularNetwork]
    task: Task
    units: TargetScale
    has_draws: bool

    def fold(self, index: int, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A fold's last layer, made to answer values in the units.

        Shape: weight (..., d, d_out), bias (..., d_out).
        """
        if not self.task.is_regression:
            return weight, bias
        center = float(self.networks[index].target_center)
        spread = float(self.networks[index].target_spread)
        weight, bias = weight.copy(), bias.copy()
        weight[..., :1] *= spread / self.units.spread
        bias[..., :1] = (bias[..., :1] * spread + (center - self.units.center)) / self.units.spread
        return weight, bias

    def answers(self, graph: Graph, outputs: str, n_draws: int) -> Exported:
        """Probabilities or values from outputs (F, K, n, d_out)."""
        if not self.task.is_regression:
            outputs = graph.add("Softmax", outputs, axis=-1)
        n_folds = len(self.networks)
        if not self.has_draws:
            mean = graph.add("ReduceMean", outputs, graph.ints(1), keepdims=0)
            return Exported(answers=graph.add("Transpose", mean, perm=[1, 2, 0]), n_answers=n_folds)
        n_answers = n_folds * n_draws
        n_columns = 2 if self.task.is_regression else self.task.n_outputs
        turned = graph.add("Transpose", outputs, perm=[2, 3, 0, 1])
        turned = graph.add("Reshape", turned, graph.ints(0, n_columns, n_answers))
        if not self.task.is_regression:
            return Exported(answers=turned, n_answers=n_answers)
        values, logs = (graph.add("Gather", turned, graph.ints(column), axis=1) for column in (0, 1))
        factor = [(float(network.target_spread) / self.units.spread) ** 2 for network in self.networks]
        variance = graph.add("Exp", graph.add("Clip", logs, -LOG_VARIANCE, LOG_VARIANCE))
        variance = graph.add("Mul", variance, np.repeat(factor, n_draws))
        return Exported(answers=values, variance=variance, n_answers=n_answers)


def mlp(
    graph: Graph, heads: Heads, activation: str, masks: Sequence[Sequence[Tensor]] | None = None
) -> Exported:
    """Networks with a models.networks.MLP.

    Args:
        graph: Where they are written.
        heads: The networks, one per fold.
        activation: Of the hidden layers.
        masks: Per fold, one (K, 1, d) per hidden layer.
    """
    rows = embed(graph, heads.networks)
    bodies: list[MLP] = [network.body for network in heads.networks]
    n_folds, n_members = len(bodies), len(bodies[0].scale)
    h, n_draws = rows.name, n_members
    scales = [array(body.scale)[..., None] for body in bodies]
    if n_members > 1:
        each = np.swapaxes(rows.rows(scales), -1, -2)
        h = graph.add("Mul", graph.add("Unsqueeze", h, graph.ints(1)), each)
        h = graph.add("Reshape", h, graph.ints(n_folds, -1, rows.d_in))
    for index in range(len(bodies[0].linears)):
        layers = [_linear(body, index) for body in bodies]
        weight = [w for w, _ in layers]
        if index == 0 and n_members == 1:
            weight = [w * scale[0] for w, scale in zip(weight, scales, strict=True)]
        stacked = rows.rows(weight) if index == 0 else stack(weight)
        h = linear(graph, h, stacked, stack([b for _, b in layers])[:, None])
        h = activate(
            graph, activation, h, stack([array(body.activations[index].share) for body in bodies])[:, None]
        )
        if masks is not None:
            mask = stack([array(fold[index]) for fold in masks])
            n_draws, width = mask.shape[1], mask.shape[-1]
            apart = graph.add("Unsqueeze", h, graph.ints(1)) if index == 0 else _split(graph, h, mask.shape)
            h = graph.add("Reshape", graph.add("Mul", apart, mask), graph.ints(n_folds, -1, width))
    last = [_last(heads, f, body) for f, body in enumerate(bodies)]
    weight, bias = stack([w for w, _ in last]), stack([b for _, b in last])
    if n_members > 1:
        h = _split(graph, h, (n_folds, n_draws, 1, weight.shape[-2]))
        return heads.answers(graph, linear(graph, h, weight, bias), n_draws)
    outputs = linear(graph, h, weight[:, 0], bias[:, 0])
    return heads.answers(graph, _split(graph, outputs, (n_folds, n_draws, 1, weight.shape[-1])), n_draws)


def bayesian(
    graph: Graph, heads: Heads, activation: str, weights: Sequence[Sequence[tuple[Tensor, Tensor]]]
) -> Exported:
    """Networks with a models.bayesian.BayesianMLP.

    Args:
        graph: Where they are written.
        heads: The networks, one per fold.
        activation: Between the layers.
        weights: Per fold, one pair per layer: (K, d_in, d_out) and (K, 1, d_out).
    """
    rows = embed(graph, heads.networks)
    h = graph.add("Unsqueeze", rows.name, graph.ints(1))
    n_layers = len(weights[0])
    for index in range(n_layers):
        pairs = [(array(fold[index][0]), array(fold[index][1])) for fold in weights]
        if index == n_layers - 1:
            pairs = [heads.fold(f, *pair) for f, pair in enumerate(pairs)]
        if index:
            h = activate(graph, activation, h)
        weight = [w for w, _ in pairs]
        h = linear(graph, h, stack(weight) if index else rows.rows(weight), stack([b for _, b in pairs]))
    return heads.answers(graph, h, len(weights[0][0][0]))


def _split(graph: Graph, h: str, shape: Sequence[int]) -> str:
    """(F, K * n, d) -> (F, K, n, d), the shape being (F, K, any, d)."""
    return graph.add("Reshape", h, graph.ints(shape[0], shape[1], -1, shape[3]))


def _linear(body: MLP, index: int) -> tuple[np.ndarray, np.ndarray]:
    """A hidden layer's weights (d_in, d_out) and bias (d_out,), with its batch normalisation."""
    weight, bias = array(body.linears[index].weight), array(body.linears[index].bias)
    weight = weight / np.sqrt(len(weight))
    if body.norms is None:
        return weight, bias
    norm = body.norms[index]
    factor = array(norm.weight) / np.sqrt(array(norm.running_var) + norm.eps)
    return weight * factor, (bias - array(norm.running_mean)) * factor + array(norm.bias)


def _last(heads: Heads, index: int, body: MLP) -> tuple[np.ndarray, np.ndarray]:
    """The output layer's weights (M, d, d_out) and bias (M, 1, d_out)."""
    weight = array(body.weight)
    return heads.fold(index, weight / np.sqrt(weight.shape[1]), array(body.bias))


def linear(graph: Graph, h: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """A linear layer: h @ weight + bias."""
    return graph.add("Add", graph.add("MatMul", h, weight.astype(np.float32)), bias.astype(np.float32))


def activate(graph: Graph, name: str, h: str, share: np.ndarray | None = None) -> str:
    """An activation, see networks.ACTIVATIONS; with a share, see networks.ParametricActivation.

    All but selu are h times a gate, so the share only changes the gate.
    """
    if name == "relu":
        return (
            graph.add("Relu", h) if share is None else graph.add("PRelu", h, (1 - share).astype(np.float32))
        )
    if name == "selu":
        out = graph.add("Selu", h)
        if share is None:
            return out
        return graph.add("Add", h, graph.add("Mul", graph.add("Sub", out, h), share.astype(np.float32)))
    gate = GATES[name](graph, h)
    if share is not None:
        gate = graph.add(
            "Add", graph.add("Mul", gate, share.astype(np.float32)), (1 - share).astype(np.float32)
        )
    return graph.add("Mul", h, gate)


def _mish_gate(graph: Graph, h: str) -> str:
    """tanh(softplus(h)) with one exponential: t / (t + 2), t = e (e + 2), e = exp(h); above 20 it is 1."""
    e = graph.add("Exp", graph.add("Min", h, 20.0))
    t = graph.add("Mul", e, graph.add("Add", e, 2.0))
    return graph.add("Div", t, graph.add("Add", t, 2.0))


def _gelu_gate(graph: Graph, h: str) -> str:
    erf = graph.add("Erf", graph.add("Mul", h, float(np.sqrt(0.5))))
    return graph.add("Add", graph.add("Mul", erf, 0.5), 0.5)


GATES: dict[str, Callable[[Graph, str], str]] = {
    "mish": _mish_gate,
    "gelu": _gelu_gate,
    "silu": lambda graph, h: graph.add("Sigmoid", h),
}
