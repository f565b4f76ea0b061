# SPDX-License-Identifier: Apache-2.0
"""Prepares a graph for half precision where a layer subtracts large numbers to get small ones.

Batch normalisation over a nearly constant channel leaves such layers behind. In the small U²-Net's stage2d a channel
is always about 226, and the next convolution subtracts 1361: rounded to 11 bits, that alone moves the edge of the
matte. Here the channel is stored minus 226 (half precision is fine for the rest), the 226 is added back in float32, and
only the convolution that reads it stays in float32. In exact arithmetic nothing changes. Such layers are found by
measuring on photographs how much half precision costs each layer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .images import input_tensor, load_images
from .options import InputShape

if TYPE_CHECKING:
    import torch

MAX_NOISE = 0.03  # relative to the layer's output; a healthy layer has 0.0004
MIN_MEAN_OVER_STD = 8.0
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PHOTOGRAPHS = 2

Floats = NDArray[np.float32]


def fit_for_half(model: Any, shape: InputShape) -> tuple[Any, list[str]]:
    """Rewrites the layers that half precision would spoil.

    Args:
        model: ``onnx.ModelProto`` in fp32; it is not changed.
        shape: The input shape that it was exported for.

    Returns:
        The rewritten model, and the names of its nodes that must stay in float32.

    Raises:
        UnsupportedOperatorError: A node cannot be run in PyTorch, so nothing can be measured.
    """
    import onnx

    statistics = measure(model, shape)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = _Graph(result, statistics)
    sensitive = [name for name, noise in statistics.noise.items() if noise > MAX_NOISE]
    return result, [node for name in sensitive for node in (*graph.centre_input(name), name)]


class _Graph:
    """A graph with the links between its nodes and the statistics of its values."""

    def __init__(self, model: Any, statistics: Statistics) -> None:
        import onnx

        self.graph, self.statistics = model.graph, statistics
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self.channels = {
            value.name: value.type.tensor_type.shape.dim[1].dim_value
            for value in (*inferred.input, *inferred.value_info)
            if len(value.type.tensor_type.shape.dim) == 4
        }
        self.constants = {constant.name: constant for constant in self.graph.initializer}
        self.producers = {name: node for node in self.graph.node for name in node.output}
        self.readings = Counter(name for node in self.graph.node for name in node.input)
        self.readings.update(output.name for output in self.graph.output)

    def centre_input(self, layer: str) -> list[str]:
        """Stores the nearly constant channels that a layer reads minus their means, and adds those before the layer.

        Returns:
            Name of the node that adds the means; empty if there are no such channels.
        """
        from onnx import helper, numpy_helper

        node = next(node for node in self.graph.node if node.name == layer)
        concat = self._sole_producer(node.input[0], "Concat")
        parts = [node.input[0]] if concat is None else list(concat.input)
        if not all(part in self.channels for part in parts):
            return []
        means = np.concatenate([self._subtract_means(part) for part in parts])
        if not means.any():
            return []
        name = f"{layer}.centre"
        self.graph.initializer.append(numpy_helper.from_array(means.reshape(1, -1, 1, 1), f"{name}.mean"))
        add = helper.make_node("Add", [node.input[0], f"{name}.mean"], [name], name=name)
        self.graph.node.insert(list(self.graph.node).index(node), add)
        node.input[0] = name
        return [name]

    def _subtract_means(self, value: str) -> Floats:
        """Subtracts the means of nearly constant channels from a convolution with Relu, resized or not.

        Relu becomes the maximum with minus the mean, and resizing does not change a constant. So every pixel of the
        value is smaller by just the mean.

        Returns:
            The subtracted means, (C,); zeros for channels that stay.
        """
        from onnx import numpy_helper

        zeros = np.zeros(self.channels[value], np.float32)
        resize = self._sole_producer(value, "Resize")
        relu = self._sole_producer(value if resize is None else resize.input[0], "Relu")
        conv = None if relu is None else self._sole_producer(relu.input[0], "Conv")
        if relu is None or conv is None or len(conv.input) < 3 or conv.input[2] not in self.constants:
            return zeros
        mean, std = self.statistics.mean[relu.name].numpy(), self.statistics.std[relu.name].numpy()
        means: Floats = np.where((mean > MIN_MEAN_OVER_STD * std) & (mean >= 1), mean.round(), 0).astype(np.float32)
        if means.any():
            bias = self.constants[conv.input[2]]
            bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - means, bias.name))
            floor = numpy_helper.from_array(-means.reshape(1, -1, 1, 1), f"{relu.name}.floor")
            self.graph.initializer.append(floor)
            relu.op_type = "Max"
            relu.input.append(floor.name)
        return means

    def _sole_producer(self, value: str, operator: str) -> Any:
        """The node that produces a value, if it is of this operator and only one node reads the value; else None."""
        node = self.producers.get(value)
        return node if node is not None and node.op_type == operator and self.readings[value] == 1 else None


@dataclass
class Statistics:
    """Measurements over the photographs, by node name.

    Attributes:
        noise: For each layer with weights ``lost_in_half`` of its result from input and weights in half precision.
            About 4e-4 for a healthy layer.
        mean: For each Relu, the mean of each channel, (C,).
        std: The standard deviations, (C,).
    """

    noise: dict[str, float] = field(default_factory=dict)
    mean: dict[str, torch.Tensor] = field(default_factory=dict)
    std: dict[str, torch.Tensor] = field(default_factory=dict)


def measure(model: Any, shape: InputShape) -> Statistics:
    """Runs a network in float32 on photographs of the package, and each layer again with half-precision factors.

    Args:
        model: ``onnx.ModelProto`` in fp32.
        shape: The input shape that it was exported for; the usual one is used.

    Raises:
        UnsupportedOperatorError: A node cannot be run in PyTorch.
    """
    import torch

    from .onnx_in_torch import OnnxInTorch
    from .onnx_operators import OPERATORS, Node

    statistics = Statistics()
    batch, _, height, width = shape.usual
    sums: dict[str, list[torch.Tensor]] = {}

    def observe(node: Node, inputs: list[torch.Tensor | None], output: torch.Tensor) -> None:
        if output.ndim != 4:
            return
        if node.kind in WEIGHTED:
            halves = [x if x is None else x.half().float() for x in inputs]
            noise = lost_in_half(output, OPERATORS[node.kind].run(node, *halves))
            statistics.noise[node.name] = max(noise, statistics.noise.get(node.name, 0.0))
        elif node.kind == "Relu":
            exact = output.double()
            sums.setdefault(node.name, []).append(
                torch.stack([exact.mean(dim=(0, 2, 3)), exact.square().mean(dim=(0, 2, 3))])
            )

    network = OnnxInTorch(model)
    for image in load_images(None, PHOTOGRAPHS):
        network(torch.from_numpy(input_tensor([image] * batch, height, width)), observe)
    for name, moments in sums.items():
        mean, square = torch.stack(moments).mean(dim=0)
        statistics.mean[name], statistics.std[name] = mean, (square - mean.square()).clamp_min(0).sqrt()
    return statistics


def lost_in_half(exact: torch.Tensor, rounded: torch.Tensor) -> float:
    """rms(rounded - exact) / rms(exact - mean of its channel) of two results (N, C, H, W) of a layer.

    The border is left out, where zero padding beside a large constant gives values unlike all others.
    """

    def inside(x: torch.Tensor) -> torch.Tensor:
        return x[:, :, 2:-2, 2:-2] if min(x.shape[2:]) > 8 else x

    def rms(x: torch.Tensor) -> torch.Tensor:
        return x.square().mean().sqrt()

    content = inside(exact) - inside(exact).mean(dim=(2, 3), keepdim=True)
    return float(rms(inside(rounded - exact)) / rms(content).clamp_min(1e-12))
