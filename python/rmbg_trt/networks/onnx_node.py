# SPDX-License-Identifier: Apache-2.0
"""One node of an ONNX graph, its attributes read, and the NumPy array of a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import UnsupportedNetworkError
from .onnx_file import type_name

Array = NDArray[Any]


class GraphError(ValueError):
    """The layers do not fit together, at this input size or at all."""


@dataclass(frozen=True)
class Node:
    """A node; names of inputs that are left out are empty.

    Attributes:
        name: Its own, or the name of what it computes.
        kind: Operator, as "Conv"; of another domain than ONNX's own, with that domain before it.
        inputs: Names of values.
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
        """Name of an input; empty where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(attribute, default)

    def refuse(self, what: str) -> UnsupportedNetworkError:
        """The error that our network does not have such a layer."""
        return UnsupportedNetworkError(f"layer {self.name} ({self.kind}) has {what}")

    def require(self, holds: bool, what: str) -> None:
        """Raises what ``refuse`` returns unless the condition holds."""
        if not holds:
            raise self.refuse(what)


# Types of the attributes that we read: 1 FLOAT, 2 INT, 3 STRING, 4 TENSOR, 6 FLOATS, 7 INTS in AttributeProto.
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
    for each in proto.attribute:
        try:
            value = helper.get_attribute_value(each)
        except ValueError as error:
            raise GraphError(f"layer {proto.name} ({proto.op_type}): {error}") from error
        if each.type != _TYPES.get(each.name, each.type):
            raise GraphError(f"layer {proto.name} ({proto.op_type}) has an attribute {each.name} of the wrong type")
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        attributes[str(each.name)] = list(value) if each.type in (6, 7) else value
    kind = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
    outputs = tuple(proto.output)
    return Node(proto.name or outputs[0], kind, tuple(proto.input), outputs, attributes, opset)


def to_array(constant: Any) -> Array:
    """The array of an ``onnx.TensorProto``; an array is returned as it is.

    Raises:
        UnsupportedNetworkError: Its type is none that our network or arithmetic on sizes has.
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
