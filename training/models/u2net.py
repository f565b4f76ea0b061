# SPDX-License-Identifier: Apache-2.0
"""U²-Net, full and small: a U of residual U-blocks (Qin et al., "U²-Net", Pattern Recognition 2020, figure 5).

Parameters have the names of the published code, so its checkpoints load with ``strict=True``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class BlockSpec(NamedTuple):
    """A row of the network's table: an RSU-`depth`; `dilated` ones (RSU-4F) use dilation instead of pooling."""

    depth: int
    in_channels: int
    mid_channels: int
    out_channels: int
    dilated: bool = False


FULL = {
    "stage1": BlockSpec(7, 3, 32, 64),
    "stage2": BlockSpec(6, 64, 32, 128),
    "stage3": BlockSpec(5, 128, 64, 256),
    "stage4": BlockSpec(4, 256, 128, 512),
    "stage5": BlockSpec(4, 512, 256, 512, dilated=True),
    "stage6": BlockSpec(4, 512, 256, 512, dilated=True),
    "stage5d": BlockSpec(4, 1024, 256, 512, dilated=True),
    "stage4d": BlockSpec(4, 1024, 128, 256),
    "stage3d": BlockSpec(5, 512, 64, 128),
    "stage2d": BlockSpec(6, 256, 32, 64),
    "stage1d": BlockSpec(7, 128, 16, 64),
}
SMALL = {
    name: spec._replace(
        in_channels=3 if name == "stage1" else 128 if name.endswith("d") else 64, mid_channels=16, out_channels=64
    )
    for name, spec in FULL.items()
}
ENCODER = [f"stage{level}" for level in range(1, 7)]
DECODER = [f"stage{level}d" for level in range(5, 0, -1)]


class ConvBlock(nn.Module):
    """3x3 convolution, batch normalisation, ReLU: (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(out_channels)
        self.relu_s1 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, out, H, W) of (N, in, H, W)."""
        features: Tensor = self.relu_s1(self.bn_s1(self.conv_s1(x)))
        return features


class ResidualUBlock(nn.Module):
    """RSU-L: a small U-Net of L levels whose output is added to its own first convolution.

    Levels 2 to L-1 are each half the size of the one above (rounded up), level L is dilated by 2. With `dilated`
    (RSU-4F) all levels keep the size and are dilated by 1, 2, 4, ...
    """

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        depth, in_channels, mid, out, self.dilated = spec
        dilations = [2**level for level in range(depth)] if self.dilated else [1] * (depth - 1) + [2]
        self.rebnconvin = ConvBlock(in_channels, out)
        self.encoder, self.decoder = [], []
        for level, dilation in enumerate(dilations, 1):
            self.encoder.append(f"rebnconv{level}")
            self.add_module(self.encoder[-1], ConvBlock(out if level == 1 else mid, mid, dilation))
        for level in range(depth - 1, 0, -1):
            self.decoder.append(f"rebnconv{level}d")
            block = ConvBlock(2 * mid, out if level == 1 else mid, dilations[level - 1])
            self.add_module(self.decoder[-1], block)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, out, H, W) of (N, in, H, W)."""
        x = residual = self.rebnconvin(x)
        skips = []
        for level, name in enumerate(self.encoder, 1):
            if not self.dilated and 1 < level < len(self.encoder):
                x = halve(x)
            x = self.get_submodule(name)(x)
            skips.append(x)
        x = skips.pop()
        for name in self.decoder:
            skip = skips.pop()
            same_size = self.dilated or name == self.decoder[0]
            x = self.get_submodule(name)(torch.cat((x if same_size else resize_to(x, skip), skip), 1))
        return torch.add(x, residual)


class U2Net(nn.Module):
    """U²-Net.

    Args:
        outputs: Maps to compute: 7 for training (the fused one, then one a decoder level, finest first), 1 for
            inference (the fused one).

    Attributes:
        table: The blocks by name, ``FULL`` or ``SMALL``.
    """

    input_channels = 3
    max_outputs = 7
    table = FULL

    def __init__(self, outputs: int = 7) -> None:
        super().__init__()
        self.outputs = outputs
        for name, spec in self.table.items():
            self.add_module(name, ResidualUBlock(spec))
        for level, name in enumerate([*reversed(DECODER), ENCODER[-1]], 1):
            self.add_module(f"side{level}", nn.Conv2d(self.table[name].out_channels, 1, 3, padding=1))
        self.outconv = nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits of the maps.

        Args:
            x: (N, 3, H, W), normalised; any H and W of at least 1.

        Returns:
            ``outputs`` tensors (N, 1, H, W), before the sigmoid.
        """
        skips: list[Tensor] = []
        for name in ENCODER:
            x = self.get_submodule(name)(halve(x) if skips else x)
            skips.append(x)
        sides = [skips.pop()]  # coarsest first
        for name in DECODER:
            skip = skips.pop()
            sides.append(self.get_submodule(name)(torch.cat((resize_to(sides[-1], skip), skip), 1)))
        maps = [self.get_submodule(f"side{level}")(side) for level, side in enumerate(reversed(sides), 1)]
        maps = [maps[0], *(resize_to(coarse, maps[0]) for coarse in maps[1:])]
        return (self.outconv(torch.cat(maps, 1)), *maps)[: self.outputs]


class U2NetP(U2Net):
    """The small U²-Net: the same U with 16 and 64 channels throughout."""

    table = SMALL


def halve(x: Tensor) -> Tensor:
    """2x2 maximum pooling; odd sides are rounded up."""
    return functional.max_pool2d(x, 2, 2, ceil_mode=True)


def resize_to(x: Tensor, target: Tensor) -> Tensor:
    """Resizes (N, C, h, w) to the height and width of `target`, bilinear with half-pixel centres."""
    return functional.interpolate(x, size=target.shape[2:], mode="bilinear", align_corners=False)
