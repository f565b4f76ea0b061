# SPDX-License-Identifier: Apache-2.0
"""Augmentation of an image with its mask, by Kornia; all random numbers come from PyTorch's generator."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..config import AugmentConfig
from ..requirements import require


class Augment:
    """Moves an image and its mask alike, and changes the colors of the image.

    Args:
        config: The steps and their strength.
        size: (height, width) of the images.

    Raises:
        UnavailableError: Kornia is not installed.
    """

    def __init__(self, config: AugmentConfig, size: tuple[int, int]) -> None:
        require("kornia")
        import kornia.augmentation as kornia
        from kornia.constants import DataKey, Resample

        moves: list[Any] = []
        colors: list[Any] = []
        if config.flip:
            moves.append(kornia.RandomHorizontalFlip(p=config.flip))
        if config.scale != (1.0, 1.0):
            moves.append(kornia.RandomAffine(0, scale=config.scale, padding_mode="reflection", p=1.0))
        if config.crop < 1:
            moves.append(kornia.RandomCrop((round(config.crop * size[0]), round(config.crop * size[1]))))
        if config.jitter:
            share = config.jitter
            colors.append(kornia.ColorJitter(share, share, share, share / 10, p=0.8))
        if config.blur:
            colors.append(kornia.RandomGaussianBlur((7, 7), (0.3, 2.0), p=config.blur))
        if config.jpeg:
            colors.append(kornia.RandomJPEG((30.0, 90.0), p=config.jpeg))
        keys: list[Any] = ["input", "mask"]
        extra = {DataKey.MASK: {"resample": Resample.BILINEAR, "align_corners": False}}
        self._moves = kornia.AugmentationSequential(*moves, data_keys=keys, extra_args=extra) if moves else None
        self._colors = kornia.AugmentationSequential(*colors, data_keys=["input"]) if colors else None

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Augments an image (3, H, W) RGB and its mask (1, H, W), both in 0..1; a crop makes both smaller."""
        image, mask = image[None], mask[None]
        if self._moves is not None:
            image, mask = self._moves(image, mask)
        if self._colors is not None:
            image = self._colors(image)
        return image[0].clamp(0, 1), mask[0].clamp(0, 1)


def replace_background(image: Tensor, mask: Tensor, other: Tensor, other_mask: Tensor) -> Tensor:
    """Puts the object of an image (3, H, W) in front of another image, whose own object is painted over.

    Args:
        image: (3, H, W) RGB in 0..1.
        mask: (1, H, W) in 0..1.
        other: (3, H, W), the background.
        other_mask: (1, H, W), the object to paint over.
    """
    return mask * image + (1 - mask) * paint_over(other, other_mask)


def paint_over(image: Tensor, mask: Tensor) -> Tensor:
    """Fills a region with the colors around it: averages of the known pixels, from coarse to fine (push-pull).

    Args:
        image: (3, H, W).
        mask: (1, H, W) in 0..1, 1 where the image is filled. If that is everywhere, the image is returned unchanged.

    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.
    """
    reach = functional.max_pool2d(mask[None], 9, 1, 4)  # so that no rim of the object stays visible
    known = 1 - reach
    if float(known.sum()) == 0:
        return image
    levels = [(image[None] * known, known)]
    while max(levels[-1][1].shape[2:]) > 1:
        colors, weight = levels[-1]
        levels.append(tuple(functional.avg_pool2d(map_, 2, ceil_mode=True) for map_ in (colors, weight)))  # type: ignore[arg-type]
    colors, weight = levels.pop()
    filled = colors / weight.clamp(min=1e-8)
    for colors, weight in reversed(levels):
        up = functional.interpolate(filled, size=weight.shape[2:], mode="bilinear", align_corners=False)
        share = weight.clamp(max=1)
        filled = torch.where(weight > 1e-8, colors / weight.clamp(min=1e-8), up) * share + up * (1 - share)
    return filled[0]


@functools.cache
def augment_of(config: AugmentConfig, size: tuple[int, int]) -> Augment:
    """The augmentation for a configuration, created once per process."""
    return Augment(config, size)
