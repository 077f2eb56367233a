"""A Bayesian neural network: a Gaussian for every weight, learned by variational inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field
from torch import Tensor

from models.bayesian import BayesianMLP
from models.networks import TabularNetwork
from models.neural import NetworkModel, NetworkParams, draws_of
from models.storage import Meta

if TYPE_CHECKING:
    from models.exported import Exported
    from models.graph import Graph
    from models.network_graph import Heads


class BNNParams(NetworkParams):
    """Parameters of the Bayesian network.

    Attributes:
        n_cycles: Fewer than in other networks: the KL term rises over the first ones, see kl_warmup.
        prior_scale: Spread of the prior of a weight, times 1 / sqrt(inputs of its layer).
        init_scale: Spread of the weights at the start, as a share of the prior's.
        kl_weight: Weight of the KL term; 1 is the evidence lower bound, less is a cold posterior.
        kl_warmup: Share of the training over which the KL term rises from 0 to its weight.
        n_draws: Weight samples averaged at prediction.
        beta: Regression: how much noisy rows still teach the mean, see training.gaussian_nll; 0 is the bound.
    """

    n_blocks: int = Field(2, ge=1, le=16)
    activation: Literal["relu", "gelu", "silu", "mish", "selu"] = "silu"
    n_cycles: int = Field(3, ge=1, le=8)
    prior_scale: float = Field(3.0, gt=0, le=100)
    init_scale: float = Field(0.02, gt=0, le=10)
    kl_weight: float = Field(0.1, ge=0, le=10)
    kl_warmup: float = Field(0.3, ge=0, le=1)
    n_draws: int = Field(30, ge=2, le=1000)
    beta: float = Field(0.0, ge=0, le=1)


class BNN(NetworkModel):
    """One fitted fold: negative log-likelihood + KL / n_train, minimised; regression learns the noise too.

    Embeddings of the inputs are point estimates; every weight behind them is a distribution. The weights used
    at prediction are drawn once, from the seed of the fit, and are the same for every row.
    Source: Blundell et al. 2015, arXiv 1505.05424; KL warm-up: Sønderby et al. 2016, arXiv 1602.02282.
    """

    key = "bnn"
    has_draws = True
    kind = BNNParams

    def __init__(self, network: TabularNetwork, meta: Meta):
        super().__init__(network, meta)
        # RandomState's stream is frozen by numpy's policy; a Generator's or torch's may change.
        noise = np.random.RandomState(meta.extra["seed"])
        self.weights = [layer.sample(noise, meta.params["n_draws"]) for layer in network.body.layers]

    @classmethod
    def _body(cls, params: dict[str, Any], sizes: list[int]) -> BayesianMLP:
        return BayesianMLP(sizes, params["activation"], params["prior_scale"], params["init_scale"])

    @classmethod
    def _penalty(
        cls, params: dict[str, Any], network: TabularNetwork, n_train: int
    ) -> Callable[[float], Tensor]:
        def penalty(share: float) -> Tensor:
            warm = min(1.0, share / params["kl_warmup"]) if params["kl_warmup"] else 1.0
            return network.body.kl() * (params["kl_weight"] * warm / n_train)

        return penalty

    def _outputs(self, X: Tensor) -> Tensor:
        h = self.network.embed(*self.network.preprocessing(X))
        return self.network.body(h, self.weights)

    def part_of(self, index: int, n_models: int) -> Self:
        """See Model.part_of."""
        part = copy(self)
        kept = draws_of(self.meta.params["n_draws"], index, n_models)
        part.weights = [(weight[kept], bias[kept]) for weight, bias in self.weights]
        return part

    @classmethod
    def _export(cls, models: Sequence[Self], graph: Graph, heads: Heads) -> Exported:
        from models.network_graph import bayesian  # noqa: PLC0415 - fitting needs no onnx

        return bayesian(
            graph, heads, models[0].meta.params["activation"], [model.weights for model in models]
        )
