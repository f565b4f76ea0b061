# SPDX-License-Identifier: Apache-2.0
"""Networks that are Python functions, and frames that carry a number through them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rmbg_trt import _core

Predict = Callable[[NDArray[np.float32]], object]
"""Takes the input (1, 3, H, W) and gives the prediction: anything that broadcasts to (h, w)."""


def network(predict: Predict, size: tuple[int, int] = (32, 32), out: tuple[int, int] | None = None) -> _core.Network:
    tensors: list[NDArray[np.float32]] = []

    def enqueue(stream: int) -> None:
        source, target = tensors
        target[...] = predict(source)

    return _core.python_network(
        _core.TensorSpec("input", (1, 3, *size)),
        _core.TensorSpec("output", (1, 1, *(out or size))),
        lambda source, target: tensors.extend((source, target)),
        enqueue,
    )


def known(prediction: NDArray[np.float32]) -> _core.Network:
    """A network that always predicts this array (h, w)."""
    height, width = prediction.shape
    return network(lambda _: prediction, out=(height, width))


def tagged(tag: int, height: int = 24, width: int = 40) -> NDArray[np.uint8]:
    """A BGR frame whose alpha, with ``read_tag`` and stretch="none", is ``tag`` everywhere."""
    return np.full((height, width, 3), (255, 255, tag), np.uint8)


def read_tag(tensor: NDArray[np.float32]) -> float:
    """The red of a tagged frame, in 0..1; half a step more, so that truncation to a byte gives the tag back."""
    return float(tensor[0, 0, 0, 0]) * 0.229 + 0.485 + 0.5 / 255


def tag_of(tensor: NDArray[np.float32]) -> int:
    return int(read_tag(tensor) * 255)
