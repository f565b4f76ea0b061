# SPDX-License-Identifier: Apache-2.0
"""Makes a graph fit for half precision where a layer subtracts large numbers to get small ones.

Batch normalisation over a channel that hardly ever changes leaves such layers behind. In the small U²-Net's stage2d a
channel is always about 226, and the next convolution takes -1361 off again: rounded to 11 bits, that alone moves the
edge of the matte. Here that channel is stored without its 226 (half precision is fine for what is left), the 226 comes
back in float32, and only the convolution that reads it stays in float32. In exact arithmetic nothing changes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sensitivity import Statistics, measure
from .shape import InputShape

MAX_NOISE = 0.03  # of what a layer says; a healthy one loses 0.0004
MIN_MEAN_OVER_STD = 8.0

Floats = NDArray[np.float32]


def fit_for_half(model: Any, shape: InputShape) -> tuple[Any, list[str]]:
    """Rewrites what half precision would spoil.

    Args:
        model: ``onnx.ModelProto`` in fp32; it is not changed.
        shape: For which it was made.

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
    """A graph with its links, and what was measured in it."""

    def __init__(self, model: Any, statistics: Statistics) -> None:
        import onnx

        self.graph, self.statistics = model.graph, statistics
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self.channels = {
            each.name: each.type.tensor_type.shape.dim[1].dim_value
            for each in (*inferred.input, *inferred.value_info)
            if len(each.type.tensor_type.shape.dim) == 4
        }
        self.constants = {each.name: each for each in self.graph.initializer}
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self.readings = Counter(name for node in self.graph.node for name in node.input)
        self.readings.update(each.name for each in self.graph.output)

    def centre_input(self, layer: str) -> list[str]:
        """Has the nearly constant channels that a layer reads stored without their means, which are added before it.

        Returns:
            Name of the node that adds them; nothing where there are no such channels.
        """
        from onnx import helper, numpy_helper

        node = next(each for each in self.graph.node if each.name == layer)
        parts = self._parts(node.input[0])
        if not all(part in self.channels for part in parts):
            return []
        means = np.concatenate([self._take_off_means(part) for part in parts])
        if not means.any():
            return []
        name = f"{layer}.centre"
        self.graph.initializer.append(numpy_helper.from_array(means.reshape(1, -1, 1, 1), f"{name}.mean"))
        add = helper.make_node("Add", [node.input[0], f"{name}.mean"], [name], name=name)
        self.graph.node.insert(list(self.graph.node).index(node), add)
        node.input[0] = name
        return [name]

    def _parts(self, value: str) -> list[str]:
        """The values that a value is a concatenation of, or the value itself."""
        maker = self._sole_maker(value, "Concat")
        return [value] if maker is None else list(maker.input)

    def _take_off_means(self, value: str) -> Floats:
        """Takes the means off the nearly constant channels of a convolution with Relu, resized or not.

        Relu becomes the maximum with minus the mean, and resizing does not change a constant: so the value is what it
        was, less the means, everywhere.

        Returns:
            (C,) what was taken off; zeros where nothing was.
        """
        from onnx import numpy_helper

        nothing = np.zeros(self.channels[value], np.float32)
        resize = self._sole_maker(value, "Resize")
        relu = self._sole_maker(value if resize is None else resize.input[0], "Relu")
        conv = None if relu is None else self._sole_maker(relu.input[0], "Conv")
        if relu is None or conv is None or len(conv.input) < 3 or conv.input[2] not in self.constants:
            return nothing
        mean, std = (each[relu.name].numpy() for each in (self.statistics.mean, self.statistics.std))
        means: Floats = np.where((mean > MIN_MEAN_OVER_STD * std) & (mean >= 1), mean.round(), 0).astype(np.float32)
        if means.any():
            bias = self.constants[conv.input[2]]
            bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - means, bias.name))
            floor = numpy_helper.from_array(-means.reshape(1, -1, 1, 1), f"{relu.name}.floor")
            self.graph.initializer.append(floor)
            relu.op_type = "Max"
            relu.input.append(floor.name)
        return means

    def _sole_maker(self, value: str, operator: str) -> Any:
        """The node of this operator that makes a value which only one node reads, or None."""
        maker = self.makers.get(value)
        return maker if maker is not None and maker.op_type == operator and self.readings[value] == 1 else None
