"""Gradient boosted trees by LightGBM, grown leaf by leaf, with native splits on category codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import lightgbm as lgb
import numpy as np
from lightgbm.callback import CallbackEnv, EarlyStopException
from pydantic import Field

from models.base import FitContext, Fold, Model, Prediction, Task
from models.boosting import StopRule, TargetScale, as_mean, histogram_bytes, histograms_in_memory, patience
from models.exported import Exported
from models.params import Params, check
from models.storage import Meta, damaged, load_meta, save_meta
from models.unseen import Unseen, rows_to_stop_on
from models.weights import row_weights

if TYPE_CHECKING:
    from models.graph import Graph

MODEL = "model.txt"
SLICE_TREES = 250
OURS = ("num_boost_round", "class_weight")
OBJECTIVES = {
    "binary": {"objective": "binary", "metric": "binary_logloss"},
    "multiclass": {"objective": "multiclass", "metric": "multi_logloss"},
    "regression": {"objective": "l2", "metric": "l2"},
}


class LightGBMParams(Params):
    """Parameters of `lightgbm.train`, with its defaults; num_boost_round is a cap that early stopping undercuts.

    class_weight "balanced" weighs classes equally, also where the fit stops: see weights.class_weights for the price.

    Source: https://lightgbm.readthedocs.io/en/stable/Parameters.html
    """

    SYNONYMS: ClassVar[dict[str, str]] = {
        "n_estimators": "num_boost_round",
        "num_iterations": "num_boost_round",
        "max_leaves": "num_leaves",
        "min_child_samples": "min_data_in_leaf",
        "min_child_weight": "min_sum_hessian_in_leaf",
        "subsample": "bagging_fraction",
        "subsample_freq": "bagging_freq",
        "colsample_bytree": "feature_fraction",
        "reg_alpha": "lambda_l1",
        "reg_lambda": "lambda_l2",
        "eta": "learning_rate",
    }

    num_boost_round: int = Field(3000, ge=1, le=100_000)
    learning_rate: float = Field(0.1, gt=0, le=1)
    num_leaves: int = Field(31, ge=2, le=131_072)
    max_depth: int = Field(-1, ge=-1, le=1000)
    min_data_in_leaf: int = Field(20, ge=0, le=1_000_000)
    min_sum_hessian_in_leaf: float = Field(1e-3, ge=0)
    bagging_fraction: float = Field(1.0, gt=0, le=1)
    bagging_freq: int = Field(1, ge=0, le=1000)
    feature_fraction: float = Field(1.0, gt=0, le=1)
    lambda_l1: float = Field(0.0, ge=0)
    lambda_l2: float = Field(0.0, ge=0)
    min_gain_to_split: float = Field(0.0, ge=0)
    path_smooth: float = Field(0.0, ge=0)
    extra_trees: bool = False
    max_bin: int = Field(255, ge=2, le=65_535)
    cat_smooth: float = Field(10.0, ge=0)
    cat_l2: float = Field(10.0, ge=0)
    max_cat_threshold: int = Field(32, ge=1, le=100_000)
    min_data_per_group: int = Field(100, ge=1, le=1_000_000)
    class_weight: Literal["balanced"] | None = Field(None, description="null, balanced")


class LightGBM(Model):
    """One fitted fold, cut to its best round. It runs on the CPU whatever the device of the trial."""

    key = "lightgbm"
    steps_param = "num_boost_round"
    refits_well = True

    def __init__(self, booster: lgb.Booster, meta: Meta):
        self.booster = booster
        self.meta = meta
        self.history = meta.history
        self.scale = TargetScale(**meta.extra)

    @classmethod
    def check_params(cls, params: dict[str, Any]) -> dict[str, Any]:
        """See Model.check_params."""
        return check(LightGBMParams, cls.key, params)

    @classmethod
    def fit(cls, params: dict[str, Any], task: Task, fold: Fold, context: FitContext) -> Self:
        """See Model.fit; stops on cross-entropy or squared error, see boosting.patience."""
        params = cls.check_params(params)
        fold = rows_to_stop_on(fold, task)
        scale = TargetScale.of(fold.y_train, task)
        y_train, y_val = scale.apply(fold)
        settings = _settings(params, task, context) | _memory(params, fold.X_train)
        codes = [index for index, size in enumerate(task.cardinalities) if size]
        w_train, w_val = row_weights(params["class_weight"], fold, task)
        train = lgb.Dataset(fold.X_train, y_train, weight=w_train, categorical_feature=codes, params=settings)
        val = train.create_valid(fold.X_val, y_val, weight=w_val)
        rule = StopRule(patience(params["learning_rate"]), context.deadline)
        booster = lgb.train(
            settings,
            train,
            params["num_boost_round"],
            valid_sets=[train, val],
            valid_names=["train", "val"],
            callbacks=[_callback(rule)],
        )
        text = booster.model_to_string(num_iteration=rule.best + 1)
        extra = {"center": scale.center, "spread": scale.spread}
        meta = Meta(cls.key, params, task, rule.history(), extra, Unseen.of(fold.y_train, task))
        return cls(lgb.Booster(model_str=text), meta)

    def predict(self, X: np.ndarray, n_threads: int = 1) -> Prediction:
        """See Model.predict.

        Trees are walked some hundreds at a time: LightGBM takes each row through all trees, and a forest that
        outgrows the processor's cache is then read from memory for every row (ten times slower at 60,000 trees).
        """
        rounds = self.booster.current_iteration()
        step = max(1, SLICE_TREES // self.booster.num_model_per_iteration())
        raw = sum(
            self.booster.predict(
                X, num_threads=n_threads, raw_score=True, start_iteration=start, num_iteration=step
            )
            for start in range(0, rounds, step)
        )
        return Prediction(self.meta.unseen.apply(as_mean(raw, self.meta.task, self.scale)))

    @classmethod
    def export(cls, models: Sequence[Self], graph: Graph, units: TargetScale) -> Exported:
        """See Model.export; the trees join those of other members, so nothing is written here."""
        from models.lightgbm_trees import read_lightgbm  # noqa: PLC0415 - fitting needs no onnx

        trees = []
        for model in models:
            factor, shift = units.of_units(model.scale)
            trees.append(read_lightgbm(model.booster).scaled(factor, shift))
        return Exported(trees=trees)

    def save(self, folder: Path) -> None:
        """Write model.txt, LightGBM's own text format, and meta.json."""
        self.booster.save_model(folder / MODEL)
        save_meta(folder, self.meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """See Model.load."""
        meta = load_meta(folder, cls.key)
        with damaged(folder, cls.key, lgb.basic.LightGBMError):
            return cls(lgb.Booster(model_file=folder / MODEL), meta)


def _settings(params: dict[str, Any], task: Task, context: FitContext) -> dict[str, Any]:
    settings = {name: value for name, value in params.items() if name not in OURS}
    settings |= OBJECTIVES[task.problem_type]
    if task.problem_type == "multiclass":
        settings["num_class"] = task.n_outputs
    # Left alone, LightGBM times row-wise against column-wise histograms at run time: equal fits could differ.
    return settings | {
        "num_threads": context.n_threads,
        "seed": context.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _memory(params: dict[str, Any], X: np.ndarray) -> dict[str, Any]:
    """Limits what a wide table's histograms take; empty for others, whose fits stay as they are."""
    kept = histograms_in_memory(X, params["max_bin"], params["num_leaves"])
    if kept is None:
        return {}
    return {"histogram_pool_size": kept * histogram_bytes(X, params["max_bin"]) / 2**20}


def _callback(rule: StopRule) -> Callable[[CallbackEnv], None]:
    def after_round(env: CallbackEnv) -> None:
        train, val = (result.metric_value for result in env.evaluation_result_list)
        if rule.update(train, val):
            raise EarlyStopException(rule.best, env.evaluation_result_list)

    return after_round
