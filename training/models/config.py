# SPDX-License-Identifier: Apache-2.0
"""The configuration in a checkpoint: what is needed to build the model and prepare its input."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from ...recipe import MEAN, STD


@dataclass(frozen=True)
class ModelConfig:
    """A model and its input: RGB images are divided by their maximum, then normalised with ``mean`` and ``std``."""

    architecture: str  # a key of models.ARCHITECTURES
    outputs: int  # maps that the model was trained with
    input_size: tuple[int, int] = (320, 320)  # (height, width) of the training images; other sizes work as well
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD

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
        """Reads what ``to_json`` wrote. Raises ValueError if it is not JSON, or does not have these fields."""
        try:
            fields = json.loads(text).items()
            values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields}
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a model configuration: {error}") from error


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
