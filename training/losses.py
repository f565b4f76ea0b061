# SPDX-License-Identifier: Apache-2.0
"""Losses as pure functions of the logits of all maps of a network and the target.

`outputs` is a tuple of logits (N, 1, H, W), the fused map first; `target` is (N, 1, H, W) in 0..1. Losses are summed
over the maps (deep supervision, as in U²-Net) and averaged over images, so they do not depend on the batch size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import Tensor

Outputs = tuple[Tensor, ...]
Loss = Callable[[Outputs, Tensor], Tensor]


def bce(outputs: Outputs, target: Tensor) -> Tensor:
    """Binary cross-entropy, summed over the maps.

    Source: Qin et al., "U²-Net", Pattern Recognition 2020, equation 2, all weights 1.
    """
    return torch.stack([functional.binary_cross_entropy_with_logits(logits, target) for logits in outputs]).sum()


def dice(outputs: Outputs, target: Tensor) -> Tensor:
    """One minus the soft Dice coefficient of each image, summed over the maps; squares in the denominator.

    An image without an object adds nothing if nothing is predicted.

    Source: Milletari et al., "V-Net", 3DV 2016.
    """
    losses = []
    for logits in outputs:
        alpha = logits.sigmoid().flatten(1)
        truth = target.flatten(1)
        overlap = (alpha * truth).sum(1)
        size = alpha.square().sum(1) + truth.square().sum(1)
        losses.append((1 - (2 * overlap + 1) / (size + 1)).mean())
    return torch.stack(losses).sum()


def bce_dice(outputs: Outputs, target: Tensor) -> Tensor:
    """The sum of `bce` and `dice`."""
    return bce(outputs, target) + dice(outputs, target)


def matte(outputs: Outputs, target: Tensor) -> Tensor:
    """For alpha mattes: the mean absolute difference and the `laplacian` loss, both of the alpha, summed over the maps.

    Source: Hou and Liu, "Context-Aware Image Matting", ICCV 2019, equations 2 and 3.
    """
    alphas = [logits.sigmoid() for logits in outputs]
    return torch.stack([functional.l1_loss(alpha, target) + laplacian(alpha, target) for alpha in alphas]).sum()


def laplacian(alpha: Tensor, target: Tensor, levels: int = 5) -> Tensor:
    """The mean absolute difference of each level of two Laplacian pyramids, weighted by 2 to the power of the level.

    Args:
        alpha: (N, 1, H, W).
        target: Of the same shape.
        levels: Largest number of levels; a level of one pixel ends the pyramid.
    """
    total: Tensor = alpha.new_zeros(())
    difference = alpha - target  # the pyramid is linear: one pyramid of the difference is enough
    for level in range(levels):
        weight = float(1 << level)
        if min(difference.shape[2:]) < 2 or level == levels - 1:
            return total + weight * difference.abs().mean()
        smaller = functional.avg_pool2d(_blur(difference), 2, ceil_mode=True)
        back = functional.interpolate(smaller, size=difference.shape[2:], mode="bilinear", align_corners=False)
        total = total + weight * (difference - back).abs().mean()
        difference = smaller
    raise AssertionError("the last level returns")


def _blur(x: Tensor) -> Tensor:
    """A five-tap binomial filter in both directions; edge pixels are repeated."""
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=x.device, dtype=x.dtype) / 16
    x = functional.conv2d(functional.pad(x, (2, 2, 0, 0), mode="replicate"), taps.view(1, 1, 1, 5))
    return functional.conv2d(functional.pad(x, (0, 0, 2, 2), mode="replicate"), taps.view(1, 1, 5, 1))


LOSSES: dict[str, Loss] = {"bce": bce, "dice": dice, "bce_dice": bce_dice, "matte": matte}
