# SPDX-License-Identifier: Apache-2.0
"""The normalisation that the core computes, and the check that a model was trained with it."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import ModelError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
DEFAULT_SIDE = 320
"""Height and width of the network's input if a model leaves them open."""


def check_normalisation(name: str, mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuses a model that was trained with another normalisation, because its mattes would be silently wrong.

    Args:
        name: Name of the model, for the message.
        mean: The model's mean of each channel, for RGB in 0..1.
        std: The model's standard deviation of each channel.

    Raises:
        ModelError: They are not the recipe's.
    """
    same = len(mean) == len(std) == 3 and all(
        abs(got - expected) < 1e-6 for got, expected in zip((*mean, *std), (*MEAN, *STD), strict=True)
    )
    if not same:
        raise ModelError(
            f"{name} was trained on images normalised with mean {tuple(mean)} and std {tuple(std)}; the engine "
            f"supports only {MEAN} and {STD}. Train it with these"
        )
