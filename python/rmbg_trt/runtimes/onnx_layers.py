# SPDX-License-Identifier: Apache-2.0
"""Checks the layers of an ONNX model and adds them to the graph of our CPU network.

Each layer lists the attributes it understands and refuses any other, so nothing is silently ignored. Layers that only
scale and shift the output of a convolution are folded into its weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .onnx_node import Array, GraphError, Node, PartialGraph

COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners")
_LARGEST_SIDE = 1 << 20
_LARGEST_DILATION = 1024
_FLOAT = 1  # TensorProto.FLOAT


def add_layer(reader: PartialGraph, node: Node) -> int:
    """Adds the layer of a node to the graph and returns the number of its output.

    Raises:
        UnsupportedNetworkError: Our network does not have such a layer.
        GraphError: It does not fit its inputs.
    """
    function, attributes = LAYERS[node.kind]
    unknown = sorted(node.attributes.keys() - set(attributes))
    node.require(not unknown, f"the attribute {', '.join(unknown)}")
    return function(reader, node)


@dataclass
class _Convolution:
    """Weights (cout, cin, kernel, kernel) and bias (cout), both float32."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def scale_and_shift(self, factor: Array, shift: Array) -> None:
        """Makes it compute ``factor * output + shift``, both (cout); the products are in double."""
        wide = factor.astype(np.float64)
        with np.errstate(over="ignore"):
            self.weights = (self.weights * wide[:, None, None, None]).astype(np.float32)
            self.bias = (self.bias * wide + shift).astype(np.float32)


def _convolution(reader: PartialGraph, node: Node) -> int:
    """Adds a Conv node, with the layers after it that can be folded into its weights."""
    x = reader.value(node, 0)
    conv = _read_convolution(reader, node, reader.graph.shape(x)[0])
    folded = _fold(reader, node.output, conv)
    dilations = _check_window(node, list(conv.weights.shape[2:]))
    value = reader.graph.conv(x, conv.weights, conv.bias, dilations[0])
    reader.values.update(dict.fromkeys(folded, value))
    return value


def _read_convolution(reader: PartialGraph, node: Node, channels: int) -> _Convolution:
    weights, bias = reader.constant(node, 1), reader.constant(node, 2)
    node.require(node.get("group", 1) == 1, f"{node.get('group')} groups; expected 1")
    if weights is None or weights.ndim != 4 or weights.shape[1] != channels:
        shape = None if weights is None else weights.shape
        raise GraphError(f"layer {node.name} has weights of shape {shape} for {channels} channels")
    if bias is None:
        bias = np.zeros(len(weights), np.float32)
    if bias.shape != (len(weights),):
        raise GraphError(f"layer {node.name} has a bias of shape {bias.shape}; expected {(len(weights),)}")
    for array in (weights, bias):
        node.require(array.dtype == np.float32, f"weights in {array.dtype}; expected float32")
    return _Convolution(weights, bias)


