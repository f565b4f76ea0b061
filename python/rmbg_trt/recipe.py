# SPDX-License-Identifier: Apache-2.0
"""The normalisation that the core computes, and the check that a model was trained with just that one."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import ModelError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
DEFAULT_SIDE = 320
"""Height and width of the network's input where a model leaves them open."""


def check_normalisation(name: str, mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuses a model that wants its pictures normalised in another way: its mattes would be wrong, and nobody told.

    Args:
        name: Of the model, for the message.
        mean: What the model wants subtracted from RGB in 0..1, a number a channel.
        std: What it wants the difference divided by.

    Raises:
        ModelError: They are not the recipe's.
    """
    same = len(mean) == len(std) == 3 and all(
        abs(got - expected) < 1e-6 for got, expected in zip((*mean, *std), (*MEAN, *STD), strict=True)
    )
    if not same:
        raise ModelError(
            f"{name} was trained on pictures normalised with mean {tuple(mean)} and std {tuple(std)}; the engine "
            f"computes {MEAN} and {STD} only. Train it with these"
        )
