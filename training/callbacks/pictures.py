# SPDX-License-Identifier: Apache-2.0
"""A grid of validation pictures after each epoch: picture, truth, prediction, cutout; a row a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as lightning
import numpy as np
from PIL import Image
from torch import Tensor

from ...image import write_image
from ..data.dataset import Sample, denormalize

if TYPE_CHECKING:
    from ..module import MatteModule

_SIDE = 160


class Pictures(lightning.Callback):
    """Draws the first validation pictures, ``pictures/epoch_003.png``.

    Args:
        folder: Of the run.
        count: Rows; none is drawn for 0.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self._rows: list[np.ndarray] = []

    def on_validation_epoch_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Begins a new grid."""
        self._rows = []

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Sample, *_: Any
    ) -> None:
        """Takes what is missing from this batch."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        module: MatteModule = pl_module  # type: ignore[assignment]
        for image, mask, alpha in zip(batch.image, batch.mask, outputs, strict=True):
            if len(self._rows) == self.count:
                return
            picture = denormalize(image.float().cpu(), module.model_config)
            self._rows.append(_row(picture, mask.cpu(), alpha.float().cpu()))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Writes the grid."""
        if self._rows:
            path = self.folder / "pictures" / f"epoch_{trainer.current_epoch + 1:03d}.png"
            write_image(path, np.concatenate(self._rows))
        self._rows = []


def _row(picture: Tensor, mask: Tensor, alpha: Tensor) -> np.ndarray:
    """(side, 4 * side, 3) RGB uint8 of (3, H, W) and twice (1, H, W), all in 0..1."""
    tiles = [picture, mask.expand_as(picture), alpha.expand_as(picture), alpha * picture + (1 - alpha) * _checks(alpha)]
    images = [Image.fromarray((tile.permute(1, 2, 0).numpy() * 255).astype(np.uint8)) for tile in tiles]
    return np.concatenate([np.asarray(each.resize((_SIDE, _SIDE), Image.Resampling.BOX)) for each in images], axis=1)


def _checks(like: Tensor) -> Tensor:
    """A checkerboard (1, H, W) as image editors show transparency."""
    rows, columns = (np.arange(side) // 16 for side in like.shape[1:])
    return like.new_tensor(0.6 + 0.2 * ((rows[:, None] + columns) % 2))[None]
