# SPDX-License-Identifier: Apache-2.0
"""Converts an fp32 ONNX graph to half precision, which TensorRT 11 needs because it has no FP16 flag.

A node computes in half unless it has to stay in float32 or belongs to the tail; casts stand only where the two meet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from ..errors import ModelError
from .centre import WEIGHTED

_BODY = (*WEIGHTED, "Resize", "Concat")
_FLOAT32_INPUTS = {"Resize": (1, 2)}  # roi and scales have no half type
SINGLE, HALF = 1, 10  # onnx.TensorProto.FLOAT and FLOAT16


def to_fp16(model: Any, keep: Collection[str] = ()) -> Any:
    """Converts weights and arithmetic to half precision.

    Input and output stay float32. So does everything after the last convolution: the sigmoid, which near 1 would lose
    half of its 8-bit steps, and a stretch if the graph has one.

    Args:
        model: ``onnx.ModelProto`` in fp32 with names for all nodes; it is not changed.
        keep: Names of nodes that stay in float32, such as those from ``fit_for_half``.

    Returns:
        The converted model. U²-Net gets two casts, and more only around the nodes in ``keep``.

    Raises:
        ModelError: The graph has subgraphs (If, Loop).
    """
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        raise ModelError("graphs with branches or loops cannot be converted to half precision; use --precision fp32")
    _constants_to_initializers(graph)
    in_float32 = {*tail(graph), *keep}
    conversion = _Conversion(graph, _float_values(result))
    for node in list(graph.node):
        conversion.add(node, SINGLE if node.name in in_float32 else HALF)
    conversion.finish()
    onnx.checker.check_model(result, full_check=True)
    return result


def tail(graph: Any) -> list[str]:
    """Names of the nodes that are not followed by weights or resizing, such as the last sigmoid."""
    readers: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.name)
    names: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type not in _BODY and names.issuperset(r for name in node.output for r in readers.get(name, [])):
            names.add(node.name)
    return [node.name for node in graph.node if node.name in names]


class _Conversion:
    """Rewrites a graph's nodes, with the casts and constants that the precision of each one needs."""

    def __init__(self, graph: Any, values: set[str]) -> None:
        self.graph = graph
        self.floats = values  # names of float32 values, including constants
        self.constants = {constant.name: constant for constant in graph.initializer}
        self.precision: dict[str, int] = {value.name: SINGLE for value in graph.input}
        self.nodes: list[Any] = []
        self.used: dict[str, Any] = {}  # constants, by their new names
        self.casts: dict[tuple[str, int], str] = {}

    def add(self, node: Any, precision: int) -> None:
        always_float32 = _FLOAT32_INPUTS.get(node.op_type, ())
        for index, name in enumerate(node.input):
            if name in self.floats:
                node.input[index] = self._value(name, SINGLE if index in always_float32 else precision)
            elif name in self.constants:
                self.used[name] = self.constants[name]
        if node.op_type == "Cast" and precision == HALF:
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == SINGLE:
                    attribute.i = HALF
        self.precision.update((name, precision) for name in node.output if name in self.floats)
        self.nodes.append(node)

    def finish(self) -> None:
        for output in self.graph.output:
            if self.precision.get(output.name) == HALF:
                inner = f"{output.name}.half"
                for node in self.nodes:
                    node.input[:] = [inner if name == output.name else name for name in node.input]
                    node.output[:] = [inner if name == output.name else name for name in node.output]
                self.nodes.append(_cast(inner, output.name, SINGLE))
        for name in [name for name in self.constants if f"{name}.half" in self.used and name not in self.used]:
            self.used[f"{name}.half"].name = name  # the only version keeps the name
            for node in self.nodes:
                node.input[:] = [name if value == f"{name}.half" else value for value in node.input]
        del self.graph.node[:], self.graph.initializer[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(self.used.values())

    def _value(self, name: str, precision: int) -> str:
        """The name of a value in this precision; adds a cast if it needs one."""
        if name in self.constants:
            return self._constant(name, precision)
        if self.precision[name] == precision:
            return name
        if (name, precision) not in self.casts:
            target = f"{name}.{'half' if precision == HALF else 'single'}"
            self.casts[name, precision] = target
            self.precision[target] = precision
            self.nodes.append(_cast(name, target, precision))
        return self.casts[name, precision]

    def _constant(self, name: str, precision: int) -> str:
        from onnx import numpy_helper

        if precision == SINGLE:
            self.used[name] = self.constants[name]
            return name
        target = f"{name}.half"
        if target not in self.used:
            with np.errstate(over="ignore"):  # what overflows becomes Inf, and the verification names the layer
                half = numpy_helper.to_array(self.constants[name]).astype(np.float16)
            self.used[target] = numpy_helper.from_array(half, target)
        return target


def _cast(source: str, target: str, precision: int) -> Any:
    from onnx import helper

    return helper.make_node("Cast", [source], [target], name=f"{target}.cast", to=precision)


def _constants_to_initializers(graph: Any) -> None:
    constants = [node for node in graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]
    for node in constants:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)


def _float_values(model: Any) -> set[str]:
    """Names of all values and constants that are float32."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    values: Iterable[Any] = (*graph.input, *graph.value_info, *graph.output)
    names = {value.name for value in values if value.type.tensor_type.elem_type == SINGLE}
    return names | {constant.name for constant in graph.initializer if constant.data_type == SINGLE}
