# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint must carry for its model to be built and fed again."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelConfig:
    """A model and the pictures it takes.

    Attributes:
        architecture: A key of ``models.ARCHITECTURES``.
        outputs: Maps that the model was trained with.
        input_size: (height, width) of the training pictures; other sizes work as well.
        mean: Subtracted from RGB pictures that were divided by their maximum, one number a channel.
        std: What the difference is then divided by.
    """

    architecture: str
    outputs: int
    input_size: tuple[int, int] = (320, 320)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        def numbers(values: Any, count: int) -> bool:
            return isinstance(values, tuple) and len(values) == count and all(map(_is_finite, values))

        if not numbers(self.input_size, 2) or not all(isinstance(side, int) for side in self.input_size):
            raise ValueError(f"input_size is {self.input_size!r}; expected (height, width)")
        if not numbers(self.mean, 3) or not numbers(self.std, 3) or min(self.std) <= 0:
            raise ValueError(f"mean is {self.mean!r} and std {self.std!r}; expected three numbers each, std above 0")

    def to_json(self) -> str:
        """The configuration as JSON, keys sorted."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Reads what ``to_json`` wrote.

        Raises:
            ValueError: It is not JSON, or not these fields.
        """
        try:
            fields = json.loads(text).items()
            values: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in fields}
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a model configuration: {error}") from error


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
