# SPDX-License-Identifier: Apache-2.0
"""ONNX models of a few bytes: one that works, in several shapes, and ones that must be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Side = int | str
"""A length, or the name of an open one."""


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]) -> Path:
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializers)
    # Old versions on purpose: every runtime of the last years reads them.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _tensor(name: str, *shape: Side, dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def _weights(out_channels: int, in_channels: int) -> dict[str, np.ndarray]:
    ramp = np.linspace(0.9, -0.6, out_channels * in_channels, dtype=np.float32)
    return {
        "weights": ramp.reshape(out_channels, in_channels, 1, 1),
        "bias": np.linspace(0.1, 0.3, out_channels, dtype=np.float32),
    }


def matte(path: Path, height: Side, width: Side, *, channels: int = 3, outputs: int = 1) -> Path:
    """Sigmoid of a 1x1 convolution over the colors; more outputs repeat it, inverted."""
    nodes = [
        helper.make_node("Conv", ["input", "weights", "bias"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["matte"]),
        *(helper.make_node("Neg", ["matte"], [f"extra{i}"]) for i in range(1, outputs)),
    ]
    shape = (1, 1, height, width)
    results = [_tensor("matte", *shape), *(_tensor(f"extra{i}", *shape) for i in range(1, outputs))]
    return _save(path, nodes, [_tensor("input", 1, channels, height, width)], results, _weights(1, channels))


def rigid(path: Path, height: int, width: int) -> Path:
    """The same, but its size is written into a layer, so that it works for this input only."""
    nodes = [
        helper.make_node("Conv", ["input", "weights", "bias"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["probability"]),
        helper.make_node("Reshape", ["probability", "shape"], ["matte"]),
    ]
    constants = {**_weights(1, 3), "shape": np.array([1, 1, height, width], np.int64)}
    output = _tensor("matte", 1, 1, height, width)
    return _save(path, nodes, [_tensor("input", 1, 3, height, width)], [output], constants)


def half_size(path: Path, side: int) -> Path:
    """The output has half the input's sides."""
    nodes = [
        helper.make_node("Conv", ["input", "weights", "bias"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["full"]),
        helper.make_node("AveragePool", ["full"], ["matte"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    output = _tensor("matte", 1, 1, side // 2, side // 2)
    return _save(path, nodes, [_tensor("input", 1, 3, side, side)], [output], _weights(1, 3))


def two_inputs(path: Path) -> Path:
    nodes = [
        helper.make_node("Add", ["image", "depth"], ["both"]),
        helper.make_node("Conv", ["both", "weights", "bias"], ["matte"]),
    ]
    shape = (1, 3, 32, 32)
    inputs = [_tensor("image", *shape), _tensor("depth", *shape)]
    return _save(path, nodes, inputs, [_tensor("matte", 1, 1, 32, 32)], _weights(1, 3))


def three_maps(path: Path) -> Path:
    """A first output of three channels."""
    nodes = [helper.make_node("Conv", ["input", "weights", "bias"], ["maps"])]
    return _save(path, nodes, [_tensor("input", 1, 3, 32, 32)], [_tensor("maps", 1, 3, 32, 32)], _weights(3, 3))


def classifier(path: Path) -> Path:
    """A first output of ten numbers, not a map."""
    nodes = [
        helper.make_node("Conv", ["input", "weights", "bias"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["scores"]),
    ]
    return _save(path, nodes, [_tensor("input", 1, 3, 32, 32)], [_tensor("scores", 1, 10)], _weights(10, 3))


def byte_input(path: Path) -> Path:
    """Takes uint8, so its normalisation is its own."""
    nodes = [
        helper.make_node("Cast", ["input"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["float", "weights", "bias"], ["matte"]),
    ]
    source = _tensor("input", 1, 3, 32, 32, dtype=TensorProto.UINT8)
    return _save(path, nodes, [source], [_tensor("matte", 1, 1, 32, 32)], _weights(1, 3))


def flat_input(path: Path) -> Path:
    """Takes (1, 3): no image at all."""
    nodes = [helper.make_node("Sigmoid", ["input"], ["matte"])]
    return _save(path, nodes, [_tensor("input", 1, 3)], [_tensor("matte", 1, 3)], {})


def leaky(path: Path, height: int, width: int, constant: float = 500) -> Path:
    """Four layers; a channel of the third is always one large number, which the last layer takes off again."""
    colors = np.zeros((4, 4, 1, 1), np.float32)
    colors[1:, 1:, 0, 0] = np.eye(3)
    constants = {
        "weights": colors[:, 1:],
        "bias": np.array([0, 3, 3, 3], np.float32),
        "zeros": np.zeros(4, np.float32),
        "colors": colors,
        "constant": np.array([constant, 0, 0, 0], np.float32),
        "last weights": np.array([1, 1, -0.5, 0.7], np.float32).reshape(1, 4, 1, 1),
        "last bias": np.array([-constant - 3.6], np.float32),
    }
    layers = [("weights", "bias"), ("colors", "zeros"), ("colors", "constant"), ("last weights", "last bias")]
    nodes, value = [], "input"
    for name, parameters in zip(("first", "second", "third", "last"), layers, strict=True):
        nodes.append(helper.make_node("Conv", [value, *parameters], [f"{name} sum"], name=name))
        nodes.append(helper.make_node("Sigmoid" if name == "last" else "Relu", [f"{name} sum"], [f"{name} out"]))
        value = f"{name} out"
    nodes[-1].output[0] = "matte"
    shape = (1, 1, height, width)
    return _save(path, nodes, [_tensor("input", 1, 3, height, width)], [_tensor("matte", *shape)], constants)
