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
        def mean(average: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
            if not average.is_floating_point():
                return current
            number = int(updates)
            return average.lerp(current, 1 - min(decay, (1 + number) / (10 + number)))

        super().__init__(avg_fn=mean)
        self.keep = keep
        self._first: dict[str, Tensor] = {}
        self._unmixed: dict[str, Tensor] = {}

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Remembers what the run begins with; a resumed run, too, has it here still."""
        super().setup(trainer, pl_module, stage)
        if self.keep:
            self._first = {name: each.detach().clone() for name, each in pl_module.model.state_dict().items()}

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
