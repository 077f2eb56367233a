"""A linear model by gradient descent: what the smallest family looks like."""

from __future__ import annotations

import math
import time

import numpy as np
from pydantic import Field

from models.base import History, Model, Prediction
from models.boosting import TargetScale, as_mean
from models.exported import Exported
from models.graph import FLOAT
from models.params import Params, check
from models.storage import Meta, damaged, load_arrays, load_meta, save_arrays, save_meta


class ToyParams(Params):
    """Parameters of gradient descent."""

    steps: int = Field(200, ge=1, le=10_000)
    lr: float = Field(0.1, gt=0, le=1)


class Toy(Model):
    """One fitted fold."""

    key = "toy"
    steps_param = "steps"

    def __init__(self, arrays, meta):
        self.arrays, self.meta, self.history = arrays, meta, meta.history

    @classmethod
    def check_params(cls, params):
        return check(ToyParams, cls.key, params)

    @classmethod
    def fit(cls, params, task, fold, context):
        params, scale = cls.check_params(params), TargetScale.of(fold.y_train, task)
        numbers = fold.X_train[:, [not size for size in task.cardinalities]]
        with np.errstate(invalid="ignore"):
            seen = np.where(np.isnan(numbers).all(axis=0), 0.0, numbers)
        arrays = {"center": np.nanmean(seen, axis=0), "spread": np.nanstd(seen, axis=0) + 1e-6}
        X, X_val = (features(rows, task, arrays) for rows in (fold.X_train, fold.X_val))
        y, y_val = scale.apply(fold) if task.is_regression else (fold.y_train, fold.y_val)
        n_outputs = 1 if task.is_regression else task.n_outputs
        weights = np.random.RandomState(context.seed).standard_normal((X.shape[1], n_outputs)) * 0.01
        history, best = History(stop_reason="complete"), weights
        for step in range(params["steps"]):
            errors = answers(X @ weights, task) - (y[:, None] if task.is_regression else np.eye(n_outputs)[y])
            weights = weights - params["lr"] * X.T @ errors / len(X)
            history.train.append(loss(answers(X @ weights, task), y, task))
            history.val.append(loss(answers(X_val @ weights, task), y_val, task))
            if history.val[step] <= history.val[history.best]:
                history.best, best = step, weights
            if context.deadline is not None and time.monotonic() >= context.deadline:
                history.stop_reason = "deadline"
                break
        extra = {"center": scale.center, "spread": scale.spread}
        return cls({**arrays, "weights": best}, Meta(cls.key, params, task, history, extra))

    def predict(self, X, n_threads=1):
        task = self.meta.task
        raw = features(X, task, self.arrays) @ self.arrays["weights"]
        if not task.is_regression:
            return Prediction(answers(raw, task).astype(np.float32))
        return Prediction(as_mean(raw[:, 0], task, TargetScale(**self.meta.extra)))

    @classmethod
    def export(cls, models, graph, units):
        task = models[0].meta.task
        names = []
        for model in models:
            weights, scale = model.arrays["weights"], TargetScale(**model.meta.extra)
            if task.is_regression:
                factor, shift = units.of_units(scale)
                weights = weights * factor
                weights[-1] += shift
            outputs = graph.add("MatMul", graph_features(graph, task, model.arrays), weights)
            if not task.is_regression:
                outputs = graph.add("Softmax", outputs, axis=1)
            names.append(graph.add("Unsqueeze", outputs, graph.ints(2)))
        return Exported(answers=graph.add("Concat", *names, axis=2), n_answers=len(models))

    def save(self, folder):
        save_arrays(folder, self.arrays)
        save_meta(folder, self.meta)

    @classmethod
    def load(cls, folder):
        meta = load_meta(folder, cls.key)
        with damaged(folder, cls.key):
            return cls(load_arrays(folder), meta)


def features(X, task, arrays):
    is_number = np.array([not size for size in task.cardinalities])
    numbers = np.clip((X[:, is_number].astype(np.float64) - arrays["center"]) / arrays["spread"], -5, 5)
    codes = [X[:, [j]] == np.arange(size) for j, size in enumerate(task.cardinalities) if size]
    return np.column_stack([np.nan_to_num(numbers), *codes, np.ones(len(X))])


def graph_features(graph, task, arrays):
    numbers = np.array([j for j, size in enumerate(task.cardinalities) if not size])
    parts = []
    if len(numbers):
        raw = graph.add("Gather", graph.X, numbers, axis=1)
        scaled = graph.add("Div", graph.add("Sub", raw, arrays["center"]), arrays["spread"])
        seen = graph.add("Where", graph.add("IsNaN", scaled), 0.0, scaled)
        parts.append(graph.add("Clip", seen, -5.0, 5.0))
    for j, size in enumerate(task.cardinalities):
        if size:
            code = graph.add("Gather", graph.X, graph.ints(j), axis=1)
            parts.append(graph.add("Cast", graph.add("Equal", code, np.arange(size) * 1.0), to=FLOAT))
    parts.append(
        graph.add("Add", graph.add("Mul", parts[0], 0.0), 1.0)
    )  # the ones, as wide as the first part
    n_ones = len(numbers) or next(size for size in task.cardinalities if size)
    parts[-1] = graph.add("Slice", parts[-1], graph.ints(n_ones - 1), graph.ints(n_ones), graph.ints(1))
    return graph.add("Concat", *parts, axis=1)


def answers(raw, task):
    if task.is_regression:
        return raw
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def loss(P, y, task):
    if task.is_regression:
        return float(np.mean((P[:, 0] - y) ** 2))
    return float(-np.log(P[np.arange(len(y)), y] + math.ulp(1.0)).mean())
