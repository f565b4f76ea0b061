# SPDX-License-Identifier: Apache-2.0
"""Stops the run if the loss is NaN or infinite, and saves the batch for inspection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch

from ...errors import Error
from ...files import atomic_file
from ..data.dataset import Sample
from ..module import MatteModule


class NanGuard(lightning.Callback):
    """Checks each loss before its gradient is used.

    Args:
        folder: Of the run; the batch is saved there as ``nan_batch.pt``.
        names: The names of the training images.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names
        self._batch: Sample | None = None

    def on_train_batch_start(self, trainer: lightning.Trainer, _: Any, batch: Any, __: int) -> None:
        """Remembers the batch."""
        self._batch = batch

    def on_before_backward(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: Any) -> None:
        """Raises Error if the loss is not finite."""
        if bool(torch.isfinite(loss)):
            return
        assert self._batch is not None
        module: MatteModule = pl_module  # type: ignore[assignment]
        names = [self.names[position] for position in self._batch.position.tolist()]
        path = self.folder / "nan_batch.pt"
        bad = [name for name, weights in module.model.named_parameters() if not bool(torch.isfinite(weights).all())]
        with atomic_file(path) as file:
            torch.save({"image": self._batch.image.cpu(), "mask": self._batch.mask.cpu(), "names": names}, file)
        why = f"{len(bad)} weights were not finite already, {bad[0]} first" if bad else "all weights are finite"
        where = f"step {trainer.global_step}, epoch {trainer.current_epoch + 1}"
        raise Error(
            f"the loss is {float(loss.detach())} in {where} ({why}); "
            f"the batch is saved in {path} (keys image, mask, names: {', '.join(names[:4])}...). Try a smaller lr, "
            "clip_norm above 0, or precision fp32"
        )
