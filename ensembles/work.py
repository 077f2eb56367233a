"""What an answer to one row costs, reckoned from the models and not from a clock: the same on every machine.

The coefficients were fitted to single rows through the graphs of trials of all families on four tables, one thread of
a server core of 2023; see benchmarks/reckoning.py, which compares them with what the machine at hand takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import onnx
from onnx import shape_inference

from models.base import Model, Task
from models.boosting import TargetScale
from models.forest import PART_NODES, Trees
from models.graph import Graph

# Microseconds: of any answer, and of one operator, number, or node that a row passes in a tree.
BASE_US = 20.0
OPERATOR_US = 0.5
WEIGHT_US = 8e-5
PRODUCT_US = 3e-5
CHEAP_US = 3e-4
DEAR_US = 1e-3
STEP_US = 0.014
# Forests of so many nodes and leaves outgrow the cache; a row then waits for memory at each node.
FAR_STEP_US = 0.05
FAR_NODES = 1_200_000

FREE = frozenset({"Reshape", "Unsqueeze", "Squeeze", "Identity"})
DEAR = frozenset(
    {"Exp", "Log", "Erf", "Sigmoid", "Tanh", "Cos", "Sqrt", "Div", "Softmax", "Selu", "Reciprocal"}
)


@dataclass(frozen=True)
class Work:
    """What one row meets in a graph.

    Attributes:
        operators: Operators that reckon.
        weights: Numbers of matrices that are read.
        products: Multiplications by them.
        cheap: Other numbers that are made: sums, copies.
        dear: Exponentials, cosines, quotients and the like.
        steps: Nodes that a row passes in trees, as if these were balanced.
        nodes: All nodes and leaves of the trees.
    """

    operators: int = 0
    weights: int = 0
    products: int = 0
    cheap: int = 0
    dear: int = 0
    steps: float = 0.0
    nodes: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def times(self, n_models: int) -> Work:
        """The work of so many such models of one trial: networks share their operators."""
        return Work(self.operators, *(n_models * value for value in astuple(self)[1:]))

    @property
    def row_ms(self) -> float:
        """Milliseconds that one row is reckoned to take, on one thread."""
        step_us = STEP_US + FAR_STEP_US * min(1.0, self.nodes / FAR_NODES)
        parts = (
            BASE_US,
            OPERATOR_US * self.operators,
            WEIGHT_US * self.weights,
            PRODUCT_US * self.products,
            CHEAP_US * self.cheap,
            DEAR_US * self.dear,
            step_us * self.steps,
        )
        return sum(parts) / 1000


def total(works: Iterable[Work]) -> Work:
    """The work of a graph that is made of all of them."""
    return sum(works, Work())


def work_of(models: Sequence[Model], task: Task, units: TargetScale) -> Work:
    """The work of the models of one member, each with its part of the draws.

    Raises: TrainingError: a model holds what no graph can say.
    """
    graph = Graph(len(task.cardinalities))
    exported = type(models[0]).export(models, graph, units)
    return total([_of_network(graph.model()), *map(_of_trees, exported.trees)])


def _of_trees(trees: Trees) -> Work:
    leaves = np.diff(trees.leaf_start)
    operators = -(-trees.n_nodes // PART_NODES)
    return Work(operators=operators, steps=float(np.log2(np.maximum(leaves, 1)).sum()), nodes=trees.n_nodes)


def _of_network(model: onnx.ModelProto) -> Work:
    """What the operators make of one row, by the shapes of their results."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.value_info}
    shapes |= {c.name: list(c.dims) for c in inferred.initializer}
    return total(_of_operator(node, shapes) for node in inferred.node if node.op_type not in FREE)


def _of_operator(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> Work:
    n_made = int(np.prod(shapes.get(node.output[0], [0])))
    if node.op_type == "MatMul":
        matrix = shapes.get(node.input[1], [0, 0])
        return Work(operators=1, weights=int(np.prod(matrix)), products=n_made * matrix[-2])
    if node.op_type in DEAR:
        return Work(operators=1, dear=n_made)
    return Work(operators=1, cheap=n_made)
