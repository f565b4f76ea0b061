# SPDX-License-Identifier: Apache-2.0
"""The progress of a run: a bar on a terminal, or a line a minute in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as lightning
from rich import progress
from rich.console import Console

LINE_SECONDS = 60.0  # time between two lines
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


class Lines(lightning.Callback):
    """Reports the progress of a run every minute as a line: epoch, step, loss, speed, and the remaining time.

    Args:
        on_message: Called with each line.
        images: Images per step, on all processes.
    """

    def __init__(self, on_message: Callable[[str], None], images: int) -> None:
        self.on_message, self.images = on_message, images
        self._started = self._said = 0.0
        self._steps = self._steps_said = 0  # of this process, without those before a resumption

    def on_train_start(self, *_: Any) -> None:
        """Starts the clock."""
        self._started = self._said = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, _: Any, outputs: Any, __: Any, index: int) -> None:
        """Writes a line if it is time."""
        self._steps += 1
        now = time.monotonic()
        if now - self._said < LINE_SECONDS:
            return
        speed = (self._steps - self._steps_said) * self.images / (now - self._said)
        epochs, per_epoch = trainer.max_epochs or 0, int(trainer.num_training_batches)
        left = epochs * per_epoch - trainer.fit_loop.epoch_loop.batch_progress.total.ready
        seconds = max(0, left) * (now - self._started) / self._steps  # with the time of validations
        self._said, self._steps_said = now, self._steps
        self.on_message(
            f"epoch {trainer.current_epoch + 1}/{epochs}, step {index + 1}/{per_epoch}: "
            f"loss {float(outputs['loss']):.4f}, {speed:.4g} images/s, {duration(seconds)} left"
        )


def duration(seconds: float) -> str:
    """A duration to read: "45 s", "12 min", "3 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
