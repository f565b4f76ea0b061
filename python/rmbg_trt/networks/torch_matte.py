# SPDX-License-Identifier: Apache-2.0
"""Prepares our networks for PyTorch: the matte, layers that need float32, and convolutions fused with their ReLU.

Half precision rounds to 11 bits, which ruins a layer that subtracts large, nearly constant channels from each other
(see `rmbg_trt.export.centre`). Such a layer, and the convolutions that feed it, stay in float32. Nothing is rounded
between them: PyTorch keeps the wider type when it resizes and concatenates.

Convolution, bias and ReLU become one cuDNN kernel (``torch.cudnn_convolution_relu``) if its result is the same.
(``cudnn_convolution_add_relu`` does not fit U²-Net, whose blocks add their residual after the ReLU.)
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import torch
import torch.fx
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..export.centre import MAX_NOISE, lost_in_half
from ..training.models import fold_batch_norm

log = logging.getLogger("rmbg_trt.torch")

Floats = NDArray[np.float32]

# Largest difference relative to the layer's largest value: the effect of another order of rounding.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 4e-3}


class Matte(nn.Module):
    """The probability of the subject: (N, 3, H, W) -> (N, 1, H, W) float32, 0..1.

    Args:
        model: One of ``rmbg_trt.training.models``; it is not changed. In the copy, batch normalization is folded and
            layers that only feed other maps are left out.
        dtype: Type of the convolutions: float32 or float16. The sigmoid is always in float32.
        keep: Names of convolutions that stay in float32.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float32, keep: Collection[str] = ()) -> None:
        super().__init__()
        self.model = fold_batch_norm(model)
        setattr(self.model, "outputs", 1)  # noqa: B010
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, layer in _convolutions(self.model):
            layer.to(torch.float32 if name in keep else dtype)
            layer.register_forward_pre_hook(_in_own_dtype)
        self.eval().requires_grad_(False)

    @property
    def input_dtype(self) -> torch.dtype:
        """The input type of the first convolution."""
        return _convolutions(self.model)[0][1].weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        """Returns the probability. ``x`` may be of any floating type; each convolution casts its input."""
        logits: Tensor = self.model(x.contiguous(memory_format=torch.channels_last))[0]
        return torch.sigmoid(logits.float())


def layers_to_keep(matte: Matte, images: Iterable[Tensor]) -> list[str]:
    """The convolutions that must stay in float32.

    Args:
        matte: In float32.
        images: Inputs (N, 3, H, W) float32 to measure with, on the device of the weights.

    Returns:
        Names of the layers whose noise in half precision is above ``MAX_NOISE``, measured as the export does, and of
        the layers that feed them.
    """
    sensitive = [name for name, noise in _noise(matte.model, images).items() if noise > MAX_NOISE]
    return _with_sources(matte.model, sensitive) if sensitive else []


def _noise(model: nn.Module, images: Iterable[Tensor]) -> dict[str, float]:
    """``lost_in_half`` of each convolution, the largest over the images.

    It is infinite if half precision overflows.
    """
    largest: dict[str, float] = {}

    def observe(name: str) -> Any:
        def hook(layer: nn.Conv2d, inputs: tuple[Tensor, ...], exact: Tensor) -> None:
            assert layer.bias is not None
            x, weight, bias = (tensor.half().float() for tensor in (inputs[0], layer.weight, layer.bias))
            rounded = functional.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
            noise = lost_in_half(exact, rounded)
            largest[name] = max(noise if math.isfinite(noise) else math.inf, largest.get(name, 0.0))

        return hook

    hooks = [layer.register_forward_hook(observe(name)) for name, layer in _convolutions(model)]
    try:
        with torch.inference_mode():
            for image in images:
                model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return largest


def _with_sources(model: nn.Module, names: list[str]) -> list[str]:
    """These convolutions and those that feed them, through activations, resizing and concatenation."""
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


class ConvRelu(nn.Conv2d):
    """A convolution with bias and its ReLU: (N, in, H, W) of any floating type -> (N, out, H, W) of the weight's type.

    Attributes:
        fused: Whether cuDNN's fused kernel is used; otherwise convolution and ReLU are separate.
    """

    fused = False

    @classmethod
    def of(cls, conv: nn.Conv2d) -> ConvRelu:
        """Wraps ``conv``, sharing its parameters."""
        sides = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        layer = cls(conv.in_channels, conv.out_channels, *sides, groups=conv.groups, device="meta")  # type: ignore[arg-type]
        layer.weight, layer.bias = conv.weight, conv.bias
        return layer.train(conv.training)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the features after the ReLU."""
        x = x.to(self.weight.dtype)
        return self._fused(x) if self.fused else self._plain(x)

    def try_fused(self, x: Tensor) -> bool:
        """Uses cuDNN's kernel for inputs like ``x`` if it runs and gives the plain result. Returns whether it does."""
        x = x.to(self.weight.dtype)
        plain = self._plain(x)
        try:
            got = self._fused(x)
        except (RuntimeError, NotImplementedError) as error:  # no such kernel for this type, layout or processor
            log.debug("no fused convolution: %s", str(error).partition("\n")[0])
            self.fused = False
        else:
            limit = TOLERANCE[plain.dtype] * plain.float().abs().max().clamp_min(1e-6)
            self.fused = got.shape == plain.shape and bool((got.float() - plain.float()).abs().max() <= limit)
        return self.fused

    def _plain(self, x: Tensor) -> Tensor:
        return functional.relu(super().forward(x), inplace=True)

    def _fused(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        assert isinstance(self.padding, tuple)
        return torch.cudnn_convolution_relu(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def merge_relus(model: nn.Module) -> int:
    """Replaces every convolution that only feeds a ReLU by a ``ConvRelu``, in place; returns how many.

    Names and parameters stay. Batch normalization must be folded, so that only identities lie between the two.
    """
    pairs = 0
    for parent in list(model.modules()):
        children = [pair for pair in parent.named_children() if not isinstance(pair[1], nn.Identity)]
        for (conv_name, conv), (relu_name, relu) in itertools.pairwise(children):
            if type(conv) is not nn.Conv2d or not isinstance(relu, nn.ReLU):
                continue
            if conv.bias is not None and conv.padding_mode == "zeros" and isinstance(conv.padding, tuple):
                setattr(parent, conv_name, ConvRelu.of(conv))
                setattr(parent, relu_name, nn.Identity())
                pairs += 1
    return pairs


def choose_fused(matte: nn.Module, image: Tensor) -> tuple[int, int]:
    """Merges the pairs of a network and tries each one's fused kernel with its own input.

    Args:
        matte: On its device, in its precision.
        image: (1, 3, H, W) on that device.

    Returns:
        The number of fused layers, and of all pairs.
    """
    pairs = merge_relus(matte)
    layers = [layer for layer in matte.modules() if isinstance(layer, ConvRelu)]

    def attempt(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, ConvRelu)
        layer.try_fused(inputs[0])

    hooks = [layer.register_forward_pre_hook(attempt) for layer in layers]
    try:
        with torch.inference_mode():
            matte(image)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(layer.fused for layer in layers), pairs


def _convolutions(model: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]


def _in_own_dtype(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].to(layer.weight.dtype),)  # type: ignore[arg-type]
