# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint must carry for its model to be built and fed again."""

from __future__ import annotations

import dataclasses
import json
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
