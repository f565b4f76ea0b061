# SPDX-License-Identifier: Apache-2.0
"""U-Net (Ronneberger et al., MICCAI 2015) with batch normalisation and bilinear upsampling: the plain baseline."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from .u2net import halve, resize_to


class DoubleConv(nn.Sequential):
    """Twice 3x3 convolution, batch normalisation, ReLU: (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        for index, channels in enumerate((in_channels, out_channels), 1):
            self.add_module(f"conv{index}", nn.Conv2d(channels, out_channels, 3, padding=1, bias=False))
            self.add_module(f"bn{index}", nn.BatchNorm2d(out_channels))
            self.add_module(f"relu{index}", nn.ReLU(inplace=True))


class UNet(nn.Module):
    """U-Net of five levels.

    Args:
        outputs: 1; it has no other maps.
        base_width: Channels of the finest level; they double with each coarser one.
    """

    input_channels = 3
    max_outputs = 1
    levels = 5

    def __init__(self, outputs: int = 1, base_width: int = 32) -> None:
        super().__init__()
        self.outputs = outputs
        widths = [base_width << level for level in range(self.levels)]
        inputs = [self.input_channels, *widths]
        self.encoder = nn.ModuleList(DoubleConv(*pair) for pair in zip(inputs, widths, strict=False))
        decoded = [(coarse + fine, fine) for fine, coarse in itertools.pairwise(widths)]
        self.decoder = nn.ModuleList(DoubleConv(*pair) for pair in reversed(decoded))
        self.outconv = nn.Conv2d(base_width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, 1, H, W) for (N, 3, H, W), normalised, as a tuple of one; any H and W of at least 1."""
        skips: list[Tensor] = []
        for block in self.encoder:
            x = block(halve(x) if skips else x)
            skips.append(x)
        x = skips.pop()
        for block in self.decoder:
            skip = skips.pop()
            x = block(torch.cat((resize_to(x, skip), skip), 1))
        return (self.outconv(x),)
