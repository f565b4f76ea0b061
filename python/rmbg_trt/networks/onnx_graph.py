# SPDX-License-Identifier: Apache-2.0
"""Turns an ONNX model into the layers of our own CPU network.

OpenVINO reads the file and folds everything that static shapes decide (the official U²-Net file has hundreds of
Shape, Gather and Concat nodes that only compute sizes); what is left is walked once, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _core
from . import UnsupportedNetworkError

# (ceil) 2x2 pooling is all that U²-Nets use; auto_pad "explicit" with these pads and rounding.
_POOL = {"kernel": [2, 2], "strides": [2, 2], "dilations": [1, 1], "pads_begin": [0, 0], "pads_end": [0, 0]}


def import_graph(model: Any) -> _core.CpuGraph:
    """Imports a model with static shapes and one output.

    Args:
        model: ``openvino.Model``, input (1, 3, H, W), as ``openvino_network.read_model`` gives it. It is folded.

    Raises:
        UnsupportedNetworkError: It has a layer that our network does not; the message names it.
    """
    from openvino.passes import ConstantFolding, Manager

    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)
    _, channels, height, width = (int(side) for side in model.inputs[0].shape)
    importer = _Importer(_core.CpuGraph(channels, height, width))
    for node in model.get_ordered_ops():
        importer.take(node)
    return importer.graph


class _Importer:
    """Walks the nodes in order; ``_values`` holds the graph's number of each node's output."""

    def __init__(self, graph: _core.CpuGraph) -> None:
        self.graph = graph
        self._values: dict[str, int] = {}
        self._kinds: dict[str, Callable[[Any], int]] = {
            "Convolution": self._convolution,
            "Add": self._add,
            "Relu": lambda node: graph.relu(self._input(node)),
            "Sigmoid": lambda node: graph.sigmoid(self._input(node)),
            "MaxPool": self._max_pool,
            "Concat": self._concat,
            "Interpolate": self._resize,
        }

    def take(self, node: Any) -> None:
        kind = node.get_type_name()
        if kind == "Parameter":
            self._values[_name(node)] = 0
        elif kind == "Result":
            self.graph.set_output(self._input(node))
        elif kind in self._kinds:
            try:
                self._values[_name(node)] = self._kinds[kind](node)
            except ValueError as error:  # the graph's own checks
                raise UnsupportedNetworkError(f"{kind} {_name(node)}: {error}") from error
        elif kind != "Constant":
            raise UnsupportedNetworkError(f"the layer kind {kind} ({_name(node)})")

    def _input(self, node: Any, index: int = 0) -> int:
        source = node.input_value(index).get_node()
        if _name(source) not in self._values:
            raise UnsupportedNetworkError(f"{node.get_type_name()} {_name(node)} on a constant")
        return self._values[_name(source)]

    def _convolution(self, node: Any) -> int:
        """Together with the bias that follows it, when nothing else reads the sum before."""
        attributes = node.get_attributes()
        weights = _constant(node, 1)
        kernel, dilation = weights.shape[-1], attributes["dilations"][0]
        same = [dilation * (kernel // 2)] * 2
        _require(node, attributes["strides"] == [1, 1], "a stride of 1")
        _require(node, attributes["dilations"] == [dilation, dilation], "one dilation for both axes")
        _require(node, attributes["pads_begin"] == same and attributes["pads_end"] == same, "'same' zero padding")
        return self.graph.conv(self._input(node), weights, _bias_after(node), dilation)

    def _add(self, node: Any) -> int:
        first, second = (node.input_value(index).get_node() for index in (0, 1))
        if second.get_type_name() == "Constant" and first.get_type_name() == "Convolution":
            return self._values[_name(first)]  # the bias is in the convolution
        return self.graph.add(self._input(node, 0), self._input(node, 1))

    def _max_pool(self, node: Any) -> int:
        attributes = node.get_attributes()
        for name, value in _POOL.items():
            _require(node, list(attributes[name]) == value, f"{name} {value}")
        height, width = node.input_value(0).shape[2:]
        ceil = [-(-int(height) // 2), -(-int(width) // 2)]
        _require(node, [int(side) for side in node.output(0).shape[2:]] == ceil, "rounding up")
        return self.graph.max_pool(self._input(node))

    def _concat(self, node: Any) -> int:
        _require(node, node.get_attributes()["axis"] in (1, -3), "axis 1")
        return self.graph.concat([self._input(node, index) for index in range(node.get_input_size())])

    def _resize(self, node: Any) -> int:
        attributes = node.get_attributes()
        coordinates = attributes["coordinate_transformation_mode"]
        _require(node, attributes["mode"] in ("linear", "linear_onnx"), "bilinear interpolation")
        _require(node, not attributes.get("antialias", False), "no antialiasing")
        _require(node, not any(attributes["pads_begin"]) and not any(attributes["pads_end"]), "no padding")
        batch, channels, height, width = (int(side) for side in node.output(0).shape)
        _require(node, [batch, channels] == [int(side) for side in node.input_value(0).shape[:2]], "spatial axes")
        return self.graph.resize(self._input(node), height, width, coordinates)


def _bias_after(node: Any) -> Any:
    """The bias of a convolution: the constant that the next and only reader adds, else zeros."""
    import numpy as np

    channels = _constant(node, 1).shape[0]
    readers = list(node.output(0).get_target_inputs())
    reader = readers[0].get_node() if len(readers) == 1 else None
    if reader is not None and reader.get_type_name() == "Add":
        other = reader.input_value(1).get_node()
        if other.get_type_name() == "Constant" and reader.input_value(0).get_node().get_type_name() == "Convolution":
            bias = other.data
            if bias.size == channels and (bias.ndim < 2 or bias.shape[1] == channels):
                return np.ascontiguousarray(bias, np.float32).ravel()
            raise UnsupportedNetworkError(f"Add {_name(reader)} of a constant of shape {bias.shape}")
    return np.zeros(channels, np.float32)


def _constant(node: Any, index: int) -> Any:
    source = node.input_value(index).get_node()
    _require(node, source.get_type_name() == "Constant", "constant weights")
    return source.data


def _require(node: Any, holds: bool, what: str) -> None:
    if not holds:
        raise UnsupportedNetworkError(f"{node.get_type_name()} {_name(node)} without {what}")


def _name(node: Any) -> str:
    return str(node.get_friendly_name())
