"""The interface every model family implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from configs.schema import ProblemType

if TYPE_CHECKING:
    from data.dataset import TabularDataset
    from models.boosting import TargetScale
    from models.exported import Exported
    from models.graph import Graph
    from models.storage import Meta


@dataclass(frozen=True)
class Task:
    """What a family must know about the table, whatever the rows.

    Attributes:
        problem_type: binary, multiclass or regression.
        n_outputs: Number of classes (2 for binary), 1 for regression.
        cardinalities: Per feature, the number of category codes; 0 marks a number. Codes are 0..n-1; a
            missing value or a category never seen is NaN.
    """

    problem_type: ProblemType
    n_outputs: int
    cardinalities: tuple[int, ...]

    @classmethod
    def of(cls, dataset: TabularDataset) -> Task:
        """What models must know of a dataset."""
        n_outputs = len(dataset.target.classes) or 1
        return cls(dataset.problem_type, n_outputs, tuple(dataset.encoder.cardinalities))

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number."""
        return self.problem_type == "regression"


@dataclass(frozen=True)
class Fold:
    """Rows of one fold.

    Shape: X float32 (n_samples, n_features); y int64 class codes, or float64 values, (n_samples,).
    """

    X_train: np.ndarray
    y_train: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray


@dataclass(frozen=True)
class FitContext:
    """What a fit may use.

    Attributes:
        n_threads: Threads, the CPUs of the trial; a fit never uses more.
        device: "cpu" or "cuda".
        seed: Same seed, same data, same params, same model.
        deadline: time.monotonic() at which the fit ends early, keeping its best state so far; None: never.
        gpu_share: Share of the GPU's memory in (0, 1] that a network may take; Ray's shares of a GPU isolate nothing.
    """

    n_threads: int = 1
    device: str = "cpu"
    seed: int = 0
    deadline: float | None = None
    gpu_share: float = 1.0


@dataclass(frozen=True)
class Prediction:
    """What a model says of some rows.

    Probabilities are float32; what is in the target's unit is float64: far from zero, targets differ in late digits.

    Shape: mean (n_samples, n_outputs): class probabilities whose rows sum to 1, or the value.
        draws (n_draws, n_samples, n_outputs), or None where the family has none; mean is their mean.
        noise (n_samples,): learned variance of the target itself (regression), or None.
    """

    mean: np.ndarray
    draws: np.ndarray | None = None
    noise: np.ndarray | None = None


@dataclass
class History:
    """Losses of a fit, for plots.

    Attributes:
        train: Loss on the training rows, one value every `every` steps (an epoch or a boosting round).
        val: The same on the validation rows.
        best: The step kept, from 0; its value is at index best // every.
        every: Steps between two values.
        stop_reason: "patience", "deadline" or "complete".
    """

    train: list[float] = field(default_factory=list)
    val: list[float] = field(default_factory=list)
    best: int = 0
    every: int = 1
    stop_reason: str = ""


class Model(ABC):
    """One fitted fold of a family.

    A family is a subclass: `fit` makes one, `save` and `load` keep it without pickle, `predict` uses it.
    `steps_param` is the parameter that caps the epochs or boosting rounds of a fit. `refits_well` says that one fit
    on all rows, for as many steps as the folds found best, predicts as well as the mean of the fold models, and that
    several fits may run in threads of one process.
    """

    key: ClassVar[str]
    steps_param: ClassVar[str]
    has_draws: ClassVar[bool] = False
    refits_well: ClassVar[bool] = False
    history: History
    meta: Meta

    @classmethod
    @abstractmethod
    def check_params(cls, params: dict[str, Any]) -> dict[str, Any]:
        """Complete and validate params.

        Returns: every parameter of the family with its value, library defaults filled in.
        Raises: ConfigError: an unknown name or a value out of range; names the nearest valid one.
        """

    @classmethod
    @abstractmethod
    def fit(cls, params: dict[str, Any], task: Task, fold: Fold, context: FitContext) -> Model:
        """Fit on the fold's training rows, stopping early on its validation rows.

        Raises: ConfigError: see check_params. TrainingError: the fit diverged.
        """

    @abstractmethod
    def predict(self, X: np.ndarray, n_threads: int = 1) -> Prediction:
        """Predict rows; the same row gives the same answer alone and in any batch.

        Shape: X float32 (n_samples, n_features).
        """

    def part_of(self, index: int, n_models: int) -> Self:
        """This model as one of the fold models of a trial that answer together.

        Models with draws then answer with their part of them: n_models of them have as many draws as one alone.

        Args:
            index: Its place among them, from 0.
            n_models: How many they are.
        """
        return self

    @classmethod
    @abstractmethod
    def export(cls, models: Sequence[Self], graph: Graph, units: TargetScale) -> Exported:
        """Write the fold models of a trial into a graph; each with the draws it has.

        Args:
            models: The fold models; their params are equal.
            graph: Its input is encoded rows.
            units: Regression: values are written as (value - center) / spread.

        Raises: TrainingError: the models hold what no graph can say.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model into an existing empty folder, in formats that hold no code."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Model:
        """Read what save wrote.

        Raises: BundleError: the files are missing or damaged.
        """
