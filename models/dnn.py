"""A multilayer perceptron on embedded columns: one answer per row, no draws."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from models.networks import MLP
from models.neural import NetworkModel, NetworkParams


class MLPParams(NetworkParams):
    """Parameters of plain networks.

    Attributes:
        normalization: "batch_norm" before each activation, or "none".
        dropout: Share of hidden units dropped at each step of the training.
        weight_decay: Applied to the weight matrices.
    """

    normalization: Literal["batch_norm", "none"] = "none"
    dropout: float = Field(0.1, ge=0, le=0.95)
    weight_decay: float = Field(0.01, ge=0, le=10)


class DNN(NetworkModel):
    """One fitted fold; trained on cross-entropy or squared error."""

    key = "dnn"
    kind = MLPParams

    @classmethod
    def _body(cls, params: dict[str, Any], sizes: list[int]) -> MLP:
        return MLP(sizes, params["activation"], params["normalization"] == "batch_norm", params["dropout"])
