"""Gradient boosted trees by XGBoost, with native splits on category codes, on CPU or GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import xgboost as xgb
from pydantic import Field

from errors import DeviceMemoryError
from models.base import FitContext, Fold, Model, Prediction, Task
from models.boosting import StopRule, TargetScale, as_mean, histograms_in_memory, patience
from models.exported import Exported
from models.params import Params, check
from models.storage import Meta, damaged, load_meta, save_meta
from models.unseen import Unseen, rows_to_stop_on
from models.weights import row_weights

if TYPE_CHECKING:
    from models.graph import Graph

MODEL = "model.ubj"
# How device_helpers of XGBoost 3 names it, and CUDA's own words.
OUT_OF_MEMORY = re.compile(r"(Memory allocation error on worker|cudaErrorMemoryAllocation|out of memory).*")
OURS = ("num_boost_round", "class_weight")
OBJECTIVES = {
    "binary": {"objective": "binary:logistic", "eval_metric": "logloss"},
    "multiclass": {"objective": "multi:softprob", "eval_metric": "mlogloss"},
    "regression": {"objective": "reg:squarederror", "eval_metric": "rmse"},
}


class XGBoostParams(Params):
    """Parameters of `xgboost.train`, with its defaults; num_boost_round is a cap that early stopping undercuts.

    class_weight "balanced" weighs classes equally, also where the fit stops: see weights.class_weights for the price.

    Source: https://xgboost.readthedocs.io/en/stable/parameter.html
    """

    SYNONYMS: ClassVar[dict[str, str]] = {
        "n_estimators": "num_boost_round",
        "eta": "learning_rate",
        "lambda": "reg_lambda",
        "alpha": "reg_alpha",
        "min_split_loss": "gamma",
        "num_leaves": "max_leaves",
        "bagging_fraction": "subsample",
        "feature_fraction": "colsample_bytree",
    }

    num_boost_round: int = Field(3000, ge=1, le=100_000)
    learning_rate: float = Field(0.3, gt=0, le=1)
    grow_policy: Literal["depthwise", "lossguide"] = "depthwise"
    max_depth: int = Field(6, ge=1, le=64)
    max_leaves: int = Field(0, ge=0, le=131_072)
    min_child_weight: float = Field(1.0, ge=0)
    subsample: float = Field(1.0, gt=0, le=1)
    colsample_bytree: float = Field(1.0, gt=0, le=1)
    colsample_bylevel: float = Field(1.0, gt=0, le=1)
    reg_alpha: float = Field(0.0, ge=0)
    reg_lambda: float = Field(1.0, ge=0)
    gamma: float = Field(0.0, ge=0)
    max_bin: int = Field(256, ge=2, le=65_535)
    max_cat_to_onehot: int = Field(4, ge=1, le=100_000)
    max_cat_threshold: int = Field(64, ge=1, le=100_000)
    class_weight: Literal["balanced"] | None = Field(None, description="null, balanced")


class XGBoost(Model):
    """One fitted fold, cut to its best round. It predicts on the CPU wherever it was fitted."""

    key = "xgboost"
    steps_param = "num_boost_round"
    refits_well = True

    def __init__(self, booster: xgb.Booster, meta: Meta):
        booster.set_param({"device": "cpu"})
        self.booster = booster
        self.meta = meta
        self.history = meta.history
        self.scale = TargetScale(**meta.extra)

    @classmethod
    def check_params(cls, params: dict[str, Any]) -> dict[str, Any]:
        """See Model.check_params."""
        return check(XGBoostParams, cls.key, params)

    @classmethod
    def fit(cls, params: dict[str, Any], task: Task, fold: Fold, context: FitContext) -> Self:
        """See Model.fit; stops on cross-entropy or squared error, see boosting.patience."""
        params = cls.check_params(params)
        fold = rows_to_stop_on(fold, task)
        scale = TargetScale.of(fold.y_train, task)
        y_train, y_val = scale.apply(fold)
        columns = {
            "feature_types": ["c" if size else "q" for size in task.cardinalities],
            "enable_categorical": True,
            "nthread": context.n_threads,
            "max_bin": params["max_bin"],
        }
        with _device_memory():
            w_train, w_val = row_weights(params["class_weight"], fold, task)
            train = xgb.QuantileDMatrix(fold.X_train, y_train, weight=w_train, **columns)
            val = xgb.QuantileDMatrix(fold.X_val, y_val, weight=w_val, ref=train, **columns)
            rule = StopRule(patience(params["learning_rate"]), context.deadline)
            booster = xgb.train(
                _settings(params, task, context) | _memory(params, fold.X_train),
                train,
                params["num_boost_round"],
                evals=[(train, "train"), (val, "val")],
                callbacks=[_Callback(rule, OBJECTIVES[task.problem_type]["eval_metric"])],
                verbose_eval=False,
            )
        extra = {"center": scale.center, "spread": scale.spread}
        meta = Meta(cls.key, params, task, rule.history(), extra, Unseen.of(fold.y_train, task))
        return cls(booster[: rule.best + 1], meta)

    def predict(self, X: np.ndarray, n_threads: int = 1) -> Prediction:
        """See Model.predict; codes are read in place, as at fitting, without building a DMatrix."""
        self.booster.set_param({"nthread": n_threads})
        raw = self.booster.inplace_predict(X, predict_type="margin")
        return Prediction(self.meta.unseen.apply(as_mean(raw, self.meta.task, self.scale)))

    @classmethod
    def export(cls, models: Sequence[Self], graph: Graph, units: TargetScale) -> Exported:
        """See Model.export; the trees join those of other members, so nothing is written here."""
        from models.xgboost_trees import read_xgboost  # noqa: PLC0415 - fitting needs no onnx

        task = models[0].meta.task
        n_outputs = task.n_outputs if task.problem_type == "multiclass" else 1
        trees = []
        for model in models:
            factor, shift = units.of_units(model.scale)
            trees.append(read_xgboost(model.booster, n_outputs).scaled(factor, shift))
        return Exported(trees=trees)

    def save(self, folder: Path) -> None:
        """Write model.ubj, XGBoost's own binary JSON, and meta.json."""
        self.booster.save_model(folder / MODEL)
        save_meta(folder, self.meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See Model.load."""
        meta = load_meta(folder, cls.key)
        with damaged(folder, cls.key, xgb.core.XGBoostError):
            return cls(xgb.Booster(model_file=folder / MODEL), meta)


class _Callback(xgb.callback.TrainingCallback):
    def __init__(self, rule: StopRule, metric: str):
        super().__init__()
        self.rule = rule
        self.metric = metric

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: dict) -> bool:
        return self.rule.update(evals_log["train"][self.metric][-1], evals_log["val"][self.metric][-1])


@contextmanager
def _device_memory() -> Iterator[None]:
    """Tell a GPU that is too small from other errors.

    Raises: DeviceMemoryError: a fit needed more memory than the GPU had left.
    """
    try:
        yield
    except xgb.core.XGBoostError as error:
        found = OUT_OF_MEMORY.search(str(error))
        if found is None:
            raise
        raise DeviceMemoryError(found[0].strip()) from None


def _memory(params: dict[str, Any], X: np.ndarray) -> dict[str, Any]:
    """Limits what a wide table's histograms take; empty for others, whose fits stay as they are."""
    most = 2 * (params["max_leaves"] or 2 ** min(params["max_depth"], 20))
    kept = histograms_in_memory(X, params["max_bin"], most)
    return {} if kept is None else {"max_cached_hist_node": kept}


def _settings(params: dict[str, Any], task: Task, context: FitContext) -> dict[str, Any]:
    settings = {name: value for name, value in params.items() if name not in OURS}
    settings |= OBJECTIVES[task.problem_type]
    if task.problem_type == "multiclass":
        settings["num_class"] = task.n_outputs
    return settings | {
        "tree_method": "hist",
        "device": context.device,
        "nthread": context.n_threads,
        "seed": context.seed,
        "verbosity": 0,
    }
