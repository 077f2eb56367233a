"""Boosted trees of any library as plain arrays, and the trees of many models as few operators of one graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from models.graph import Graph

LEQ, MEMBER, SUM = 0, 6, 1  # codes of ai.onnx.ml.TreeEnsemble
# Nodes of one operator. All rows pass one operator before the next, so what it reads should fit the cache; and ONNX
# Runtime's time to load one grows with the square of its trees.
PART_NODES = 8_000


@dataclass(frozen=True)
class Trees:
    """The trees of one fitted model, flat.

    A row goes to a node's `yes` where its feature is at most the threshold or, where the node has a set, its code is
    in the set. Nodes and leaves count from 0 over all trees of the model; `yes` and `no` give a leaf as -1 - leaf.
    A tree's first node is its root; a tree without nodes is its one leaf.

    Attributes:
        node_start, leaf_start: (n_trees + 1,), where each tree's nodes and leaves begin.
        output: (n_trees,), the output each tree adds to.
        feature, yes, no: (n_nodes,).
        threshold: float32 (n_nodes,).
        missing_yes: bool (n_nodes,), whether a missing value goes to `yes`.
        set_size: (n_nodes,), codes in the node's set; 0 where it has a threshold.
        set_codes: The sets' codes, in the order of the nodes.
        leaf: float64 (n_leaves,).
        base: float64 (n_outputs,), added to every row.
    """

    node_start: np.ndarray
    leaf_start: np.ndarray
    output: np.ndarray
    feature: np.ndarray
    yes: np.ndarray
    no: np.ndarray
    threshold: np.ndarray
    missing_yes: np.ndarray
    set_size: np.ndarray
    set_codes: np.ndarray
    leaf: np.ndarray
    base: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Nodes and leaves."""
        return len(self.feature) + len(self.leaf)

    def scaled(self, factor: float, shift: float) -> Trees:
        """The same trees, answering `factor` times as much plus `shift`."""
        return replace(self, leaf=self.leaf * factor, base=self.base * factor + shift)


