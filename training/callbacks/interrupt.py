# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, signals to end, and the time limit: the run ends after a step, with ``last.ckpt`` written."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from typing import Any

import lightning.pytorch as lightning

from .checkpoints import Checkpoints

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

log = logging.getLogger("rmbg_trt.training")


TIME_LIMIT = "time limit"
INTERRUPTED = "interrupted"


class InterruptedRun(Exception):  # noqa: N818  # no error: the user wanted it
    """The run was stopped, for the reason that is its text, and can be resumed."""


class Interrupt(lightning.Callback):
    """Ends a run where it can be taken up again. A second Ctrl-C ends it at once.

    Args:
        checkpoints: That writes ``last.ckpt``.
        max_minutes: Time until it ends; 0: no limit.
    """

    def __init__(self, checkpoints: Checkpoints, max_minutes: float) -> None:
        self.checkpoints, self.max_minutes = checkpoints, max_minutes
        self._asked = False
        self._ends_at = math.inf
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Listens, where Python allows it: in the main thread."""
        if self.max_minutes:
            self._ends_at = time.monotonic() + 60 * self.max_minutes
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._ask)

    def on_train_batch_end(self, trainer: lightning.Trainer, _: Any, __: Any, ___: Any, index: int) -> None:
        """Saves and stops, unless the epoch is over: then its validation is still made."""
        reason = self._reason(trainer)
        if reason and self.checkpoints.can_save(trainer, index):
            self.checkpoints.save(trainer)
            raise InterruptedRun(reason)

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Stops; `Checkpoints`, which stands before, has saved."""
        reason = self._reason(trainer)
        finished = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if reason and not finished:
            raise InterruptedRun(reason)

    def on_exception(self, *_: Any) -> None:
        """Listens no longer."""
        self._restore()

    def on_train_end(self, *_: Any) -> None:
        """Listens no longer."""
        self._restore()

    def _reason(self, trainer: lightning.Trainer) -> str:
        """Why all processes are to stop, or nothing."""
        decide = trainer.strategy.reduce_boolean_decision
        if decide(self._asked, all=False):
            return INTERRUPTED
        return TIME_LIMIT if self.max_minutes and decide(time.monotonic() > self._ends_at, all=False) else ""

    def _ask(self, *_: Any) -> None:
        self._asked = True
        self._restore()
        log.warning("stopping as soon as a checkpoint is written; Ctrl-C again stops at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
