# SPDX-License-Identifier: Apache-2.0
"""The running mean of the weights: what is validated and kept; training goes on with the weights themselves."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class Average(WeightAveraging):
    """Exponential moving average of parameters and buffers, mixed with the weights that the run began with.

    Stands before all other callbacks: what they save after a step has its update, and they see the averaged weights
    until the validation is over.

    Args:
        decay: After n updates it is the smaller of this and (1 + n) / (10 + n), so that a short run is not held back by
            the weights it began with (as TensorFlow's ``ExponentialMovingAverage`` does with ``num_updates``).
        keep: Share of the weights that the run began with in what is validated.

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
        """Remembers what the run begins with."""
        super().setup(trainer, pl_module, stage)
        if self.keep:
            self._first = {name: each.detach().clone() for name, each in pl_module.model.state_dict().items()}

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Keeps what the run began with: its file may be gone when it is resumed."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        checkpoint["first"] = self._first

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Takes it back."""
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        self._first = checkpoint["first"]

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Puts the averaged weights into the module, mixed."""
        super().on_validation_epoch_start(trainer, pl_module)
        if self.keep:
            own = pl_module.model.state_dict()
            self._unmixed = {name: each.clone() for name, each in own.items()}
            with torch.no_grad():
                for name, each in own.items():
                    if each.is_floating_point():
                        each.lerp_(self._first[name].to(each.device), self.keep)

    def on_validation_epoch_end(self, *_: Any) -> None:
        """Leaves the averaged weights in the module for those who keep them."""

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Puts the weights in training back."""
        if self.keep:
            pl_module.model.load_state_dict(self._unmixed)
        super().on_validation_epoch_end(trainer, pl_module)
