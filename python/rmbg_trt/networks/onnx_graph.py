# SPDX-License-Identifier: Apache-2.0
"""From a model that OpenVINO has read to a graph of our own CPU network.

OpenVINO parses the ONNX file, makes shapes static and folds constants; what is left must be made of the few kinds of
layers that the CPU network has. Anything else raises ``UnsupportedNetworkError`` with the reason, and another runtime
runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import UnsupportedNetworkError

if TYPE_CHECKING:
    from .. import _core


def import_graph(model: Any) -> _core.CpuGraph:
    """Translates a model.

    Args:
        model: ``openvino.Model`` with one input (1, C, H, W) of static shape. Only its first output is computed.

    Returns:
        The graph, with its output set.

    Raises:
        UnsupportedNetworkError: A layer, a layout or an attribute that the CPU network does not have.
    """
    from openvino import Model
    from openvino.passes import ConstantFolding, Manager

    model = Model([model.outputs[0]], model.get_parameters(), "first output")
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)
    return _Importer(model).run()


class _Importer:
    """Walks the operations in order and remembers which value each of their outputs became."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.graph: _core.CpuGraph
        self.values: dict[str, int] = {}
        self.layers: dict[str, Callable[[Any], int]] = {
            "Convolution": self._convolution,
            "Add": self._add,
            "Relu": lambda op: self.graph.relu(self._input(op, 0)),
            "Sigmoid": lambda op: self.graph.sigmoid(self._input(op, 0)),
            "MaxPool": self._max_pool,
            "Concat": self._concat,
            "Interpolate": self._interpolate,
        }

    def run(self) -> _core.CpuGraph:
        from .. import _core

        if len(self.model.inputs) != 1:
            raise UnsupportedNetworkError(f"the model has {len(self.model.inputs)} inputs; expected one")
        _, channels, height, width = _shape(self.model.inputs[0])
        self.graph = _core.CpuGraph(channels, height, width)
        for op in self.model.get_ordered_ops():
            kind = op.get_type_name()
            if kind == "Parameter":
                self.values[op.get_friendly_name()] = 0
            elif kind == "Result":
                self.graph.set_output(self._input(op, 0))
            elif kind != "Constant":
                if kind not in self.layers:
                    raise UnsupportedNetworkError(f"layer {op.get_friendly_name()} is a {kind}, which it does not have")
                _shape(op.output(0))
                self.values[op.get_friendly_name()] = self.layers[kind](op)
        return self.graph

    def _input(self, op: Any, index: int) -> int:
        name = op.input_value(index).get_node().get_friendly_name()
        if name not in self.values:
            raise UnsupportedNetworkError(f"input {index} of layer {op.get_friendly_name()} is a constant")
        return self.values[name]

    def _convolution(self, op: Any) -> int:
        weights = _constant(op, 1)
        attributes = op.get_attributes()
        kernel = list(weights.shape[2:])
        dilations = list(attributes["dilations"])
        padding = [d * (k // 2) for d, k in zip(dilations, kernel, strict=True)]
        _require(op, kernel in ([1, 1], [3, 3]), f"kernel {kernel}; expected 1x1 or 3x3")
        _require(op, list(attributes["strides"]) == [1, 1], f"strides {attributes['strides']}; expected 1")
        _require(op, dilations[0] == dilations[1], f"dilations {dilations}; expected equal ones")
        if attributes["auto_pad"] not in ("same_upper", "same_lower"):
            given = [list(attributes["pads_begin"]), list(attributes["pads_end"])]
            _require(op, given == [padding, padding], f"padding {given}; expected {padding} on both sides")
        bias = self._fused_bias(op, len(weights))
        return self.graph.conv(self._input(op, 0), weights, bias, dilations[0])

    @staticmethod
    def _fused_bias(op: Any, channels: int) -> np.ndarray:
        """The constant that the convolution's only reader adds, or zeros; ``_add`` then passes the sum through."""
        readers = list(op.output(0).get_target_inputs())
        if len(readers) == 1:
            reader = readers[0].get_node()
            bias = _channel_constant(reader, channels) if reader.get_type_name() == "Add" else None
            if bias is not None:
                return bias
        return np.zeros(channels, np.float32)

    def _add(self, op: Any) -> int:
        channels = _shape(op.output(0))[1]
        if _channel_constant(op, channels) is not None:
            for index in (0, 1):
                source = op.input_value(index)
                node = source.get_node()
                if node.get_type_name() == "Convolution" and len(source.get_target_inputs()) == 1:
                    return self._input(op, index)
        shapes = [_shape(op.input_value(i)) for i in (0, 1)]
        _require(op, shapes[0] == shapes[1], f"terms of shape {shapes}; expected equal ones")
        return self.graph.add(self._input(op, 0), self._input(op, 1))

    def _max_pool(self, op: Any) -> int:
        attributes = op.get_attributes()
        height, width = _shape(op.input_value(0))[2:]
        fits = (
            list(attributes["kernel"]) == [2, 2]
            and list(attributes["strides"]) == [2, 2]
            and list(attributes.get("dilations", [1, 1])) == [1, 1]
            and not any(attributes["pads_begin"])
            and not any(attributes["pads_end"])
            and _shape(op.output(0))[2:] == [(height + 1) // 2, (width + 1) // 2]
        )
        _require(op, fits, "another window than 2x2, stride 2, rounding up")
        return self.graph.max_pool(self._input(op, 0))

    def _concat(self, op: Any) -> int:
        axis = op.get_attributes()["axis"]
        _require(op, axis in (1, -3), f"axis {axis}; expected channels (1)")
        return self.graph.concat([self._input(op, i) for i in range(op.get_input_size())])

    def _interpolate(self, op: Any) -> int:
        attributes = op.get_attributes()
        coordinates = attributes["coordinate_transformation_mode"]
        _require(op, attributes["mode"] in ("linear", "linear_onnx"), f"mode {attributes['mode']}; expected linear")
        _require(
            op,
            coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners"),
            f"coordinates {coordinates}; expected half_pixel, pytorch_half_pixel or align_corners",
        )
        _require(op, not any(attributes["pads_begin"]) and not any(attributes["pads_end"]), "padding")
        source, target = _shape(op.input_value(0)), _shape(op.output(0))
        _require(op, source[1] == target[1], "resized channels")
        shrinks = target[2] < source[2] or target[3] < source[3]
        _require(op, not (attributes["antialias"] and shrinks), "an antialiasing filter")
        if attributes["shape_calculation_mode"] == "scales":
            # With given scales, coordinates use them and not the ratio of sizes.
            scales = _constant(op, 2 if op.get_type_name() == "Interpolate" and op.get_input_size() > 2 else 1)
            exact = [s * float(scale) for s, scale in zip(source[-len(scales) :], scales, strict=True)]
            _require(op, exact == target[-len(scales) :], f"scales {scales.tolist()} that do not give whole sizes")
        return self.graph.resize(self._input(op, 0), target[2], target[3], coordinates)


def _shape(output: Any) -> list[int]:
    """The static NCHW shape of an operation's output."""
    shape = output.get_partial_shape()
    if shape.is_dynamic or len(shape) != 4 or shape[0].get_length() != 1:
        raise UnsupportedNetworkError(f"a tensor has shape {shape}; expected (1, C, H, W), known in advance")
    if output.get_element_type().get_type_name() != "f32":
        raise UnsupportedNetworkError(f"a tensor is {output.get_element_type().get_type_name()}; expected float32")
    return [int(side.get_length()) for side in shape]


def _constant(op: Any, index: int) -> np.ndarray:
    node = op.input_value(index).get_node()
    if node.get_type_name() != "Constant":
        raise UnsupportedNetworkError(f"input {index} of layer {op.get_friendly_name()} is not a constant")
    return np.asarray(node.get_data(), np.float32)


def _channel_constant(op: Any, channels: int) -> np.ndarray | None:
    """The constant (1, C, 1, 1) among an Add's inputs as (C,), or None."""
    for index in (0, 1):
        node = op.input_value(index).get_node()
        if node.get_type_name() == "Constant":
            data = np.asarray(node.get_data(), np.float32)
            if data.size == channels and data.shape in ((1, channels, 1, 1), (channels, 1, 1)):
                return data.reshape(channels)
    return None


def _require(op: Any, holds: bool, what: str) -> None:
    if not holds:
        raise UnsupportedNetworkError(f"layer {op.get_friendly_name()} ({op.get_type_name()}) has {what}")
