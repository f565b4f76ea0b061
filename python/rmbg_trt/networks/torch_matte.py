# SPDX-License-Identifier: Apache-2.0
"""Our networks made ready to run in half precision with PyTorch: which layers must not be halved, and the matte.

Half precision rounds to 11 bits. A layer that subtracts large, nearly constant channels from each other is spoilt by
that (see `rmbg_trt.export.centre`). Here such a layer, and the convolutions whose results it reads, stay in float32;
between them nothing is rounded, for PyTorch keeps the wider type where it resizes and concatenates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.fx
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..export.centre import MAX_NOISE
from ..training.models import fold_batch_norm

Floats = NDArray[np.float32]


class Matte(nn.Module):
    """The probability of the subject: (N, 3, H, W) -> (N, 1, H, W) float32, 0..1.

    Args:
        model: One of ``rmbg_trt.training.models``; it is not changed. Its batch normalisation is folded and what feeds
            only its other maps is left out.
        dtype: Of the convolutions: float32 or float16. The sigmoid is in float32 always.
        keep: Names of convolutions that stay in float32.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float32, keep: Iterable[str] = ()) -> None:
        super().__init__()
        self.model = fold_batch_norm(model)
        setattr(self.model, "outputs", 1)  # noqa: B010
        kept = set(keep)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, layer in _convolutions(self.model):
            layer.to(torch.float32 if name in kept else dtype)
            layer.register_forward_pre_hook(_in_own_dtype)
        self.eval().requires_grad_(False)

    @property
    def input_dtype(self) -> torch.dtype:
        """The type that the first convolution reads."""
        return _convolutions(self.model)[0][1].weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        """The probability. ``x`` may be of any floating type; each convolution takes it in its own."""
        logits: Tensor = self.model(x.contiguous(memory_format=torch.channels_last))[0]
        return torch.sigmoid(logits.float())


def layers_to_keep(matte: Matte, pictures: Iterable[Tensor]) -> list[str]:
    """The convolutions that must stay in float32.

    Args:
        matte: In float32.
        pictures: Inputs (N, 3, H, W) float32 to measure with, on the device of the weights.

    Returns:
        Names: those of which half precision of input and weights takes more than ``MAX_NOISE`` of what they say, as
        the export measures it, and those whose results they read.
    """
    sensitive = [name for name, noise in _noise(matte.model, pictures).items() if noise > MAX_NOISE]
    return _with_makers(matte.model, sensitive) if sensitive else []


def _noise(model: nn.Module, pictures: Iterable[Tensor]) -> dict[str, float]:
    """For each convolution rms(rounded - exact) / rms(exact - mean of its channel), the largest over the pictures.

    It is infinite where half precision overflows.
    """
    found: dict[str, float] = {}

    def observe(name: str) -> Any:
        def hook(layer: nn.Conv2d, inputs: tuple[Tensor, ...], exact: Tensor) -> None:
            assert layer.bias is not None
            x, weight, bias = (each.half().float() for each in (inputs[0], layer.weight, layer.bias))
            rounded = functional.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
            content = _inside(exact) - _inside(exact).mean(dim=(2, 3), keepdim=True)
            ratio = _rms(_inside(rounded - exact)) / _rms(content).clamp_min(1e-12)
            told = float(ratio)
            found[name] = max(told if math.isfinite(told) else math.inf, found.get(name, 0.0))

        return hook

    hooks = [layer.register_forward_hook(observe(name)) for name, layer in _convolutions(model)]
    try:
        with torch.inference_mode():
            for picture in pictures:
                model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _with_makers(model: nn.Module, names: list[str]) -> list[str]:
    """These convolutions and those whose results they read, through activations, resizing and concatenation."""
    convolutions = dict(_convolutions(model))
    keep = dict.fromkeys(names)
    for node in torch.fx.symbolic_trace(model).graph.nodes:
        if node.op != "call_module" or node.target not in names:
            continue
        seen = set()
        waiting = list(node.all_input_nodes)
        while waiting:
            source = waiting.pop()
            if source in seen:
                continue
            seen.add(source)
            if source.op == "call_module" and source.target in convolutions:
                keep[str(source.target)] = None
            else:
                waiting.extend(source.all_input_nodes)
    return list(keep)


def predict_with(matte: nn.Module, device: torch.device | str) -> Any:
    """A network as a function of NumPy arrays: (N, 3, H, W) float32 -> (N, 1, H, W) float32."""

    def predict(x: Floats) -> Floats:
        with torch.inference_mode():
            result: Floats = matte(torch.from_numpy(x).to(device)).cpu().numpy()
        return result

    return predict


def _convolutions(model: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]


def _in_own_dtype(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].to(layer.weight.dtype),)  # type: ignore[arg-type]


def _inside(x: Tensor) -> Tensor:
    """Without the border, where zero padding beside a large constant makes values that say nothing about the rest."""
    return x[:, :, 2:-2, 2:-2] if min(x.shape[2:]) > 8 else x


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()
