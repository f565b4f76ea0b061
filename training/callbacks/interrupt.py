# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: the step is finished, ``last.ckpt`` written, the run ends; a second Ctrl-C ends it at once."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

import lightning.pytorch as lightning

from .checkpoints import Checkpoints

log = logging.getLogger("rmbg_trt.training")


class InterruptedRun(Exception):  # noqa: N818  # no error: the user wanted it
    """The run was interrupted, and can be resumed."""


class Interrupt(lightning.Callback):
    """Ends a run where it can be taken up again.

    Args:
        checkpoints: That writes ``last.ckpt``.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self._asked = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Listens, where Python allows it: in the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Saves and stops, unless the epoch is over: then its validation is still made."""
        asked = trainer.strategy.reduce_boolean_decision(self._asked, all=False)
        if asked and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self.checkpoints.save(trainer)
            raise InterruptedRun

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Stops; `Checkpoints`, which stands before, has saved."""
        if trainer.strategy.reduce_boolean_decision(self._asked, all=False):
            raise InterruptedRun

    def on_exception(self, *_: Any) -> None:
        """Listens no longer."""
        self._restore()

    def on_train_end(self, *_: Any) -> None:
        """Listens no longer."""
        self._restore()

    def _ask(self, *_: Any) -> None:
        self._asked = True
        self._restore()
        log.warning("stopping as soon as a checkpoint is written; Ctrl-C again stops at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
