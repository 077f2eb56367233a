"""A linear model by gradient descent: what the smallest family looks like."""

from __future__ import annotations

import math
import time

import numpy as np
from pydantic import Field

from models.base import History, Model, Prediction
from models.boosting import TargetScale, as_mean
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


def answers(raw, task):
    if task.is_regression:
        return raw
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def loss(P, y, task):
    if task.is_regression:
        return float(np.mean((P[:, 0] - y) ** 2))
    return float(-np.log(P[np.arange(len(y)), y] + math.ulp(1.0)).mean())
