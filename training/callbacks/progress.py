# SPDX-License-Identifier: Apache-2.0
"""A progress bar on the terminal: epoch, step, loss, and the remaining time of the whole run."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as lightning
from rich import progress
from rich.console import Console

_EVERY = 5  # steps between two reads of the loss: reading waits for the GPU


class Bar(lightning.Callback):
    """Shows the progress of a run on a terminal."""

    def __init__(self, console: Console) -> None:
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[loss]}", markup=False),
            progress.TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: progress.TaskID | None = None

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Shows the bar, including the earlier steps of a resumed run."""
        total = trainer.num_training_batches * (trainer.max_epochs or 0)
        done = trainer.fit_loop.epoch_loop.batch_progress.total.completed
        self._bar.start()
        self._task = self._bar.add_task("training", total=total, completed=done, loss="")

    def on_train_batch_end(self, trainer: lightning.Trainer, _: Any, outputs: Any, __: Any, index: int) -> None:
        """Advances the bar by a step."""
        assert self._task is not None
        if index % _EVERY == 0:
            self._bar.update(self._task, loss=f"loss {float(outputs['loss']):.4f}")
        self._bar.update(self._task, advance=1, description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_validation_start(self, *_: Any) -> None:
        """Shows that the validation runs."""
        if self._task is not None:
            self._bar.update(self._task, description="validation")

    def on_exception(self, *_: Any) -> None:
        """Removes the bar."""
        self._bar.stop()

    def on_train_end(self, *_: Any) -> None:
        """Removes the bar."""
        self._bar.stop()
