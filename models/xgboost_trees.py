"""XGBoost's trees as plain arrays, read from its JSON format."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xgboost as xgb

from models.forest import Trees, at_most

# As near to certain as a float64 is below 1.
ONE_CLASS = 1e-15


def read_xgboost(booster: xgb.Booster, n_outputs: int) -> Trees:
    """The trees of a booster.

    Args:
        booster: A model of trees (not dart, not linear).
        n_outputs: Its outputs: 1, or one per class.

    Source: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html, and XGBoost 3.2,
        src/common/categorical.h (a code in the set goes right) and src/predictor/predict_fn.h.
    """
    learner = json.loads(booster.save_raw("json"))["learner"]
    model = learner["gradient_booster"]["model"]
    trees = model["trees"]

    def joined(name: str, kind: type = np.int64) -> np.ndarray:
        return np.concatenate([np.asarray(tree[name], dtype=kind) for tree in trees])

    left, right = joined("left_children"), joined("right_children")
    sizes = np.array([len(tree["left_children"]) for tree in trees])
    is_leaf = left < 0
    inner = ~is_leaf
    offset = np.repeat(np.cumsum(sizes) - sizes, sizes)[inner]
    place = np.where(is_leaf, -np.cumsum(is_leaf), np.cumsum(inner) - 1)
    counts = np.add.reduceat(is_leaf, np.cumsum(sizes) - sizes)
    is_set = joined("split_type")[inner] == 1
    left, right = place[left[inner] + offset], place[right[inner] + offset]
    default_left = joined("default_left")[inner] > 0
    values = joined("split_conditions", np.float32)
    set_size, codes = _sets(trees, is_set)
    return Trees(
        node_start=np.concatenate([[0], np.cumsum(sizes - counts)]),
        leaf_start=np.concatenate([[0], np.cumsum(counts)]),
        output=np.asarray(model["tree_info"]),
        feature=joined("split_indices")[inner],
        yes=np.where(is_set, right, left),
        no=np.where(is_set, left, right),
        threshold=at_most(np.where(is_set, np.float32(0), values[inner]), strict=True),
        missing_yes=np.where(is_set, ~default_left, default_left),
        set_size=set_size,
        set_codes=codes,
        leaf=values[is_leaf].astype(np.float64),
        base=_base(learner, n_outputs),
    )


def _sets(trees: list[dict[str, Any]], is_set: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes per node, and the codes: XGBoost lists a tree's sets in the order of its nodes."""
    sizes = np.zeros(len(is_set), dtype=np.int64)
    sizes[is_set] = [size for tree in trees for size in tree["categories_sizes"]]
    codes = [code for tree in trees for code in tree["categories"]]
    return sizes, np.asarray(codes, dtype=np.int64)


def _base(learner: dict[str, Any], n_outputs: int) -> np.ndarray:
    """What is added to the leaves; XGBoost keeps it as a probability where the target has two classes."""
    base = np.atleast_1d(
        np.asarray(json.loads(learner["learner_model_param"]["base_score"]), dtype=np.float64)
    )
    if learner["objective"]["name"] == "binary:logistic":
        base = np.clip(base, ONE_CLASS, 1 - ONE_CLASS)  # 0 or 1 where training knew one class
        base = np.log(base / (1 - base))
    return np.broadcast_to(base, n_outputs).copy()
