"""Writes an ONNX graph, operator by operator.

Only standard operators: any ONNX Runtime of the opsets below or later runs the graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

OPSETS = {"": 20, "ai.onnx.ml": 5}
IR_VERSION = 10

FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64
Value = str | np.ndarray | float


class Graph:
    """Operators in the order they run; equal ones with equal inputs are written once.

    So parts that ask for the same thing (the scaled numbers of a fold, say) share it without knowing of each other.

    Attributes:
        X: Name of the input, encoded rows float32 (n_samples, n_features).
    """

    X = "X"

    def __init__(self, n_features: int) -> None:
        self._inputs = [helper.make_tensor_value_info(self.X, FLOAT, ["n", n_features])]
        self._outputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._known: dict[Any, str] = {}

    def constant(self, value: np.ndarray | float, double: bool = False) -> str:
        """Name of a number or an array kept in the graph; floats become float32, or on request float64."""
        array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        if not np.issubdtype(array.dtype, np.integer):
            array = array.astype(np.float64 if double else np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"c{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def double(self, value: np.ndarray | float) -> str:
        """Name of a float64 constant."""
        return self.constant(value, double=True)

    def ints(self, *values: int) -> str:
        """Name of a list of whole numbers: axes, shapes, indices."""
        return self.constant(np.array(values, dtype=np.int64))

    def add(self, op: str, *inputs: Value, **attributes: Any) -> str:
        """Name of the result of an operator; what is no name among its inputs becomes a constant."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        key = (op, *names, repr(sorted(attributes.items())))
        if key not in self._known:
            self._known[key] = f"v{len(self._nodes)}"
            self._nodes.append(helper.make_node(op, names, [self._known[key]], **attributes))
        return self._known[key]

    def add_arrays(self, op: str, domain: str, source: str, attributes: dict[str, np.ndarray | int]) -> str:
        """Name of the result of an operator of few inputs and long attributes.

        Integers become lists of whole numbers; other arrays become tensors.
        """
        node = NodeProto(op_type=op, domain=domain, input=[source], output=[f"v{len(self._nodes)}"])
        for name, value in attributes.items():
            attribute = AttributeProto(name=name)
            if isinstance(value, int):
                attribute.type, attribute.i = AttributeProto.INT, value
            elif value.dtype == np.int64:
                attribute.type = AttributeProto.INTS
                attribute.ints.extend(value.tolist())
            else:
                attribute.type = AttributeProto.TENSOR
                attribute.t.CopyFrom(numpy_helper.from_array(value))
            node.attribute.append(attribute)
        self._nodes.append(node)
        return node.output[0]

    def output(self, name: str, value: str, shape: list[str | int], kind: int = FLOAT) -> None:
        """Make a value an output of the graph, under a name of its own."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def model(self) -> onnx.ModelProto:
        """The finished graph."""
        graph = helper.make_graph(self._nodes, "ensemble", self._inputs, self._outputs, self._constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tabularay"
        )
