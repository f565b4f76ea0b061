# SPDX-License-Identifier: Apache-2.0
"""The history of a run: a row per epoch in ``metrics.csv``, and the curves as an image."""

from __future__ import annotations

import csv
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor

from ...errors import InputError
from ...files import atomic_file
from ..data.loader import TrainLoader
from ..data.pairs import Fingerprint, compare_data
from ..module import MatteModule

log = logging.getLogger("rmbg_trt.training")

COLUMNS = (
    *("epoch", "step", "train_loss", "val_loss", "val_iou", "val_mae", "val_maxf"),
    *("lr", "seconds", "images_per_s", "waited"),
)
Row = dict[str, float]


class Record(lightning.Callback):
    """Records each epoch.

    ``waited`` is the share of the training time that was spent waiting for images; ``seconds`` and ``images_per_s``
    cover only training, without validation, since the start of the epoch or since the run was resumed in it.

    Args:
        folder: Of the run.
        loader: The training images.
        data: From `data.pairs.fingerprint`, to notice when a run is resumed that its images have changed.
        on_epoch: Called with each epoch's row.
        on_message: Called if the images have changed.
    """

    def __init__(
        self,
        folder: Path,
        loader: TrainLoader,
        data: Fingerprint,
        on_epoch: Callable[[Row], None],
        on_message: Callable[[str], None],
    ) -> None:
        self.folder, self.loader, self.data = folder, loader, data
        self.on_epoch, self.on_message = on_epoch, on_message
        self._sum = torch.zeros((), dtype=torch.float64)
        self._count = 0
        self._validation: Row = {}
        self._seconds = 0.0

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Removes the rows of epochs that a resumed run will repeat."""
        if trainer.is_global_zero:
            rows = _read_or_move_aside(self.folder)
            write_metrics(self.folder, [row for row in rows if row["epoch"] <= trainer.current_epoch])
        self._begin()

    def on_train_epoch_start(self, *_: Any) -> None:
        """Starts the clock."""
        self._begin()

    def on_train_batch_end(self, trainer: lightning.Trainer, _: Any, outputs: Any, *__: Any) -> None:
        """Adds a step's loss."""
        self._sum = self._sum.to(outputs["loss"].device) + outputs["loss"].detach()
        self._count += 1
        self._seconds = time.perf_counter() - self._started

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stores the results."""
        module: MatteModule = pl_module  # type: ignore[assignment]
        self._validation = {name: float(value) for name, value in module.validation.compute().items()}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes the epoch's row and the curves."""
        loss = self._reduced(trainer) / max(1, self._count)
        steps = max(1, self.loader.done - self._first_step)
        row: Row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "train_loss": float(loss),
            **self._validation,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(self._seconds, 2),
            "images_per_s": round(steps * self.loader.batch * self.loader.world / self._seconds, 3),
            "waited": round((self.loader.waited_s - self._waited) / self._seconds, 4),
        }
        self._sum, self._count = torch.zeros((), dtype=torch.float64), 0
        if trainer.is_global_zero:
            rows = [*read_metrics(self.folder), row]
            write_metrics(self.folder, rows)
            draw_curves(rows, self.folder / "curves.png")
            self.on_epoch(row)

    def on_save_checkpoint(self, trainer: lightning.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        """Saves the loader's position, and the sum of the epoch's losses, so that a resumed epoch has the same mean.

        (Lightning also saves the loader's state, but restores it only in the middle of an epoch.)
        """
        sums = {"sum": float(self._reduced(trainer)), "count": self._count}
        checkpoint["record"] = {**sums, "loader": self.loader.state_dict(), "data": self.data}

    def on_load_checkpoint(self, trainer: lightning.Trainer, _: Any, checkpoint: dict[str, Any]) -> None:
        """Restores them, and says whether the images are others than before."""
        changes = compare_data(checkpoint["record"].get("data", self.data), self.data)
        if changes:
            self.on_message(f"The data has changed since the run was stopped, and so will its curves: {changes}.")
        self.loader.load_state_dict(checkpoint["record"]["loader"])
        self._sum = torch.tensor(checkpoint["record"]["sum"], dtype=torch.float64)
        self._count = checkpoint["record"]["count"]

    def _reduced(self, trainer: lightning.Trainer) -> Tensor:
        """The mean of the sums of all processes."""
        total: Tensor = trainer.strategy.reduce(self._sum.to(trainer.strategy.root_device), reduce_op="mean")
        return total

    def _begin(self) -> None:
        self._started, self._waited = time.perf_counter(), self.loader.waited_s
        self._first_step = 0 if self.loader.done == len(self.loader) else self.loader.done


def read_metrics(folder: Path) -> list[Row]:
    """The rows of a run's ``metrics.csv``; none if there is no such file. Raises InputError if it is damaged."""
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [{name: float(row[name]) for name in COLUMNS} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise InputError(f"{path} could not be read: {error}") from error


def _read_or_move_aside(folder: Path) -> list[Row]:
    """The rows so far. A damaged file is moved aside, so that the run can continue."""
    try:
        return read_metrics(folder)
    except InputError as error:
        path = folder / "metrics.csv"
        log.warning("%s; it is moved to metrics.csv.damaged, and a new history is started", error)
        path.replace(path.with_suffix(".csv.damaged"))
        return []


def write_metrics(folder: Path, rows: list[Row]) -> None:
    """Writes ``metrics.csv``, completely or not at all. Raises Error if it cannot be written."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "epoch": int(row["epoch"]), "step": int(row["step"])})
    with atomic_file(folder / "metrics.csv") as file:
        file.write(text.getvalue().encode())


def draw_curves(rows: list[Row], path: Path) -> None:
    """Draws the losses, IoU and F-measure over the epochs, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    for axes, names in ((losses, ("train_loss", "val_loss")), (scores, ("val_iou", "val_maxf"))):
        for name in names:
            axes.plot(epochs, [row[name] for row in rows], marker="." if len(rows) < 60 else "", label=name)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    losses.set_title("loss")
    scores.set_title("validation")
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
