# SPDX-License-Identifier: Apache-2.0
"""Writes ``last.ckpt`` to resume from, ``best.safetensors`` and ``last.safetensors`` to use; complete or absent."""

from __future__ import annotations

import io
import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from ...errors import ModelError
from ...files import atomic_file
from ..config import LAST, TrainConfig
from ..models import save_checkpoint
from ..models.state_dicts import load_error
from ..module import MatteModule


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes Lightning's checkpoints so that a crash or a full disk keeps the previous one; reads weights only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Raises Error if the file cannot be written."""
        data = io.BytesIO()  # so that Ctrl-C raises KeyboardInterrupt, not an error of the archive writer
        torch.save(checkpoint, data)
        with atomic_file(path) as file:
            file.write(data.getbuffer())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Reads plain values and tensors. Raises ModelError if the file is damaged, or would run code."""
        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # zip, pickle, OS and PyTorch's own errors
            raise ModelError(
                f"{path} is damaged, so the run cannot be resumed ({load_error(error)}); a new run can start from "
                f"{Path(path).with_name('last.safetensors')} (--init)"
            ) from error
        return content


class Checkpoints(lightning.Callback):
    """Saves what a run is resumed from, and its best weights.

    Args:
        folder: Of the run.
        config: Decides which weights are best, and the longest time between two ``last.ckpt``.
    """

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        self.folder, self.config = folder, config
        self.best: float | None = None
        self.best_epoch = -1
        self._saved_at = time.monotonic()

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Saves the weights, also as the best if they are."""
        if trainer.sanity_checking:
            return
        module: MatteModule = pl_module  # type: ignore[assignment]
        value = float(module.validation.compute()[self.config.monitor])  # on all processes: it sums over them
        if trainer.is_global_zero:
            save_checkpoint(module.model, module.model_config, self.folder / "last.safetensors")
        if not math.isnan(value) and (self.best is None or self._is_better(value, self.best)):
            self.best, self.best_epoch = value, trainer.current_epoch + 1
            if trainer.is_global_zero:
                save_checkpoint(module.model, module.model_config, self.folder / "best.safetensors")
        self._stop_early(trainer)

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Stops at once if the resumed run had already stopped early."""
        self._stop_early(trainer, finished=trainer.current_epoch)

    def on_train_batch_end(self, trainer: lightning.Trainer, _: Any, __: Any, ___: Any, index: int) -> None:
        """Saves if the last checkpoint is too old."""
        due = time.monotonic() - self._saved_at > 60 * self.config.checkpoint_minutes
        due = trainer.strategy.broadcast(due) if trainer.world_size > 1 else due
        if due and self.can_save(trainer, index):
            self.save(trainer)

    def can_save(self, trainer: lightning.Trainer, index: int) -> bool:
        """Whether a run can resume after this batch: no gradients are accumulated, and the epoch is not over."""
        is_last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        return (index + 1) % self.config.accumulate == 0 and not is_last

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Saves."""
        self.save(trainer)

    def save(self, trainer: lightning.Trainer) -> None:
        """Writes ``last.ckpt``; on all processes."""
        trainer.save_checkpoint(self.folder / LAST)
        self._saved_at = time.monotonic()

    def _is_better(self, value: float, best: float) -> bool:
        return value > best if self.config.larger_is_better else value < best

    def _stop_early(self, trainer: lightning.Trainer, finished: int | None = None) -> None:
        epochs = trainer.current_epoch + 1 if finished is None else finished
        if self.config.patience and self.best is not None and epochs - self.best_epoch >= self.config.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, and its epoch."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores them."""
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
