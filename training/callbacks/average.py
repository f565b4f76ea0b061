# SPDX-License-Identifier: Apache-2.0
"""The running mean of the weights: what is validated and kept; training goes on with the weights themselves."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class Average(WeightAveraging):
    """Exponential moving average of parameters and buffers.

    Stands before all other callbacks: what they save after a step has its update, and they see the averaged weights
    until the validation is over.

    Args:
        decay: After n updates it is the smaller of this and (1 + n) / (10 + n), so that a short run is not held back by
            the weights it began with (as TensorFlow's ``ExponentialMovingAverage`` does with ``num_updates``).
    """

    def __init__(self, decay: float) -> None:
        def mean(average: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
            if not average.is_floating_point():
                return current
            number = int(updates)
            return average.lerp(current, 1 - min(decay, (1 + number) / (10 + number)))

        super().__init__(avg_fn=mean)

    def on_validation_epoch_end(self, *_: Any) -> None:
        """Leaves the averaged weights in the module for those who keep them."""

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Puts the weights in training back."""
        super().on_validation_epoch_end(trainer, pl_module)
