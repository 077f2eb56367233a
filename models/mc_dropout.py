"""Monte Carlo dropout: a network whose dropout stays active, so that every mask gives an answer of its own."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from models.dnn import MLPModel, MLPParams
from models.networks import TabularNetwork
from models.neural import draws_of
from models.storage import Meta

if TYPE_CHECKING:
    from models.exported import Exported
    from models.graph import Graph
    from models.network_graph import Heads


class MCDropoutParams(MLPParams):
    """Parameters of Monte Carlo dropout.

    Attributes:
        dropout: Share of hidden units dropped, in training and at prediction.
        n_draws: Masks averaged at prediction.
        beta: Regression: how much noisy rows still teach the mean, see training.gaussian_nll.
    """

    dropout: float = Field(0.1, ge=0.005, le=0.95)
    n_draws: int = Field(30, ge=2, le=1000)
    beta: float = Field(0.5, ge=0, le=1)


class MCDropout(MLPModel):
    """One fitted fold; regression learns mean and variance of the target.

    The masks are drawn once, from the seed of the fit, and are the same for every row: equal rows get equal
    answers, alone or in a batch, now or after loading.
    Source: Gal and Ghahramani 2016, arXiv 1506.02142, eq. 6.
    """

    key = "mc_dropout"
    has_draws = True
    kind = MCDropoutParams

    def __init__(self, network: TabularNetwork, meta: Meta):
        super().__init__(network, meta)
        # RandomState's stream is frozen by numpy's policy; a Generator's or torch's may change.
        noise = np.random.RandomState(meta.extra["seed"])
        keep = 1 - meta.params["dropout"]
        shapes = [(meta.params["n_draws"], 1, len(linear.bias)) for linear in network.body.linears]
        kept = [noise.random_sample(shape) < keep for shape in shapes]
        self.masks = [torch.tensor(mask / keep, dtype=torch.float32) for mask in kept]

    def _outputs(self, X: Tensor) -> Tensor:
        h = self.network.embed(*self.network.preprocessing(X))
        return self.network.body(h, self.masks)

    def part_of(self, index: int, n_models: int) -> Self:
        """See Model.part_of."""
        part = copy(self)
        part.masks = [mask[draws_of(len(mask), index, n_models)] for mask in self.masks]
        return part

    @classmethod
    def _export(cls, models: Sequence[Self], graph: Graph, heads: Heads) -> Exported:
        from models.network_graph import mlp  # noqa: PLC0415 - fitting needs no onnx

        return mlp(graph, heads, models[0].meta.params["activation"], [model.masks for model in models])
