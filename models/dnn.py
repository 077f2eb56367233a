"""A multilayer perceptron on embedded columns, or several that share their hidden layers: no draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from models.networks import MLP, TabularNetwork
from models.neural import NetworkModel, NetworkParams
from models.training import Rows

if TYPE_CHECKING:
    from models.exported import Exported
    from models.graph import Graph
    from models.network_graph import Heads

N_INIT_ROWS = 2048


class MLPParams(NetworkParams):
    """Parameters of plain networks.

    Attributes:
        batch_norm: Batch normalisation before each activation.
        dropout: Share of hidden units dropped at each step of the training.
        weight_decay: Applied to the weight matrices.
    """

    batch_norm: bool = False
    dropout: float = Field(0.1, ge=0, le=0.95)
    weight_decay: float = Field(0.02, ge=0, le=10)


class DNNParams(MLPParams):
    """Parameters of the DNN.

    Attributes:
        n_members: Networks that share their hidden layers and are averaged, see networks.MLP.
    """

    n_members: int = Field(1, ge=1, le=64)


class MLPModel(NetworkModel):
    """What the DNN and Monte Carlo dropout share: RealMLP's layers, starting weights and learning rates.

    Source: Holzmüller et al. 2024, arXiv 2407.04491, table A.1.
    """

    lr_factors: ClassVar[dict[str, float]] = {"numbers": 0.1, "scale": 6.0, "bias": 0.1, "share": 0.1}

    @classmethod
    def _body(cls, params: dict[str, Any], sizes: list[int]) -> MLP:
        members = params.get("n_members", 1)
        return MLP(sizes, params["activation"], params["batch_norm"], params["dropout"], members)

    @classmethod
    def _initialise(cls, network: TabularNetwork, rows: Rows) -> None:
        if not network.body.norms:
            network.body.fit(network.embed_all(rows.numbers[:N_INIT_ROWS], rows.slots[:N_INIT_ROWS]))


class DNN(MLPModel):
    """One fitted fold; trained on cross-entropy or squared error."""

    key = "dnn"
    kind = DNNParams

    @classmethod
    def _export(cls, models: Sequence[Self], graph: Graph, heads: Heads) -> Exported:
        from models.network_graph import mlp  # noqa: PLC0415 - fitting needs no onnx

        return mlp(graph, heads, models[0].meta.params["activation"])