def _check_window(node: Node, kernel: list[int]) -> list[int]:
    """Checks the window and returns the two dilations, which are equal."""
    dilations = node.get("dilations", [1, 1])
    node.require(kernel in ([1, 1], [3, 3]), f"a kernel of {kernel}; expected 1x1 or 3x3")
    if node.get("kernel_shape", kernel) != kernel:
        raise GraphError(f"layer {node.name} has weights of {kernel} and declares {node.get('kernel_shape')}")
    node.require(node.get("strides", [1, 1]) == [1, 1], f"strides {node.get('strides')}; expected 1")
    fits = len(dilations) == 2 and dilations[0] == dilations[1] and 1 <= dilations[0] <= _LARGEST_DILATION
    node.require(fits, f"dilations {dilations}; expected equal ones, up to {_LARGEST_DILATION}")
    same = [dilation * (side // 2) for dilation, side in zip(dilations, kernel, strict=True)] * 2
    auto_pad = node.get("auto_pad", "NOTSET")
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        pads = node.get("pads", [0] * 4) if auto_pad == "NOTSET" else [0] * 4
        node.require(pads == same, f"padding {pads}; expected {same}")
    return list(dilations)


def _fold(reader: PartialGraph, name: str, conv: _Convolution) -> list[str]:
    """Folds the layers that only scale and shift the output ``name`` of a convolution.

    Returns:
        Their outputs. The convolution now computes the last one; no other layer reads the others.
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
    if any(array is None or array.shape != (channels,) for array in constants):
        raise GraphError(f"layer {node.name} ({node.kind}) does not fit {channels} channels")
    scale, bias, mean, variance = (np.asarray(array, np.float64) for array in constants)
    if not (variance + node.get("epsilon", 1e-5) > 0).all():
        raise GraphError(f"layer {node.name} ({node.kind}) has a variance below zero")
    factor = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    return factor, bias - mean * factor


def _per_channel(constant: Array | None, channels: int) -> Array | None:
    """A float32 constant with one number, or one for each channel of (1, C, H, W), as (C,); otherwise None."""
    if constant is None or constant.dtype != np.float32:
        return None
    if constant.size == 1:
        return np.full(channels, constant.ravel()[0])
    return constant.ravel() if constant.shape in ((1, channels, 1, 1), (channels, 1, 1)) else None


def _add(reader: PartialGraph, node: Node) -> int:
    a, b = reader.value(node, 0), reader.value(node, 1)
    shapes = reader.graph.shape(a), reader.graph.shape(b)
    if any(one != other and 1 not in (one, other) for one, other in zip(*shapes, strict=True)):
        raise GraphError(f"layer {node.name} adds values of shape {shapes[0]} and {shapes[1]}")
    node.require(shapes[0] == shapes[1], f"terms of shape {shapes[0]} and {shapes[1]}; expected equal ones")
    return reader.graph.add(a, b)


def _max_pool(reader: PartialGraph, node: Node) -> int:
    x = reader.value(node, 0)
    _, height, width = reader.graph.shape(x)
    even = height % 2 == width % 2 == 0
    same = node.get("auto_pad", "NOTSET") == "SAME_UPPER"
    fits = (
        node.get("kernel_shape") == [2, 2]
        and node.get("strides") == [2, 2]
        and node.get("dilations", [1, 1]) == [1, 1]
        and (same or not any(node.get("pads", [])))
        and (even or same or node.get("ceil_mode", 0) == 1)
    )
    node.require(fits, "another window than 2x2 with stride 2, rounding up")
    return reader.graph.max_pool(x)


def _concat(reader: PartialGraph, node: Node) -> int:
    node.require(node.get("axis") in (1, -3), f"axis {node.get('axis')}; expected channels (1)")
    values = [reader.value(node, index) for index in range(len(node.inputs))]
    shapes = [reader.graph.shape(value) for value in values]
    if len({shape[1:] for shape in shapes}) > 1:
        raise GraphError(f"layer {node.name} joins values of shape {', '.join(map(str, shapes))}")
    return reader.graph.concat(values)


def _resize(reader: PartialGraph, node: Node) -> int:
    x = reader.value(node, 0)
    source = reader.graph.shape(x)
    coordinates = node.get("coordinate_transformation_mode", "half_pixel")
    if node.kind == "Upsample" or node.opset < 11:
        coordinates = "asymmetric"
    mode = node.get("mode", "nearest")
    node.require(mode == "linear", f"mode {mode}; expected linear")
    node.require(coordinates in COORDINATES, f"coordinates {coordinates}; expected {', '.join(COORDINATES)}")
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    node.require(policy == "stretch", f"keep_aspect_ratio_policy {policy}; expected stretch")
    node.require(not node.get("exclude_outside", 0), "exclude_outside")
    target = _resize_target(reader, node, [1, *source])
    kept = target[0] in (1, reader.batch) and target[1] == source[0]
    node.require(kept, f"a target of {target} for {[1, *source]}: resized channels or batch")
    height, width = target[2:]
    shrinks = height < source[1] or width < source[2]
    node.require(not (node.get("antialias", 0) and shrinks), "an antialiasing filter")
    if min(height, width) < 1:
        raise GraphError(f"layer {node.name} resizes {list(source[1:])} to {[height, width]}")
    node.require(max(height, width) <= _LARGEST_SIDE, f"a target of {height}x{width}")
    return reader.graph.resize(x, height, width, coordinates)


def _resize_target(reader: PartialGraph, node: Node, source: list[int]) -> list[int]:
    """The shape (1, C, H, W) that a value is resized to."""
    scales, sizes = reader.constant(node, 2), reader.constant(node, 3)
    given = sizes if sizes is not None and sizes.size else scales
    if given is None or not given.size:
        raise GraphError(f"layer {node.name} has neither scales nor sizes")
    axes = [axis % 4 for axis in node.get("axes", range(4))]
    if given.shape != (len(axes),) or np.issubdtype(given.dtype, np.integer) != (given is sizes):
        raise GraphError(f"layer {node.name} resizes {len(axes)} axes with {given.size} numbers")
    target = list(source)
    for axis, number in zip(axes, given.tolist(), strict=True):
        if given is sizes:
            target[axis] = int(number)
            continue
        node.require(0 < number <= _LARGEST_SIDE, f"a scale of {number}")
        # With scales, coordinates depend on them and not on the ratio of sizes. Runtimes compute this in float32.
        length = float(np.float32(source[axis]) * np.float32(number))
        node.require(
            length.is_integer(), f"a scale of {number}: {source[axis]} becomes {length:g}; expected an integer"
        )
        target[axis] = int(length)
    return target


def _cast(reader: PartialGraph, node: Node) -> int:
    node.require(node.get("to") == _FLOAT, "another target than float32")
    return reader.value(node, 0)


def _reshape(reader: PartialGraph, node: Node) -> int:
    """Some exporters reshape to the shape that a value already has."""
    x, given = reader.value(node, 0), reader.constant(node, 1)
    shape = [1, *reader.graph.shape(x)]
    target = [] if given is None else [int(side) for side in given.ravel()]
    if not node.get("allowzero", 0):
        target = [shape[axis] if side == 0 and axis < 4 else side for axis, side in enumerate(target)]
    rest = math.prod(side for side in target if side != -1)
    target = [math.prod(shape) // max(rest, 1) if side == -1 else side for side in target]
    if math.prod(target) != math.prod(shape):
        raise GraphError(f"layer {node.name} makes {target} of {shape}")
    node.require(target == shape, f"a new shape {target} for {shape}")
    return x


def _identity(reader: PartialGraph, node: Node) -> int:
    return reader.value(node, 0)


def _relu(reader: PartialGraph, node: Node) -> int:
    return reader.graph.relu(reader.value(node, 0))


def _sigmoid(reader: PartialGraph, node: Node) -> int:
    return reader.graph.sigmoid(reader.value(node, 0))


_WINDOW = ("auto_pad", "dilations", "kernel_shape", "pads", "strides")
_RESIZE = (
    *("antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside"),
    *("extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode", "scales"),
)
LAYERS: dict[str, tuple[Callable[[PartialGraph, Node], int], tuple[str, ...]]] = {
    "Add": (_add, ()),
    "Cast": (_cast, ("saturate", "to")),
    "Concat": (_concat, ("axis",)),
    "Conv": (_convolution, ("group", *_WINDOW)),
    "Identity": (_identity, ()),
    "MaxPool": (_max_pool, ("ceil_mode", "storage_order", *_WINDOW)),
    "Relu": (_relu, ()),
    "Reshape": (_reshape, ("allowzero",)),
    "Resize": (_resize, _RESIZE),
    "Sigmoid": (_sigmoid, ()),
    "Upsample": (_resize, _RESIZE),
}
