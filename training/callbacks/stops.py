# SPDX-License-Identifier: Apache-2.0
"""What stops a run: Ctrl-C, termination signals, the time limit, a loss that is NaN, or a training that diverged."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch

from ...errors import Error
from ...files import atomic_file
from ..data.dataset import Sample
from ..module import MatteModule
from .checkpoints import Checkpoints

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

log = logging.getLogger("rmbg_trt.training")

LARGEST_LOSS = 1000.0
"""Of a validation. Guessing costs about 1 for each of at most 7 maps, so that only exploded weights get here."""

TIME_LIMIT = "time limit"
INTERRUPTED = "interrupted"


class InterruptedRun(Exception):  # noqa: N818  # not an error: the user wanted it
    """The run was stopped and can be resumed; the text is the reason."""


class Interrupt(lightning.Callback):
    """Stops a run where it can be resumed. A second Ctrl-C stops it at once.

    Args:
        checkpoints: Writes ``last.ckpt``.
        max_minutes: Time until it stops; 0: no limit.
    """

    def __init__(self, checkpoints: Checkpoints, max_minutes: float) -> None:
        self.checkpoints, self.max_minutes = checkpoints, max_minutes
        self._signalled = False
        self._ends_at = math.inf
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Installs the signal handlers, if this is the main thread, as Python requires."""
        if self.max_minutes:
            self._ends_at = time.monotonic() + 60 * self.max_minutes
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._on_signal)

    def on_train_batch_end(self, trainer: lightning.Trainer, _: Any, __: Any, ___: Any, index: int) -> None:
        """Saves and stops, unless the epoch is over: then it is validated first."""
        reason = self._reason(trainer)
        if reason and self.checkpoints.can_save(trainer, index):
            self.checkpoints.save(trainer)
            raise InterruptedRun(reason)

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Stops; `Checkpoints`, an earlier callback, has already saved."""
        reason = self._reason(trainer)
        finished = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if reason and not finished:
            raise InterruptedRun(reason)

    def on_exception(self, *_: Any) -> None:
        """Restores the signal handlers."""
        self._restore()

    def on_train_end(self, *_: Any) -> None:
        """Restores the signal handlers."""
        self._restore()

    def _reason(self, trainer: lightning.Trainer) -> str:
        """Why all processes must stop, or an empty string."""
        decide = trainer.strategy.reduce_boolean_decision
        if decide(self._signalled, all=False):
            return INTERRUPTED
        return TIME_LIMIT if self.max_minutes and decide(time.monotonic() > self._ends_at, all=False) else ""

    def _on_signal(self, *_: Any) -> None:
        self._signalled = True
        self._restore()
        log.warning("stopping as soon as a checkpoint is written; Ctrl-C again stops at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


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


class DivergenceGuard(lightning.Callback):
    """Checks the loss of each validation before its weights are saved.

    Args:
        folder: Of the run.
        lr: Its learning rate, for the message.
    """

    def __init__(self, folder: Path, lr: float) -> None:
        self.folder, self.lr = folder, lr

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Raises Error if the loss is not finite, or so large that the weights are useless."""
        module: MatteModule = pl_module  # type: ignore[assignment]
        loss = float(module.validation.compute()["val_loss"])
        if trainer.sanity_checking or loss <= LARGEST_LOSS:
            return
        best = self.folder / "best.safetensors"
        kept = f" {best} keeps the best weights of the epochs before." if best.is_file() else ""
        raise Error(
            f"the training has diverged: the validation loss is {loss:.4g} after epoch {trainer.current_epoch + 1}; "
            f"nothing of this epoch is saved.{kept} Start again with a smaller lr (it is {self.lr:g})"
        )
