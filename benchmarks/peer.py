"""One contender of `benchmarks.automl`, run by the Python of its own environment; imports nothing of this project.

    python peer.py autogluon|flaml|lightgbm ORDER.json

ORDER.json names train and test CSV, target, problem_type, seconds, and the .npz to write: P (probabilities in the
order of `classes`, or values), fit_s and predict_s of all test rows, and one_row_ms.
"""

import json
import sys
import tempfile
import time

import numpy as np
import pandas as pd

METRICS = {
    "autogluon": {"binary": "roc_auc", "multiclass": "log_loss", "regression": "root_mean_squared_error"},
    "flaml": {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"},
}


def autogluon(order, train, test):
    """best_quality, both cores, the same seconds."""
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor(
        order["target"],
        problem_type=order["problem_type"],
        eval_metric=METRICS["autogluon"][order["problem_type"]],
        path=tempfile.mkdtemp(),
        verbosity=1,
    ).fit(pd.concat([train[0], train[1]], axis=1), presets="best_quality", time_limit=order["seconds"])
    if order["problem_type"] == "regression":
        return lambda X: predictor.predict(X).to_numpy()[:, None]
    return lambda X: predictor.predict_proba(X)[order["classes"]].to_numpy()


def flaml(order, train, test):
    """With its ensemble."""
    from flaml import AutoML

    task = "regression" if order["problem_type"] == "regression" else "classification"
    model = AutoML()
    settings = {
        "task": task,
        "metric": METRICS["flaml"][order["problem_type"]],
        "time_budget": order["seconds"],
        "n_jobs": 2,
        "seed": 0,
        "ensemble": True,
        "verbose": 0,
    }
    model.fit(X_train=train[0], y_train=train[1], **settings)
    if task == "regression":
        return lambda X: np.asarray(model.predict(X))[:, None]
    places = [list(model.classes_).index(c) for c in order["classes"]]
    return lambda X: np.asarray(model.predict_proba(X))[:, places]


def lightgbm(order, train, test):
    """The library's own parameters."""
    import lightgbm as lgb

    kind = lgb.LGBMRegressor if order["problem_type"] == "regression" else lgb.LGBMClassifier
    model = kind(n_jobs=2, verbose=-1).fit(*train)
    if order["problem_type"] == "regression":
        return lambda X: model.predict(X)[:, None]
    places = [list(model.classes_).index(c) for c in order["classes"]]
    return lambda X: model.predict_proba(X)[:, places]


def main(who, path):
    """Fit, predict, write."""
    with open(path, encoding="utf-8") as file:
        order = json.load(file)
    train, test = (pd.read_csv(order[name]) for name in ("train", "test"))
    y = train.pop(order["target"])
    test = test.drop(columns=order["target"])
    for frame in (train, test):  # texts as categories, the same on both sides
        for name in frame.columns[[not pd.api.types.is_numeric_dtype(t) for t in frame.dtypes]]:
            frame[name] = pd.Categorical(frame[name], sorted(train[name].dropna().astype(str).unique()))
    start = time.time()
    predict = globals()[who](order, (train, y), test)
    fit_s, start = time.time() - start, time.time()
    P = predict(test)
    predict_s = time.time() - start
    times = []
    for i in range(20):
        start = time.time()
        predict(test.iloc[i : i + 1])
        times.append(time.time() - start)
    np.savez(order["out"], P=P, fit_s=fit_s, predict_s=predict_s, one_row_ms=1000 * np.median(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
