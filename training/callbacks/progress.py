# SPDX-License-Identifier: Apache-2.0
"""A bar on the terminal: epoch, step, loss, pictures a second and the time that is left of the whole run."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as lightning
from rich import progress
from rich.console import Console

_EVERY = 5  # steps between two looks at the loss: each waits for the GPU


class Bar(lightning.Callback):
    """Shows how far a run is.

    Args:
        console: Where; a terminal.
    """

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
        """Shows the bar, with what a resumed run has done before."""
        total = trainer.num_training_batches * (trainer.max_epochs or 0)
        done = trainer.fit_loop.epoch_loop.batch_progress.total.completed
        self._bar.start()
        self._task = self._bar.add_task("training", total=total, completed=done, loss="")

    def on_train_batch_end(self, trainer: lightning.Trainer, _: Any, outputs: Any, __: Any, index: int) -> None:
        """A step further."""
        assert self._task is not None
        if index % _EVERY == 0:
            loss = f"loss {float(outputs['loss']):.4f}"
            self._bar.update(self._task, loss=loss)
        self._bar.update(self._task, advance=1, description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_validation_start(self, *_: Any) -> None:
        """Says so."""
        if self._task is not None:
            self._bar.update(self._task, description="validation")

    def on_exception(self, *_: Any) -> None:
        """Removes the bar."""
        self._bar.stop()

    def on_train_end(self, *_: Any) -> None:
        """Removes the bar."""
        self._bar.stop()
