# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on constants of an ONNX graph: how exporters compute the size that a value is resized to.

Sizes are known when a graph is read, so all of it is done then, with NumPy. Meaning follows the ONNX operator
specification.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .onnx_node import Array, GraphError, Node

_MOST_VALUES = 1024  # sizes are a few numbers; a file that wants more is up to no good
# Numbers of TensorProto.DataType.
_DTYPES: dict[int, type[np.generic]] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


def constant(node: Node) -> Any:
    """What a Constant node holds: an ``onnx.TensorProto`` or an array."""
    kinds = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    kind, value = next(iter(node.attributes.items()), ("nothing", None))
    if kind == "value":
        return value
    node.require(kind in kinds, f"the attribute {kind}")
    return np.array(value, kinds[kind])


def evaluate(node: Node, inputs: list[Array | None]) -> Array:
    """The output of a node all of whose inputs are constants.

    Args:
        node: Its kind is one of ``OPERATORS``.
        inputs: None for those that are left out.

    Raises:
        UnsupportedNetworkError: It is of more values than sizes are, or has an attribute of an unknown value.
        GraphError: It does not work with these inputs.
    """
    if node.kind != "Identity":
        node.require(all(x is None or x.size <= _MOST_VALUES for x in inputs), "arithmetic on weights")
    try:
        with np.errstate(all="ignore"):
            return np.asarray(OPERATORS[node.kind](node, *inputs))
    except (ValueError, IndexError, TypeError, OverflowError, AttributeError) as error:
        raise GraphError(f"layer {node.name} ({node.kind}) does not work with its inputs: {error}") from error


def _axes(node: Node, given: Array | None) -> list[int]:
    """``axes``, an attribute in old opsets and an input in new ones; empty where there are none."""
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
        end = None if step < 0 and end < -x.shape[axis] else end  # before the first, not "from the end"
        where[axis] = slice(start, end, step)
    return x[tuple(where)]


def _reshape(node: Node, x: Array, shape: Array) -> Array:
    sides = [int(side) for side in shape]
    if not node.get("allowzero", 0):
        sides = [side or x.shape[axis] for axis, side in enumerate(sides)]  # 0: as it was
    return x.reshape(sides)


OPERATORS: dict[str, Callable[..., Any]] = {
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
