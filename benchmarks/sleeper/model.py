"""A fit that sleeps, and a constant prediction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field

from models.base import FitContext, Fold, History, Model, Prediction, Task
from models.boosting import TargetScale
from models.exported import Exported
from models.params import Params, check
from models.storage import Meta, load_arrays, load_meta, save_arrays, save_meta

if TYPE_CHECKING:
    from models.graph import Graph


class SleeperParams(Params):
    """How long, and something to search."""

    seconds: float = Field(0.1, ge=0)
    x: float = Field(0.5, ge=0, le=1)


class Sleeper(Model):
    """One night."""

    key = "sleeper"
    steps_param = "seconds"

    def __init__(self, P: np.ndarray, meta: Meta) -> None:
        self.P, self.meta, self.history = P, meta, meta.history

    @classmethod
    def check_params(cls, params: dict[str, Any]) -> dict[str, Any]:
        """See Model.check_params."""
        return check(SleeperParams, cls.key, params)

    @classmethod
    def fit(cls, params: dict[str, Any], task: Task, fold: Fold, context: FitContext) -> Self:
        """See Model.fit."""
        params = cls.check_params(params)
        time.sleep(params["seconds"])
        P = np.full(task.n_outputs, 0.2 * params["x"], np.float32)
        if not task.is_regression:
            P = np.bincount(fold.y_train, minlength=task.n_outputs) + P
        history = History([1.0], [1.0], stop_reason="complete")
        return cls((P / P.sum()).astype(np.float32), Meta(cls.key, params, task, history, {}))

    def predict(self, X: np.ndarray, n_threads: int = 1) -> Prediction:
        """See Model.predict."""
        return Prediction(np.tile(self.P, (len(X), 1)))

    @classmethod
    def export(cls, models: Sequence[Self], graph: Graph, units: TargetScale) -> Exported:
        """See Model.export."""
        from models.graph import FLOAT  # noqa: PLC0415 - fitting needs no onnx

        missing = graph.add("IsNaN", graph.add("Gather", graph.X, graph.ints(0), axis=1))
        nothing = graph.add("Mul", graph.add("Cast", missing, to=FLOAT), 0.0)
        answers = []
        for model in models:
            P = model.P[None]
            if model.meta.task.is_regression:
                P = (P - units.center) / units.spread
            answers.append(graph.add("Unsqueeze", graph.add("Add", nothing, P), graph.ints(2)))
        return Exported(answers=graph.add("Concat", *answers, axis=2), n_answers=len(models))

    def save(self, folder: Path) -> None:
        """See Model.save."""
        save_arrays(folder, {"P": self.P})
        save_meta(folder, self.meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See Model.load."""
        return cls(load_arrays(folder)["P"], load_meta(folder, cls.key))