def at_most(threshold: np.ndarray, strict: bool = False) -> np.ndarray:
    """The largest float32 that still passes: float32 x <= t (x < t where strict) exactly when x <= the result.

    Shape: (n,) -> float32 (n,).
    """
    with np.errstate(over="ignore"):
        nearest = threshold.astype(np.float32)
    too_large = nearest >= threshold if strict else nearest > threshold
    return np.where(too_large, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def add_forest(graph: Graph, models: Sequence[Trees]) -> str:
    """Name of the summed leaves of all models, not yet turned into probabilities.

    Shape: -> (n_samples, n_outputs, n_models).
    """
    n_outputs = len(models[0].base)
    sums = []
    for group in _groups(models):
        if len(group) == 1 and group[0].n_nodes > PART_NODES:
            parts = [_add_part(graph, [(group[0], a, b)]) for a, b in _ranges(group[0])]
            sums.append(graph.add("Sum", *parts) if len(parts) > 1 else parts[0])
        else:
            sums.append(_add_part(graph, [(trees, 0, len(trees.output)) for trees in group]))
    raw = graph.add("Concat", *sums, axis=1) if len(sums) > 1 else sums[0]
    base = np.concatenate([trees.base for trees in models])
    if base.any():
        raw = graph.add("Add", raw, base)
    if n_outputs == 1:
        return graph.add("Unsqueeze", raw, graph.ints(1))
    apart = graph.add("Reshape", raw, graph.ints(-1, len(models), n_outputs))
    return graph.add("Transpose", apart, perm=[0, 2, 1])


def _groups(models: Sequence[Trees]) -> list[list[Trees]]:
    """Neighbours that fit one operator together; a model too large for one stays alone."""
    groups: list[list[Trees]] = []
    size = PART_NODES
    for trees in models:
        size += trees.n_nodes
        if size > PART_NODES:
            groups.append([])
            size = trees.n_nodes
        groups[-1].append(trees)
    return groups


def _ranges(trees: Trees) -> list[tuple[int, int]]:
    """Trees first to last + 1 of each part of a large model."""
    ends = trees.node_start[1:] + trees.leaf_start[1:]
    n_parts = -(-trees.n_nodes // PART_NODES)
    cuts = np.searchsorted(ends, np.arange(1, n_parts) * (trees.n_nodes / n_parts), side="right")
    cuts = np.unique([0, *cuts, len(ends)]).tolist()
    return list(pairwise(cuts))


def _add_part(graph: Graph, parts: Sequence[tuple[Trees, int, int]]) -> str:
    """One operator over trees a to b of some models, each model with outputs of its own."""
    n_outputs = len(parts[0][0].base)
    columns: dict[str, list[np.ndarray]] = {}
    n_nodes = n_leaves = 0
    for slot, (trees, first, last) in enumerate(parts):
        for name, values in _attributes(trees, first, last).items():
            columns.setdefault(name, []).append(values)
        for side in ("true", "false"):
            leafs = columns[f"nodes_{side}leafs"][-1]
            columns[f"nodes_{side}nodeids"][-1] += np.where(leafs, n_leaves, n_nodes)
        columns["tree_roots"][-1] += n_nodes
        columns["leaf_targetids"][-1] += slot * n_outputs
        n_nodes += len(columns["nodes_modes"][-1])
        n_leaves += len(columns["leaf_weights"][-1])
    attributes = {name: np.concatenate(values) for name, values in columns.items()}
    if not len(attributes["membership_values"]):
        del attributes["membership_values"]
    fixed = {"aggregate_function": SUM, "post_transform": 0, "n_targets": len(parts) * n_outputs}
    return graph.add_arrays("TreeEnsemble", "ai.onnx.ml", graph.X, attributes | fixed)


def _attributes(trees: Trees, first: int, last: int) -> dict[str, np.ndarray]:
    """Attributes of ai.onnx.ml.TreeEnsemble (opset 5) for trees first to last."""
    start, stop = trees.node_start[[first, last]]
    leaf_start, leaf_stop = trees.leaf_start[[first, last]]
    roots = trees.node_start[first:last] - start
    # The operator knows no tree that is a leaf alone: such a tree gets a node whose branches both lead there.
    alone = trees.node_start[first + 1 : last + 1] == trees.node_start[first:last]
    roots[alone] = stop - start + np.arange(alone.sum())
    lone_leaf = -1 - trees.leaf_start[first:last][alone]
    none = np.zeros(len(lone_leaf), dtype=np.int64)

    def padded(values: np.ndarray, kind: type = np.int64) -> np.ndarray:
        return np.concatenate([values[start:stop], none]).astype(kind)

    sizes = padded(trees.set_size)
    out = {
        "tree_roots": roots,
        "nodes_modes": np.where(sizes > 0, MEMBER, LEQ).astype(np.uint8),
        "nodes_featureids": padded(trees.feature),
        "nodes_splits": padded(trees.threshold, np.float32),
        "nodes_missing_value_tracks_true": padded(trees.missing_yes),
        "leaf_targetids": np.repeat(
            trees.output[first:last], np.diff(trees.leaf_start[first : last + 1])
        ).astype(np.int64),
        "leaf_weights": trees.leaf[leaf_start:leaf_stop].astype(np.float32),
        "membership_values": _sets(trees, start, sizes),
    }
    for side, children in (("true", trees.yes), ("false", trees.no)):
        child = np.concatenate([children[start:stop], lone_leaf])
        out[f"nodes_{side}leafs"] = (child < 0).astype(np.int64)
        out[f"nodes_{side}nodeids"] = np.where(child < 0, -1 - child - leaf_start, child - start)
    return out


def _sets(trees: Trees, start: int, sizes: np.ndarray) -> np.ndarray:
    """Codes of the sets of some nodes, a NaN after each set."""
    first = int(trees.set_size[:start].sum())
    codes = trees.set_codes[first : first + sizes.sum()].astype(np.float32)
    return np.insert(codes, np.cumsum(sizes)[sizes > 0], np.float32(np.nan))
