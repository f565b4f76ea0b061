# SPDX-License-Identifier: Apache-2.0
"""Validation after each epoch: mean IoU, mean absolute error, maximal F-measure and loss, over all processes.

It runs at the network's size, which is fast and good enough for comparing epochs. ``rmbg-trt evaluate`` measures
through the engine, at the size of the images.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from .metrics import BETA_SQUARED


class Validation(Metric):
    """Results of a validation: means over the images; for the F-measure, the maximum of the mean curve."""

    full_state_update = False
    count: Tensor
    iou: Tensor
    mae: Tensor
    loss: Tensor
    f_curve: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("count", "iou", "mae", "loss"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("f_curve", torch.zeros(256, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, alpha: Tensor, mask: Tensor, loss: Tensor) -> None:
        """Adds a batch: alpha and mask (N, 1, H, W) in 0..1, above 0.5 is foreground; and its loss, a number."""
        alpha, mask = alpha.flatten(1), mask.flatten(1)
        found, truth = alpha > 0.5, mask > 0.5
        overlap, union = (found & truth).sum(1), (found | truth).sum(1)
        iou = torch.where(union > 0, overlap / union.clamp(min=1), torch.ones_like(alpha[:, 0]))
        self.count += len(alpha)
        self.iou += iou.double().sum()
        self.mae += (alpha - mask).abs().double().mean(1).sum()
        self.loss += loss.double() * len(alpha)
        self.f_curve += f_curves(alpha, truth).sum(0)

    def compute(self) -> dict[str, Tensor]:
        """The results by name: "val_iou", "val_mae", "val_maxf" and "val_loss"."""
        means = {f"val_{name}": getattr(self, name) / self.count for name in ("iou", "mae", "loss")}
        return {**means, "val_maxf": (self.f_curve / self.count).max()}


def f_curves(alpha: Tensor, truth: Tensor) -> Tensor:
    """The F-measure (N, 256), float64, at the 8-bit thresholds from 255 down to 0; see ``metrics.f_curve``.

    Args:
        alpha: (N, P) in 0..1.
        truth: (N, P) bool.
    """
    levels = (alpha.nan_to_num() * 255).to(torch.int64)

    def at_least(chosen: Tensor) -> Tensor:
        counts = torch.zeros(len(levels), 256, dtype=torch.float64, device=alpha.device)
        return counts.scatter_add_(1, levels, chosen.double()).flip(1).cumsum(1)

    hits, all_found = at_least(truth), at_least(torch.ones_like(truth))
    precision = hits / all_found.clamp(min=1)
    recall = hits / truth.sum(1, keepdim=True).clamp(min=1)
    return (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall).clamp(min=1e-12)
