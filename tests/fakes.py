# SPDX-License-Identifier: Apache-2.0
"""Networks that are Python functions, and frames that carry a number through them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rmbg_trt import _core

TIMEOUT_S = 60.0
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


def moving(tag: int, height: int = 40, width: int = 50) -> NDArray[np.uint8]:
    """A BGR frame with some texture that carries ``tag``: blue is 255, so that the red is read as it is."""
    frame = np.random.default_rng(tag).integers(0, 30, (height, width, 3), dtype=np.uint8)
    frame[:, :, 0], frame[:, :, 2] = 255, tag
    return frame


def read_tag(tensor: NDArray[np.float32]) -> float:
    """The red of a tagged frame, in 0..1; half a step more, so that truncation to a byte gives the tag back."""
    return float(tensor[0, 0, 0, 0]) * 0.229 + 0.485 + 0.5 / 255


def tag_of(tensor: NDArray[np.float32]) -> int:
    return int(read_tag(tensor) * 255)


class Gate:
    """A network that waits until it is let go; ``inside`` counts the frames that reached it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.inside = threading.Semaphore(0)

    def __call__(self, tensor: NDArray[np.float32]) -> float:
        self.inside.release()
        deadline = time.monotonic() + TIMEOUT_S
        while not self.open.wait(0.05):  # in turns: a signal right before one does not end it, in the main thread
            assert time.monotonic() < deadline
        return read_tag(tensor)

    def signal_inside(self, number: int) -> threading.Thread:
        """Starts a thread that sends this process a signal as soon as a frame is inside."""

        def send() -> None:
            assert self.inside.acquire(timeout=TIMEOUT_S)
            os.kill(os.getpid(), number)

        thread = threading.Thread(target=send)
        thread.start()
        return thread


def is_tag(alpha: NDArray[np.uint8], tag: int) -> bool:
    return bool((alpha == tag).all())


def join(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive(), "deadlock"
