# SPDX-License-Identifier: Apache-2.0
"""How much half precision costs each layer, measured on photographs, and the channels that cause it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .pictures import input_tensor, load_pictures
from .shape import InputShape

if TYPE_CHECKING:
    import torch

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PHOTOGRAPHS = 2


@dataclass
class Statistics:
    """What was seen in a network, over the photographs.

    Attributes:
        noise: For each layer with weights, by node name: rms(rounded - exact) / rms(exact - mean of its channel), where
            rounded is with input and weights in half precision; borders left out. About 4e-4 for a healthy layer.
        mean: For each Relu, by node name, the mean of each channel, (C,).
        std: The standard deviations, (C,).
    """

    noise: dict[str, float] = field(default_factory=dict)
    mean: dict[str, torch.Tensor] = field(default_factory=dict)
    std: dict[str, torch.Tensor] = field(default_factory=dict)


def measure(model: Any, shape: InputShape) -> Statistics:
    """Runs a network in float32 on photographs of the package, and each layer once more with half-precision factors.

    Args:
        model: ``onnx.ModelProto`` in fp32.
        shape: For which it was made; the usual one is taken.

    Raises:
        UnsupportedOperatorError: A node cannot be run in PyTorch.
    """
    import torch

    from .onnx_in_torch import OnnxInTorch
    from .onnx_node import OPERATORS, Node

    found = Statistics()
    batch, _, height, width = shape.usual
    sums: dict[str, list[torch.Tensor]] = {}

    def observe(node: Node, inputs: list[torch.Tensor | None], output: torch.Tensor) -> None:
        if output.ndim != 4:
            return
        if node.kind in WEIGHTED:
            halves = [each if each is None else each.half().float() for each in inputs]
            exact = _inside(output)
            lost = _inside(OPERATORS[node.kind].run(node, *halves)) - exact
            content = exact - exact.mean(dim=(2, 3), keepdim=True)
            ratio = float(_rms(lost) / _rms(content).clamp_min(1e-12))
            found.noise[node.name] = max(ratio, found.noise.get(node.name, 0.0))
        elif node.kind == "Relu":
            exact = output.double()
            sums.setdefault(node.name, []).append(
                torch.stack([exact.mean(dim=(0, 2, 3)), exact.square().mean(dim=(0, 2, 3))])
            )

    network = OnnxInTorch(model)
    for picture in load_pictures(None, PHOTOGRAPHS):
        network(torch.from_numpy(input_tensor([picture] * batch, height, width)), observe)
    for name, moments in sums.items():
        mean, square = torch.stack(moments).mean(dim=0)
        found.mean[name], found.std[name] = mean, (square - mean.square()).clamp_min(0).sqrt()
    return found


def _inside(x: torch.Tensor) -> torch.Tensor:
    """Without the border, where zero padding beside a large constant makes values that say nothing about the rest."""
    height, width = x.shape[2:]
    return x[:, :, 2:-2, 2:-2] if min(height, width) > 8 else x


def _rms(x: torch.Tensor) -> torch.Tensor:
    return x.square().mean().sqrt()
