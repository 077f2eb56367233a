"""What the network families share: parameters, fitting one fold, predicting, saving."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from models.base import FitContext, Fold, Model, Prediction, Task
from models.embeddings import CategoryEmbedding, PeriodicEmbedding, Preprocessing
from models.losses import cross_entropy, gaussian_nll, mean_cross_entropy, mean_squared_error, squared_error
from models.networks import TabularNetwork
from models.params import Params, check
from models.storage import Meta, damaged, load_arrays, load_meta, save_arrays, save_meta
from models.training import Loss, Plan, Rows, isolated, threads, train
from models.unseen import Unseen, rows_to_stop_on
from models.weights import class_weights

if TYPE_CHECKING:
    from models.boosting import TargetScale
    from models.exported import Exported
    from models.graph import Graph
    from models.network_graph import Heads

CHUNK_FLOATS = 2**22
Width = Annotated[int, Field(ge=1, le=4096)]


class NetworkParams(Params):
    """Parameters every network has.

    Attributes:
        n_blocks: Hidden layers.
        d_block: Width of each hidden layer.
        hidden_dims: Widths of the hidden layers one by one; where given, n_blocks and d_block do not count.
        activation: After each hidden layer.
        num_embedding: "periodic" (see PeriodicEmbedding) or "none", which feeds the scaled numbers.
        frequency_scale: Spread of the initial frequencies of the periodic embedding.
        d_category: Width of a category's vector.
        optimizer: "adam" or "adamw"; weight decay enters the gradient of the first, not of the second.
        lr: Peak learning rate.
        batch_size: Rows per step at most; small tables use fewer, down to 8, so that an epoch has 32 steps.
        epochs: Passes over the training rows at most.
        n_cycles: Cycles of the learning rate, each twice as long as the one before; a whole cycle without a better
            validation loss ends the fit.
        patience: Epochs without a better validation loss that end the fit before; null: only a cycle does.
        class_weight: "balanced" gives every class the same weight, which distorts probabilities; null none.
    """

    SYNONYMS: ClassVar[dict[str, str]] = {
        "learning_rate": "lr",
        "n_layers": "n_blocks",
        "hidden_size": "d_block",
        "hidden_sizes": "hidden_dims",
        "n_epochs": "epochs",
        "max_epochs": "epochs",
        "dropout_rate": "dropout",
        "normalization": "batch_norm",
        "k": "n_members",
    }

    n_blocks: int = Field(3, ge=1, le=16)
    d_block: Width = 128
    hidden_dims: tuple[Width, ...] | None = Field(
        None, min_length=1, max_length=16, description="null or a list of 1 to 16 widths, each 1 to 4096"
    )
    activation: Literal["relu", "gelu", "silu", "mish", "selu"] = "mish"
    num_embedding: Literal["periodic", "none"] = "periodic"
    frequency_scale: float = Field(0.3, gt=0, le=10)
    d_category: int = Field(8, ge=1, le=256)
    optimizer: Literal["adam", "adamw"] = "adamw"
    lr: float = Field(3e-3, gt=0, le=1)
    batch_size: int = Field(512, ge=2, le=65_536)
    epochs: int = Field(40, ge=1, le=10_000)
    n_cycles: int = Field(4, ge=1, le=8)
    patience: int | None = Field(None, ge=1, le=10_000)
    class_weight: Literal["balanced"] | None = Field(None, description="null or balanced")


class NetworkModel(Model):
    """A fitted network; a family gives its parameters, its body, its losses and its outputs."""

    steps_param = "epochs"
    kind: ClassVar[type[NetworkParams]]
    lr_factors: ClassVar[dict[str, float]] = {}

    def __init__(self, network: TabularNetwork, meta: Meta):
        self.network = network.eval().requires_grad_(False)
        self.meta = meta
        self.history = meta.history

    @classmethod
    @abstractmethod
    def _body(cls, params: dict[str, Any], sizes: list[int]) -> nn.Module:
        """Layers from the embedded inputs to the outputs; sizes are their widths, both ends included."""

    def _outputs(self, X: Tensor) -> Tensor:
        """Outputs of rows: (K, B, d_out), one per member or draw."""
        return self.network(X)

    @classmethod
    def _initialise(cls, network: TabularNetwork, rows: Rows) -> None:
        """Fit starting weights to training rows; by default nothing is."""

    @classmethod
    def _losses(cls, params: dict[str, Any], task: Task, class_weights: Tensor | None) -> tuple[Loss, Loss]:
        """Loss trained on, and loss of the validation rows; two outputs stand for mean and log-variance."""
        if not task.is_regression:
            return (
                partial(cross_entropy, class_weights=class_weights),
                partial(mean_cross_entropy, class_weights=class_weights),
            )
        if not cls.has_draws:
            return squared_error, mean_squared_error
        return partial(gaussian_nll, beta=params["beta"]), gaussian_nll

    @classmethod
    def _penalty(
        cls, params: dict[str, Any], network: TabularNetwork, n_train: int
    ) -> Callable[[float], Tensor] | None:
        """Term added to the training loss, see Plan."""
        return None

    @classmethod
    def check_params(cls, params: dict[str, Any]) -> dict[str, Any]:
        """See Model.check_params."""
        return check(cls.kind, cls.key, params)

    @classmethod
    def fit(cls, params: dict[str, Any], task: Task, fold: Fold, context: FitContext) -> Self:
        """See Model.fit."""
        params = cls.check_params(params)
        fold = rows_to_stop_on(fold, task)
        with isolated(context):
            preprocessing = Preprocessing.fit(fold.X_train, task.cardinalities)
            network = cls._build(params, task, preprocessing)
            if task.is_regression:
                network.fit_target(fold.y_train)
            network.to(context.device)
            rows = _rows(network, fold.X_train, fold.y_train, task)
            val = _rows(network, fold.X_val, fold.y_val, task)
            cls._initialise(network, rows)
            loss, val_loss = cls._losses(params, task, _class_weights(params, rows.y, task))
            plan = Plan(
                family=cls.key,
                optimizer=params["optimizer"],
                lr=params["lr"],
                weight_decay=params.get("weight_decay", 0.0),
                batch_size=params["batch_size"],
                epochs=params["epochs"],
                n_cycles=params["n_cycles"],
                patience=params["patience"],
                loss=loss,
                val_loss=val_loss,
                penalty=cls._penalty(params, network, len(rows)),
                lr_factors=cls.lr_factors,
            )
            history = train(network, rows, val, plan, context)
            network.fill_unseen(rows.slots)
        unseen = Unseen.of(fold.y_train, task)
        return cls(network.cpu(), Meta(cls.key, params, task, history, {"seed": context.seed}, unseen))

    @classmethod
    def _build(cls, params: dict[str, Any], task: Task, preprocessing: Preprocessing) -> TabularNetwork:
        numbers: nn.Module = nn.Identity()
        d_number = 1
        if params["num_embedding"] == "periodic":
            numbers = PeriodicEmbedding(preprocessing.n_numbers, params["frequency_scale"])
            d_number = numbers.d_out
        categories = CategoryEmbedding(preprocessing.n_slots, params["d_category"])
        n_categories = len(preprocessing.offsets)
        d_in = preprocessing.n_numbers * d_number + len(preprocessing.flagged)
        d_in += n_categories * params["d_category"]
        widths = params["hidden_dims"] or [params["d_block"]] * params["n_blocks"]
        d_out = 2 if task.is_regression and cls.has_draws else task.n_outputs
        return TabularNetwork(preprocessing, numbers, categories, cls._body(params, [d_in, *widths, d_out]))

    def predict(self, X: np.ndarray, n_threads: int = 1) -> Prediction:
        """See Model.predict."""
        with threads(n_threads), torch.inference_mode():
            outputs = torch.cat([self._outputs(part) for part in self._chunks(X)], dim=1)
            if self.meta.task.is_regression:
                return self._values(outputs)
            return self._prediction(torch.softmax(outputs, dim=2))

    @classmethod
    def export(cls, models: Sequence[Self], graph: Graph, units: TargetScale) -> Exported:
        """See Model.export."""
        from models.network_graph import Heads  # noqa: PLC0415 - fitting needs no onnx

        heads = Heads([model.network for model in models], models[0].meta.task, units, cls.has_draws)
        return cls._export(models, graph, heads)

    @classmethod
    @abstractmethod
    def _export(cls, models: Sequence[Self], graph: Graph, heads: Heads) -> Exported:
        """Write the networks; heads has them and says how their outputs are read."""

    def _chunks(self, X: np.ndarray) -> Iterator[Tensor]:
        widths = self.meta.params["hidden_dims"] or [self.meta.params["d_block"]]
        n_answers = self.meta.params.get("n_draws", 1) * self.meta.params.get("n_members", 1)
        size = max(1, min(self.network.rows_at_once, CHUNK_FLOATS // (max(widths) * n_answers)))
        starts = range(0, max(len(X), 1), size)
        return (torch.tensor(X[start : start + size], dtype=torch.float32) for start in starts)

    def _values(self, outputs: Tensor) -> Prediction:
        center, spread = self.network.target_center, self.network.target_spread
        draws = outputs[:, :, :1].double() * spread + center
        if not self.has_draws:
            return self._prediction(draws)
        noise = outputs[:, :, 1].double().clamp(-12, 12).exp().mean(0) * spread**2
        return self._prediction(draws, noise.numpy())

    def _prediction(self, draws: Tensor, noise: np.ndarray | None = None) -> Prediction:
        mean, unseen = self.meta.unseen.apply(draws.mean(0).numpy()), self.meta.unseen
        return Prediction(mean, unseen.apply(draws.numpy()) if self.has_draws else None, noise)

    def save(self, folder: Path) -> None:
        """Write weights.npz and meta.json."""
        arrays = {name: value.numpy() for name, value in self.network.state_dict().items()}
        save_arrays(folder, arrays)
        save_meta(folder, self.meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See Model.load."""
        meta = load_meta(folder, cls.key)
        with damaged(folder, cls.key, RuntimeError):
            weights = {name: torch.from_numpy(value) for name, value in load_arrays(folder).items()}
            stats = [weights[f"preprocessing.{name}"] for name in ("center", "factor", "flagged")]
            with torch.random.fork_rng([]):
                network = cls._build(meta.params, meta.task, Preprocessing(meta.task.cardinalities, *stats))
            network.load_state_dict(weights)
        return cls(network, meta)


def draws_of(n_draws: int, index: int, n_models: int) -> list[int]:
    """The draws with which one of some models answers: as many for each, and every draw is used.

    Args:
        n_draws: Draws of each model.
        index: The model's place, from 0.
        n_models: How many models answer together.
    """
    each = -(-n_draws // n_models)
    return [(index * each + i) % n_draws for i in range(each)]


def _rows(network: TabularNetwork, X: np.ndarray, y: np.ndarray, task: Task) -> Rows:
    device = network.target_center.device
    numbers, slots = network.preprocessing(torch.tensor(X, dtype=torch.float32, device=device))
    target = torch.tensor(y, dtype=torch.float64 if task.is_regression else torch.int64, device=device)
    if task.is_regression:
        target = ((target - network.target_center) / network.target_spread).float()
    return Rows(numbers, slots, target)


def _class_weights(params: dict[str, Any], y: Tensor, task: Task) -> Tensor | None:
    weights = class_weights(params["class_weight"], y.cpu().numpy(), task)
    return None if weights is None else torch.tensor(weights, dtype=torch.float32, device=y.device)
