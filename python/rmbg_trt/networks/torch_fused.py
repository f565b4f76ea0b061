# SPDX-License-Identifier: Apache-2.0
"""Convolution, bias and ReLU as one kernel of cuDNN (``torch.cudnn_convolution_relu``) where it gives the same result.

``cudnn_convolution_add_relu`` does not fit U²-Net: its blocks add their residual after the ReLU, not before.
"""

from __future__ import annotations

import itertools
import logging

import torch
from torch import Tensor, nn
from torch.nn import functional

log = logging.getLogger("rmbg_trt.torch")

# Largest difference relative to the layer's largest value: rounding in another order, and no more.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 4e-3}


class ConvRelu(nn.Conv2d):
    """A convolution with bias and its ReLU: (N, in, H, W) of any floating type -> (N, out, H, W) of the weight's type.

    Attributes:
        fused: Whether cuDNN's one kernel is used, else convolution and ReLU are called one after the other.
    """

    fused = False

    @classmethod
    def of(cls, conv: nn.Conv2d) -> ConvRelu:
        """With the parameters of ``conv`` themselves, not copies."""
        sides = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        made = cls(conv.in_channels, conv.out_channels, *sides, groups=conv.groups, device="meta")  # type: ignore[arg-type]
        made.weight, made.bias = conv.weight, conv.bias
        return made.train(conv.training)

    def forward(self, x: Tensor) -> Tensor:
        """The features after the ReLU."""
        x = x.to(self.weight.dtype)
        return self._one_kernel(x) if self.fused else self._plain(x)

    def try_fused(self, x: Tensor) -> bool:
        """Takes cuDNN's kernel for inputs like ``x`` if it runs and gives the plain result; says whether."""
        x = x.to(self.weight.dtype)
        plain = self._plain(x)
        try:
            got = self._one_kernel(x)
        except (RuntimeError, NotImplementedError) as error:  # no such kernel for this type, layout or processor
            log.debug("no fused convolution: %s", str(error).partition("\n")[0])
            self.fused = False
        else:
            limit = TOLERANCE[plain.dtype] * plain.float().abs().max().clamp_min(1e-6)
            self.fused = got.shape == plain.shape and bool((got.float() - plain.float()).abs().max() <= limit)
        return self.fused

    def _plain(self, x: Tensor) -> Tensor:
        return functional.relu(super().forward(x), inplace=True)

    def _one_kernel(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        assert isinstance(self.padding, tuple)
        return torch.cudnn_convolution_relu(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def merge_relus(model: nn.Module) -> int:
    """Puts a ``ConvRelu`` in the place of every convolution whose result goes through a ReLU only, in place.

    Names and parameters stay. Batch normalisation must be folded: what lies between the two is the identity.

    Returns:
        How many pairs there were.
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


def choose_fused(matte: nn.Module, picture: Tensor) -> tuple[int, int]:
    """Merges the pairs of a network and tries each with its own input.

    Args:
        matte: On its device, in its precision.
        picture: (1, 3, H, W) on that device.

    Returns:
        Layers that are one kernel from now on, and all pairs.
    """
    pairs = merge_relus(matte)
    layers = [layer for layer in matte.modules() if isinstance(layer, ConvRelu)]

    def attempt(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, ConvRelu)
        layer.try_fused(inputs[0])

    hooks = [layer.register_forward_pre_hook(attempt) for layer in layers]
    try:
        with torch.inference_mode():
            matte(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(layer.fused for layer in layers), pairs
