# SPDX-License-Identifier: Apache-2.0
"""ONNX operators as functions of PyTorch tensors: element-wise, matrix, reduction and shape operators; see `OPERATORS`.

Semantics and defaults follow the ONNX operator specification, opset 11 and later. Every operator declares the attribute
values that it supports, so that a graph with others is refused before it runs. `onnx_spatial` adds convolution, pooling
and resizing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from onnx import TensorProto
from torch import Tensor

from ..errors import ModelError

DTYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.INT64: torch.int64,
    TensorProto.INT32: torch.int32,
    TensorProto.UINT8: torch.uint8,
    TensorProto.BOOL: torch.bool,
}
ANY = None
Function = Callable[..., Tensor]


class UnsupportedOperatorError(ModelError):
    """The graph has an operator, an attribute or a dtype that cannot be run in PyTorch."""


@dataclass(frozen=True)
class Node:
    """One node of a graph; names of optional inputs that are absent are empty."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]
    opset: int

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(attribute, default)

    def refuse(self, what: str) -> UnsupportedOperatorError:
        """The error that this node cannot be run."""
        return UnsupportedOperatorError(f"node {self.name!r} ({self.kind}) has {what}, which PyTorch cannot run here")


@dataclass(frozen=True)
class Operator:
    """``run(node, *inputs)`` returns the output; ``attributes`` maps each attribute to its allowed values, or ANY."""

    run: Function
    attributes: dict[str, Any]


OPERATORS: dict[str, Operator] = {}


def operator(*kinds: str, **attributes: Any) -> Callable[[Function], Function]:
    """Registers a function as an operator, with the values that it supports for each attribute."""

    def register(function: Function) -> Function:
        OPERATORS.update(dict.fromkeys(kinds, Operator(function, attributes)))
        return function

    return register


def wide(x: Tensor) -> Tensor:
    """Half precision as float32, in which products are summed; other types unchanged."""
    return x.float() if x.dtype == torch.float16 else x


# --- Arithmetic ---


def _elementwise(kind: str, function: Function) -> None:
    OPERATORS[kind] = Operator(lambda _, *inputs: function(*inputs), {})


_elementwise("Relu", torch.relu)
_elementwise("Sigmoid", torch.sigmoid)
_elementwise("Tanh", torch.tanh)
_elementwise("Identity", lambda x: x)
_elementwise("Add", torch.add)
_elementwise("Sub", torch.sub)
_elementwise("Mul", torch.mul)
_elementwise("Div", lambda a, b: torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc"))
_elementwise("PRelu", lambda x, slope: torch.where(x < 0, x * slope, x))
_elementwise("Max", lambda *values: functools.reduce(torch.maximum, values))
_elementwise("Min", lambda *values: functools.reduce(torch.minimum, values))


@operator("BatchNormalization", epsilon=ANY, momentum=ANY, training_mode=(0,))
def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    x_wide = wide(x)
    scale, bias, mean, variance = (p.to(x_wide.dtype) for p in (scale, bias, mean, variance))
    result = functional.batch_norm(x_wide, mean, variance, scale, bias, eps=node.get("epsilon", 1e-5))
    return result.to(x.dtype)


@operator("LeakyRelu", alpha=ANY)
def _leaky_relu(node: Node, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, node.get("alpha", 0.01))


@operator("Clip")
def _clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return x if low is None and high is None else torch.clamp(x, low, high)


@operator("Softmax", axis=ANY)
def _softmax(node: Node, x: Tensor) -> Tensor:
    if node.opset >= 13:
        return torch.softmax(wide(x), node.get("axis", -1)).to(x.dtype)
    flat = wide(x).flatten(node.get("axis", 1))  # before opset 13: over this axis and all after it
    return torch.softmax(flat, -1).reshape(x.shape).to(x.dtype)


@operator("MatMul")
def _matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return (wide(a) @ wide(b)).to(a.dtype)


@operator("Gemm", alpha=ANY, beta=ANY, transA=ANY, transB=ANY)
def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    left, right = (wide(x).T if node.get(flag, 0) else wide(x) for x, flag in ((a, "transA"), (b, "transB")))
    product = torch.mul(left @ right, node.get("alpha", 1.0))
    return (product if c is None else product + wide(c) * node.get("beta", 1.0)).to(a.dtype)


@operator("ReduceMin", "ReduceMax", axes=ANY, keepdims=ANY, noop_with_empty_axes=ANY)
def _reduce(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    over = _axes(node, axes)
    if not over and node.get("noop_with_empty_axes", 0):
        return x
    reduce = torch.amin if node.kind == "ReduceMin" else torch.amax
    return reduce(x, over or list(range(x.ndim)), keepdim=bool(node.get("keepdims", 1)))


@operator("Cast", to=tuple(DTYPES), saturate=ANY)
def _cast(node: Node, x: Tensor) -> Tensor:
    return x.to(DTYPES[node.get("to")])


# --- Shapes ---


def _axes(node: Node, axes: Tensor | None) -> list[int]:
    """``axes``, an attribute in old opsets and an input in new ones; empty if there are none."""
    return node.get("axes", []) if axes is None else [int(axis) for axis in axes]


def _int64(indices: Iterable[int]) -> Tensor:
    return torch.tensor(list(indices), dtype=torch.int64)


@operator("Constant", value=ANY, value_float=ANY, value_floats=ANY, value_int=ANY, value_ints=ANY)
def _constant(node: Node) -> Tensor:
    ((kind, value),) = node.attributes.items()
    if kind == "value":
        tensor: Tensor = value  # converted when the node was read
        return tensor
    return torch.tensor(value, dtype=torch.int64 if "int" in kind else torch.float32)


@operator("Shape", start=ANY, end=ANY)
def _shape(node: Node, x: Tensor) -> Tensor:
    return _int64(x.shape[node.get("start", 0) : node.get("end")])


@operator("Concat", axis=ANY)
def _concat(node: Node, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, node.get("axis"))


@operator("Gather", axis=ANY)
def _gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    flat = indices.flatten().long()
    picked = x.index_select(axis, torch.where(flat < 0, flat + x.shape[axis], flat))
    return picked.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


@operator("Slice")
def _slice(
    node: Node, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    over = range(len(starts)) if axes is None else axes.tolist()
    strides = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(over, starts.tolist(), ends.tolist(), strides, strict=True):
        x = x.index_select(axis, _int64(range(x.shape[axis])[start:end:step]))
    return x


@operator("Unsqueeze", axes=ANY)
def _unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    added = _axes(node, axes)
    for axis in sorted(axis % (x.ndim + len(added)) for axis in added):
        x = x.unsqueeze(axis)
    return x


@operator("Squeeze", axes=ANY)
def _squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    removed = {axis % x.ndim for axis in _axes(node, axes)} or {a for a, side in enumerate(x.shape) if side == 1}
    if any(x.shape[axis] != 1 for axis in removed):
        raise ValueError(f"axes {sorted(removed)} are not all of length 1")
    return x.reshape([side for axis, side in enumerate(x.shape) if axis not in removed])


@operator("Reshape", allowzero=ANY)
def _reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    sides = shape.tolist()
    if not node.get("allowzero", 0):
        sides = [side or x.shape[axis] for axis, side in enumerate(sides)]  # 0: as it was
    return x.reshape(sides)


@operator("Transpose", perm=ANY)
def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", list(range(x.ndim))[::-1]))
