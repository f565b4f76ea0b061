# SPDX-License-Identifier: Apache-2.0
"""A moving average of the weights, which is validated and saved; training continues with the weights themselves."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class Average(WeightAveraging):
    """Exponential moving average of parameters and buffers, mixed with the initial weights of the run.

    Must be the first callback: what the others save after a step includes its update, and they see the averaged weights
    until the validation is over.

    Args:
        decay: After n updates it is the smaller of this and (1 + n) / (10 + n), so that the initial weights do not
            dominate a short run (as in TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``).
        keep: Share of the initial weights in what is validated.

    Source:
        Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (the mixing of weights).
    """

    def __init__(self, decay: float, keep: float) -> None:
        def mean(average: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
            if average[0].is_floating_point():
                number = int(updates)
                torch._foreach_lerp_(average, current, 1 - min(decay, (1 + number) / (10 + number)))
            else:  # counters
                torch._foreach_copy_(average, current)

        super().__init__(multi_avg_fn=mean)
        self.keep = keep
        self._first: dict[str, Tensor] = {}
        self._unmixed: dict[str, Tensor] = {}

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Copies the initial weights."""
        super().setup(trainer, pl_module, stage)
        if self.keep:
            self._first = {name: tensor.detach().clone() for name, tensor in pl_module.model.state_dict().items()}

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Saves the initial weights: their file may no longer exist when the run is resumed."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        checkpoint["first"] = self._first

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Restores the initial weights."""
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        self._first = checkpoint["first"]

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Puts the averaged and mixed weights into the module."""
        super().on_validation_epoch_start(trainer, pl_module)
        if self.keep:
            state = pl_module.model.state_dict()
            self._unmixed = {name: tensor.clone() for name, tensor in state.items()}
            with torch.no_grad():
                for name, tensor in state.items():
                    if tensor.is_floating_point():
                        tensor.lerp_(self._first[name].to(tensor.device), self.keep)

    def on_validation_epoch_end(self, *_: Any) -> None:
        """Leaves the averaged weights in the module for the callbacks that save them."""

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Puts the current weights back."""
        if self.keep:
            pl_module.model.load_state_dict(self._unmixed)
        super().on_validation_epoch_end(trainer, pl_module)
