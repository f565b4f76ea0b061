# SPDX-License-Identifier: Apache-2.0
"""Nodes of an ONNX graph: their attributes, their constants, and arithmetic on constants.

Exporters emit arithmetic that computes target sizes. Sizes are known when a graph is read, so NumPy does it then,
following the ONNX operator specification.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .onnx_file import DOMAINS, OnnxNetwork, type_name
from .request import UnsupportedNetworkError

Array = NDArray[Any]


class GraphError(ValueError):
    """The layers do not fit together, at this input size or at all."""


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        name: Its name, or that of its first output.
        kind: Operator, such as "Conv"; prefixed with its domain if that is not ONNX's own.
        inputs: Names of values; empty for an optional input that is missing.
        outputs: Names of values.
        attributes: Numbers, strings, lists of them, or ``onnx.TensorProto``.
        opset: Version of the operators.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    opset: int

    @property
    def output(self) -> str:
        """Name of the first output."""
        return self.outputs[0]

    def input(self, index: int) -> str:
        """Name of an input; empty if it is missing."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(attribute, default)

    def refuse(self, what: str) -> UnsupportedNetworkError:
        """The error for a layer that our network does not have."""
        return UnsupportedNetworkError(f"layer {self.name} ({self.kind}) has {what}")

    def require(self, holds: bool, what: str) -> None:
        """Raises the error of ``refuse`` unless the condition holds."""
        if not holds:
            raise self.refuse(what)


# Types of the attributes we read: 1 FLOAT, 2 INT, 3 STRING, 4 TENSOR, 6 FLOATS, 7 INTS in AttributeProto.
_TYPES = {
    **dict.fromkeys(("epsilon", "value_float"), 1),
    **dict.fromkeys(("allowzero", "antialias", "axis", "ceil_mode", "end", "exclude_outside"), 2),
    **dict.fromkeys(("group", "start", "to", "training_mode", "value_int"), 2),
    **dict.fromkeys(("auto_pad", "coordinate_transformation_mode", "keep_aspect_ratio_policy", "mode"), 3),
    **dict.fromkeys(("value",), 4),
    **dict.fromkeys(("value_floats",), 6),
    **dict.fromkeys(("axes", "dilations", "ends", "kernel_shape", "pads", "starts", "strides", "value_ints"), 7),
}


def read_node(proto: Any, opset: int) -> Node:
    """Reads an ``onnx.NodeProto``. Raises GraphError when it is damaged."""
    from onnx import helper

    if not proto.output:
        raise GraphError(f"layer {proto.name} ({proto.op_type}) has no output")
    attributes = {}
    for attribute in proto.attribute:
        try:
            value = helper.get_attribute_value(attribute)
        except ValueError as error:
            raise GraphError(f"layer {proto.name} ({proto.op_type}): {error}") from error
        if attribute.type != _TYPES.get(attribute.name, attribute.type):
            raise GraphError(
                f"layer {proto.name} ({proto.op_type}) has an attribute {attribute.name} of the wrong type"
            )
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        attributes[str(attribute.name)] = list(value) if attribute.type in (6, 7) else value
    kind = proto.op_type if proto.domain in DOMAINS else f"{proto.domain}.{proto.op_type}"
    outputs = tuple(proto.output)
    return Node(proto.name or outputs[0], kind, tuple(proto.input), outputs, attributes, opset)


def to_array(constant: Any) -> Array:
    """The array of an ``onnx.TensorProto``; arrays are returned unchanged.

    Raises:
        UnsupportedNetworkError: Our network does not have its type.
        GraphError: Its data do not fit its shape.
    """
    from onnx import TensorProto, numpy_helper

    if isinstance(constant, np.ndarray):
        return constant
    known = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL)
    if constant.data_type not in known:
        raise UnsupportedNetworkError(f"constant {constant.name} is {type_name(constant.data_type)}; expected float32")
    try:
        return np.asarray(numpy_helper.to_array(constant))
    except Exception as error:  # NumPy's and onnx's, of several kinds
        raise GraphError(f"constant {constant.name} is damaged: {error}") from error


