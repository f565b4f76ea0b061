# SPDX-License-Identifier: Apache-2.0
"""From an fp32 ONNX graph to one that computes in half precision, as TensorRT 11 wants it (it has no FP16 flag).

A node computes in half unless it is named to stay in float32 or belongs to the tail; casts stand only where the two
meet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from ..errors import ModelError
from .sensitivity import WEIGHTED

_BODY = (*WEIGHTED, "Resize", "Concat")
_FLOAT32_INPUTS = {"Resize": (1, 2)}  # roi and scales have no half type


def to_fp16(model: Any, keep: Collection[str] = ()) -> Any:
    """Converts weights and arithmetic to half precision.

    Input and output stay float32, and so does what follows the last convolution: the sigmoid, which near 1 would
    lose half of its 8-bit steps' accuracy, and a stretch that a graph may hold.

    Args:
        model: ``onnx.ModelProto`` in fp32 with names for all nodes; it is not changed.
        keep: Names of nodes that stay in float32, such as those that ``fit_for_half`` gives.

    Returns:
        The converted model; for U²-Net with two casts, and more only around the nodes kept.

    Raises:
        ModelError: The graph has subgraphs (If, Loop).
    """
    import onnx
    from onnx import TensorProto

    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        raise ModelError("graphs with branches or loops cannot be converted to half precision; use --precision fp32")
    _constants_to_initializers(graph)
    single = {*tail(graph), *keep}
    conversion = _Conversion(graph, _float_values(result))
    for node in list(graph.node):
        conversion.add(node, TensorProto.FLOAT if node.name in single else TensorProto.FLOAT16)
    conversion.finish()
    onnx.checker.check_model(result, full_check=True)
    return result


def tail(graph: Any) -> list[str]:
    """Names of the nodes after which no weights and no resizing follow, such as the last sigmoid."""
    readers = _readers(graph)
    found: set[str] = set()
    for node in reversed(graph.node):
        following = [reader for name in node.output for reader in readers.get(name, [])]
        if node.op_type not in _BODY and all(reader.name in found for reader in following):
            found.add(node.name)
    return [node.name for node in graph.node if node.name in found]


class _Conversion:
    """Writes a graph's nodes anew, with the casts and constants that each one's precision asks for."""

    def __init__(self, graph: Any, values: set[str]) -> None:
        from onnx import TensorProto

        self.graph = graph
        self.floats = values  # names of float32 values, constants among them
        self.constants = {each.name: each for each in graph.initializer}
        self.precision: dict[str, int] = {each.name: TensorProto.FLOAT for each in graph.input}
        self.nodes: list[Any] = []
        self.used: dict[str, Any] = {}  # constants, by their new names
        self.casts: dict[tuple[str, int], str] = {}

    def add(self, node: Any, precision: int) -> None:
        from onnx import TensorProto

        apart = _FLOAT32_INPUTS.get(node.op_type, ())
        for index, name in enumerate(node.input):
            if name in self.floats:
                node.input[index] = self._value(name, TensorProto.FLOAT if index in apart else precision)
            elif name in self.constants:
                self.used[name] = self.constants[name]
        if node.op_type == "Cast" and precision == TensorProto.FLOAT16:
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                    attribute.i = TensorProto.FLOAT16
        self.precision.update((name, precision) for name in node.output if name in self.floats)
        self.nodes.append(node)

    def finish(self) -> None:
        from onnx import TensorProto

        for output in self.graph.output:
            if self.precision.get(output.name) == TensorProto.FLOAT16:
                inner = f"{output.name}.half"
                for node in self.nodes:
                    node.input[:] = [inner if name == output.name else name for name in node.input]
                    node.output[:] = [inner if name == output.name else name for name in node.output]
                self.nodes.append(_cast(inner, output.name, TensorProto.FLOAT))
        for name in [name for name in self.constants if f"{name}.half" in self.used and name not in self.used]:
            self.used[f"{name}.half"].name = name  # no other version is needed: it keeps its name
            for node in self.nodes:
                node.input[:] = [name if each == f"{name}.half" else each for each in node.input]
        del self.graph.node[:], self.graph.initializer[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(self.used.values())

    def _value(self, name: str, precision: int) -> str:
        """The name under which a value is to be had in this precision."""
        from onnx import TensorProto

        if name in self.constants:
            return self._constant(name, precision)
        if self.precision[name] == precision:
            return name
        if (name, precision) not in self.casts:
            target = f"{name}.{'half' if precision == TensorProto.FLOAT16 else 'single'}"
            self.casts[name, precision] = target
            self.precision[target] = precision
            self.nodes.append(_cast(name, target, precision))
        return self.casts[name, precision]

    def _constant(self, name: str, precision: int) -> str:
        from onnx import TensorProto, numpy_helper

        if precision == TensorProto.FLOAT:
            self.used[name] = self.constants[name]
            return name
        target = f"{name}.half"
        if target not in self.used:
            with np.errstate(over="ignore"):  # what does not fit becomes Inf, and the verification says where
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
    from onnx import TensorProto, shape_inference

    graph = shape_inference.infer_shapes(model).graph
    values: Iterable[Any] = (*graph.input, *graph.value_info, *graph.output)
    names = {each.name for each in values if each.type.tensor_type.elem_type == TensorProto.FLOAT}
    return names | {each.name for each in graph.initializer if each.data_type == TensorProto.FLOAT}


def _readers(graph: Any) -> dict[str, list[Any]]:
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers
