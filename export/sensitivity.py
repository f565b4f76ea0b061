# SPDX-License-Identifier: Apache-2.0
"""Measures on photographs how much half precision costs each layer, and the statistics of its channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .images import input_tensor, load_images
from .options import InputShape

if TYPE_CHECKING:
    import torch

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PHOTOGRAPHS = 2


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
