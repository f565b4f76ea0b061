# SPDX-License-Identifier: Apache-2.0
"""A grid of validation images after each epoch: a row per image with the image, the truth, the alpha, the cutout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
from PIL import Image
from torch import Tensor

from ...image import write_image
from ..data.dataset import Sample, denormalize
from ..module import MatteModule

_SIDE = 160


class Previews(lightning.Callback):
    """Draws the first validation images into ``previews/epoch_003.png``.

    Args:
        folder: Of the run.
        count: Number of rows; 0 draws nothing.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self._rows: list[np.ndarray] = []

    def on_validation_epoch_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Starts a new grid."""
        self._rows = []

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Sample, *_: Any
    ) -> None:
        """Adds images of this batch until the grid is full."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        module: MatteModule = pl_module  # type: ignore[assignment]
        for image, mask, alpha in zip(batch.image, batch.mask, outputs, strict=True):
            if len(self._rows) == self.count:
                return
            shown = denormalize(image.float().cpu(), module.model_config)
            self._rows.append(_row(shown, mask.cpu(), alpha.float().cpu()))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Writes the grid."""
        if self._rows:
            path = self.folder / "previews" / f"epoch_{trainer.current_epoch + 1:03d}.png"
            write_image(path, np.concatenate(self._rows))
        self._rows = []


def _row(image: Tensor, mask: Tensor, alpha: Tensor) -> np.ndarray:
    """(side, 4 * side, 3) RGB uint8 from (3, H, W), (1, H, W) and (1, H, W), all in 0..1."""
    parts = [image, mask.expand_as(image), alpha.expand_as(image), alpha * image + (1 - alpha) * _checks(alpha)]
    tiles = [Image.fromarray((part.permute(1, 2, 0).numpy() * 255).astype(np.uint8)) for part in parts]
    return np.concatenate([np.asarray(tile.resize((_SIDE, _SIDE), Image.Resampling.BOX)) for tile in tiles], axis=1)


def _checks(like: Tensor) -> Tensor:
    """A checkerboard (1, H, W), as image editors show transparency."""
    rows, columns = (np.arange(side) // 16 for side in like.shape[1:])
    return like.new_tensor(0.6 + 0.2 * ((rows[:, None] + columns) % 2))[None]
