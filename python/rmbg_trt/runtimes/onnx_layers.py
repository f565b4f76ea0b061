# SPDX-License-Identifier: Apache-2.0
"""The layers of an ONNX model that our CPU network has, and their limits: each is checked and added to its graph.

Every layer lists the attributes that it understands. One with any other is refused, so nothing is quietly ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .onnx_convolution import add_convolution
from .onnx_node import GraphError, Node, PartialGraph

COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners")
_LARGEST_SIDE = 1 << 20
_FLOAT = 1  # TensorProto.FLOAT


def add_layer(reader: PartialGraph, node: Node) -> int:
    """Adds the layer of a node to the graph and returns the number of its output.

    Raises:
        UnsupportedNetworkError: Our network has no such layer.
        GraphError: It does not fit its inputs.
    """
    function, attributes = LAYERS[node.kind]
    unknown = sorted(node.attributes.keys() - set(attributes))
    node.require(not unknown, f"the attribute {', '.join(unknown)}")
    return function(reader, node)


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
    node.require(fits, "another window than 2x2, stride 2, rounding up")
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
    """(1, C, H, W) that a value is resized to."""
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
        # With given scales, coordinates use them and not the ratio of sizes. In float32, as runtimes compute it.
        length = float(np.float32(source[axis]) * np.float32(number))
        node.require(length.is_integer(), f"a scale of {number}: {source[axis]} becomes {length:g}; expected whole")
        target[axis] = int(length)
    return target


def _cast(reader: PartialGraph, node: Node) -> int:
    node.require(node.get("to") == _FLOAT, "another target than float32")
    return reader.value(node, 0)


def _reshape(reader: PartialGraph, node: Node) -> int:
    """Some exporters write a shape down that a value has anyway."""
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
    "Conv": (add_convolution, ("group", *_WINDOW)),
    "Identity": (_identity, ()),
    "MaxPool": (_max_pool, ("ceil_mode", "storage_order", *_WINDOW)),
    "Relu": (_relu, ()),
    "Reshape": (_reshape, ("allowzero",)),
    "Resize": (_resize, _RESIZE),
    "Sigmoid": (_sigmoid, ()),
    "Upsample": (_resize, _RESIZE),
}
