# SPDX-License-Identifier: Apache-2.0
"""Convolutions of an ONNX model, with what only scales and shifts their output folded into their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .onnx_node import Array, GraphError, Node, PartialGraph

_LARGEST_DILATION = 1024


@dataclass
class _Convolution:
    """Weights (cout, cin, kernel, kernel) and bias (cout), both float32."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def scale_and_shift(self, factor: Array, shift: Array) -> None:
        """Makes it compute ``factor * output + shift``, both (cout); worked out in double."""
        wide = factor.astype(np.float64)
        with np.errstate(over="ignore"):
            self.weights = (self.weights * wide[:, None, None, None]).astype(np.float32)
            self.bias = (self.bias * wide + shift).astype(np.float32)


def add_convolution(reader: PartialGraph, node: Node) -> int:
    """Adds a Conv node to the graph, together with the layers behind it that it takes in.

    Returns:
        The number of its output.

    Raises:
        UnsupportedNetworkError: It has strides, groups, other padding than "same", or a kernel other than 1 or 3.
        GraphError: Weights and input do not fit together.
    """
    x = reader.value(node, 0)
    conv = _read(reader, node, reader.graph.shape(x)[0])
    taken_in = _take_in(reader, node.output, conv)
    dilations = _check(node, list(conv.weights.shape[2:]))
    value = reader.graph.conv(x, conv.weights, conv.bias, dilations[0])
    reader.values.update(dict.fromkeys(taken_in, value))
    return value


def _read(reader: PartialGraph, node: Node, channels: int) -> _Convolution:
    weights, bias = reader.constant(node, 1), reader.constant(node, 2)
    node.require(node.get("group", 1) == 1, f"{node.get('group')} groups; expected 1")
    if weights is None or weights.ndim != 4 or weights.shape[1] != channels:
        shape = None if weights is None else weights.shape
        raise GraphError(f"layer {node.name} has weights of shape {shape} for {channels} channels")
    if bias is None:
        bias = np.zeros(len(weights), np.float32)
    if bias.shape != (len(weights),):
        raise GraphError(f"layer {node.name} has a bias of shape {bias.shape}; expected {(len(weights),)}")
    for each in (weights, bias):
        node.require(each.dtype == np.float32, f"weights in {each.dtype}; expected float32")
    return _Convolution(weights, bias)


def _check(node: Node, kernel: list[int]) -> list[int]:
    """Checks the window and returns the dilations, two equal ones."""
    dilations = node.get("dilations", [1, 1])
    node.require(kernel in ([1, 1], [3, 3]), f"a kernel of {kernel}; expected 1x1 or 3x3")
    if node.get("kernel_shape", kernel) != kernel:
        raise GraphError(f"layer {node.name} has weights of {kernel} and says {node.get('kernel_shape')}")
    node.require(node.get("strides", [1, 1]) == [1, 1], f"strides {node.get('strides')}; expected 1")
    fits = len(dilations) == 2 and dilations[0] == dilations[1] and 1 <= dilations[0] <= _LARGEST_DILATION
    node.require(fits, f"dilations {dilations}; expected equal ones, up to {_LARGEST_DILATION}")
    same = [dilation * (side // 2) for dilation, side in zip(dilations, kernel, strict=True)] * 2
    auto_pad = node.get("auto_pad", "NOTSET")
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        pads = node.get("pads", [0] * 4) if auto_pad == "NOTSET" else [0] * 4
        node.require(pads == same, f"padding {pads}; expected {same}")
    return list(dilations)


def _take_in(reader: PartialGraph, name: str, conv: _Convolution) -> list[str]:
    """Folds the layers that only scale and shift the output ``name`` of a convolution.

    Returns:
        Their outputs. The convolution now computes the last one; nothing else reads those before.
    """
    outputs = []
    while (node := reader.only_reader(name)) is not None:
        others = [other for other in node.inputs if other != name]
        if not all(other in reader.constants for other in others):
            break
        if node.kind == "BatchNormalization" and node.input(0) == name:
            conv.scale_and_shift(*_normalisation(reader, node, len(conv.bias)))
        elif node.kind in ("Add", "Mul") and len(others) == 1:
            constant = _per_channel(reader.constant(node, node.inputs.index(others[0])), len(conv.bias))
            if constant is None:
                break
            neutral = np.full_like(constant, node.kind == "Add")
            conv.scale_and_shift(*((neutral, constant) if node.kind == "Add" else (constant, neutral)))
        else:
            break
        name = node.output
        outputs.append(name)
    return outputs


def _normalisation(reader: PartialGraph, node: Node, channels: int) -> tuple[Array, Array]:
    """Factor and shift (cout) of a BatchNormalization, in double."""
    node.require(not node.get("training_mode", 0), "training_mode")
    constants = [reader.constant(node, index) for index in range(1, 5)]
    if any(each is None or each.shape != (channels,) for each in constants):
        raise GraphError(f"layer {node.name} ({node.kind}) does not fit {channels} channels")
    scale, bias, mean, variance = (np.asarray(each, np.float64) for each in constants)
    if not (variance + node.get("epsilon", 1e-5) > 0).all():
        raise GraphError(f"layer {node.name} ({node.kind}) has a variance below zero")
    factor = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    return factor, bias - mean * factor


def _per_channel(constant: Array | None, channels: int) -> Array | None:
    """A float32 constant that is one number or one a channel of (1, C, H, W), as (C,); else None."""
    if constant is None or constant.dtype != np.float32:
        return None
    if constant.size == 1:
        return np.full(channels, constant.ravel()[0])
    return constant.ravel() if constant.shape in ((1, channels, 1, 1), (channels, 1, 1)) else None
