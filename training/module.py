# SPDX-License-Identifier: Apache-2.0
"""The network, its loss, optimizer and validation, as a Lightning module."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn

from .config import TrainConfig
from .data.dataset import Sample
from .losses import LOSSES, Outputs
from .models import ModelConfig
from .validation import Validation


class MatteModule(lightning.LightningModule):
    """A network in training.

    Args:
        model: One of ``models.ARCHITECTURES``, with all its outputs.
        model_config: Of the model.
        config: Of the run.
        steps: Number of optimizer steps in the whole run. (Lightning can compute it, but that starts the loader before
            a resumed run has restored the loader's position.)
    """

    def __init__(self, model: nn.Module, model_config: ModelConfig, config: TrainConfig, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.model = model
        if config.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its declaration
        self.model_config = model_config
        self.config = config
        self.validation = Validation()
        self._plateau: Any = None
        self._plateau_state: Any = None
        if config.compile:
            self.model.compile()
        self.train()  # models from files are in evaluation mode, and Lightning does not change it

    def forward(self, image: Tensor) -> Outputs:
        """Logits of all maps, (N, 1, H, W) each, for normalised images (N, 3, H, W)."""
        if self.config.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        outputs: Outputs = self.model(image)
        return outputs

    def loss(self, outputs: Outputs, mask: Tensor) -> Tensor:
        """The run's loss, in float32 whatever the network's precision is."""
        return LOSSES[self.config.loss](tuple(logits.float() for logits in outputs), mask)

    def training_step(self, batch: Sample, _: int) -> Tensor:
        """The loss of a batch."""
        return self.loss(self(batch.image), batch.mask)

    def validation_step(self, batch: Sample, _: int) -> Tensor:
        """Measures a batch. Returns its alpha (N, 1, H, W) in 0..1, stretched as the engine does it."""
        outputs = self(batch.image)
        alpha = stretch(outputs[0].float().sigmoid())
        self.validation.update(alpha, batch.mask, self.loss(outputs, batch.mask))
        return alpha

    def on_validation_epoch_end(self) -> None:
        """Passes the results to the log and to the schedule."""
        results = self.validation.compute()
        self.log_dict(results)
        if self._plateau is not None:
            self._plateau.step(float(results["val_loss"]))
        self.validation.reset()

    def train(self, mode: bool = True) -> MatteModule:
        """Sets training or evaluation mode; frozen batch normalisations stay in evaluation mode."""
        super().train(mode)
        if self.config.freeze_batch_norm:
            for layer in self.model.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self

    def configure_optimizers(self) -> Any:
        """The optimizer, and its schedule by steps or epochs."""
        config = self.config
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        optimizer: torch.optim.Optimizer
        if config.optimizer == "adamw":
            optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
        else:
            optimizer = torch.optim.Adam(parameters, lr=config.lr)
        schedulers = torch.optim.lr_scheduler
        warm = max(1, min(config.warmup_steps, self.steps // 10))
        factor = _factor(warm, self.steps, config.min_lr / config.lr if config.schedule == "cosine" else None)
        by_step: Any = schedulers.LambdaLR(optimizer, factor)
        if config.schedule == "plateau":  # both multiply the current rate, so they can be combined
            by_step = schedulers.LinearLR(optimizer, 1 / warm, total_iters=warm - 1)
            self._plateau = schedulers.ReduceLROnPlateau(
                optimizer, factor=0.5, patience=config.plateau_patience, min_lr=config.min_lr
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
        return [optimizer], [{"scheduler": by_step, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Saves the state of "plateau", which Lightning would update only after an epoch's checkpoint."""
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the state of "plateau" until the optimizer is created."""
        self._plateau_state = checkpoint.get("plateau")


def stretch(alpha: Tensor) -> Tensor:
    """Stretches each map (N, 1, H, W) from its minimum to its maximum; a constant one gives zeros."""
    low, high = alpha.amin((1, 2, 3), keepdim=True), alpha.amax((1, 2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (alpha - low) / span.clamp(min=1e-12), torch.zeros_like(alpha))


def _factor(warm: int, steps: int, last: float | None) -> Callable[[int], float]:
    """Factor of the learning rate at a step: a linear rise, then half a cosine down to `last`, or constant.

    A function, not an object: a scheduler would save its fields, and a prolonged run would keep the old length.
    """

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        if last is None:
            return 1.0
        way = min(1.0, (step - warm) / max(1, steps - warm))
        return last + (1 - last) * (1 + math.cos(math.pi * way)) / 2

    return factor