class PartialGraph:
    """Our graph while it is built from an ONNX model.

    Attributes:
        graph: Our graph so far.
        values: Number in ``graph`` of every ONNX value that depends on the image.
        constants: All other values, as arrays or (weights) as ``onnx.TensorProto``.
        batch: Batch size that the model declares; we run single images anyway.
    """

    def __init__(self, graph: _core.CpuGraph, network: OnnxNetwork, nodes: Sequence[Node]) -> None:
        self.graph = graph
        self.batch = network.batch
        self.values: dict[str, int] = {network.input: 0}
        self.constants: dict[str, Any] = {tensor.name: tensor for tensor in network.model.graph.initializer}
        self._readers = Counter([network.output, *(name for node in nodes for name in node.inputs)])
        self._last_reader = {name: node for node in nodes for name in node.inputs}

    def value(self, node: Node, index: int) -> int:
        """The number in our graph of an input that must depend on the image."""
        name = node.input(index)
        if not name:
            raise GraphError(f"layer {node.name} ({node.kind}) lacks input {index}")
        if name not in self.values:
            raise node.refuse(f"a constant as input {index}")
        return self.values[name]

    def constant(self, node: Node, index: int) -> Array | None:
        """An input that must be a constant, or None if it is missing."""
        name = node.input(index)
        if name in self.values:
            raise node.refuse(f"an input {index} that is not a constant")
        return to_array(self.constants[name]) if name else None

    def only_reader(self, value: str) -> Node | None:
        """The one node that reads a value; None if there are several, or the value is the first output."""
        return self._last_reader.get(value) if self._readers[value] == 1 else None


# ---- arithmetic on constants

_MOST_VALUES = 1024  # sizes are a few numbers; a file with more may be malicious
# Numbers of TensorProto.DataType.
_DTYPES: dict[int, type[np.generic]] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


def constant_value(node: Node) -> Any:
    """The value of a Constant node: an ``onnx.TensorProto`` or an array."""
    kinds = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    kind, value = next(iter(node.attributes.items()), ("nothing", None))
    if kind == "value":
        return value
    node.require(kind in kinds, f"the attribute {kind}")
    return np.array(value, kinds[kind])


def evaluate(node: Node, inputs: list[Array | None]) -> Array:
    """The output of a node whose inputs are all constants.

    Args:
        node: Its kind is one of ``CONSTANT_OPERATORS``.
        inputs: None for those that are missing.

    Raises:
        UnsupportedNetworkError: It has too many values to be arithmetic on sizes, or an unknown attribute value.
        GraphError: It does not work with these inputs.
    """
    if node.kind != "Identity":
        node.require(all(x is None or x.size <= _MOST_VALUES for x in inputs), "arithmetic on weights")
    try:
        with np.errstate(all="ignore"):
            return np.asarray(CONSTANT_OPERATORS[node.kind](node, *inputs))
    except (ValueError, IndexError, TypeError, OverflowError, AttributeError) as error:
        raise GraphError(f"layer {node.name} ({node.kind}) does not work with its inputs: {error}") from error


def _axes(node: Node, given: Array | None) -> list[int]:
    """``axes``, an attribute in old opsets and an input in new ones; empty if missing."""
    return list(node.get("axes", [])) if given is None else [int(axis) for axis in given.ravel()]


def _cast(node: Node, x: Array) -> Array:
    kind = _DTYPES.get(node.get("to", 0))
    if kind is None:
        raise node.refuse(f"a conversion to type {node.get('to')}")
    return x.astype(kind)


def _divide(_: Node, a: Array, b: Array) -> Array:
    if np.issubdtype(a.dtype, np.floating):
        return np.asarray(a / b, a.dtype)
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), a.dtype)  # towards zero


def _slice(
    node: Node,
    x: Array,
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    first = node.get("starts") if starts is None else starts.tolist()
    last = node.get("ends") if ends is None else ends.tolist()
    over = _axes(node, axes) or list(range(len(first)))
    strides = [1] * len(first) if steps is None else steps.tolist()
    where = [slice(None)] * x.ndim
    for axis, start, end, step in zip(over, first, last, strides, strict=True):
        end = None if step < 0 and end < -x.shape[axis] else end  # before the first element, not relative to the end
        where[axis] = slice(start, end, step)
    return x[tuple(where)]


def _reshape(node: Node, x: Array, shape: Array) -> Array:
    sides = [int(side) for side in shape]
    if not node.get("allowzero", 0):
        sides = [side or x.shape[axis] for axis, side in enumerate(sides)]  # 0 keeps a side
    return x.reshape(sides)


CONSTANT_OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": lambda _, a, b: np.add(a, b, dtype=a.dtype),
    "Cast": _cast,
    "Ceil": lambda _, x: np.ceil(x),
    "Concat": lambda node, *values: np.concatenate(values, axis=node.get("axis")),
    "Div": _divide,
    "Floor": lambda _, x: np.floor(x),
    "Gather": lambda node, x, indices: np.take(x, indices, axis=node.get("axis", 0)),
    "Identity": lambda _, x: x,
    "Mul": lambda _, a, b: np.multiply(a, b, dtype=a.dtype),
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": lambda node, x, axes=None: np.squeeze(x, tuple(_axes(node, axes)) or None),
    "Sub": lambda _, a, b: np.subtract(a, b, dtype=a.dtype),
    "Unsqueeze": lambda node, x, axes=None: np.expand_dims(x, tuple(_axes(node, axes))),
}
