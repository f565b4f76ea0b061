# SPDX-License-Identifier: Apache-2.0
"""Networks for a GPU that need no runtime: they copy planes of their input, which a CUDA graph can record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests import fakes

from rmbg_trt import _core
from rmbg_trt.frame import open_frame
from rmbg_trt.options import FrameOptions

SIZE = (32, 48)


class RedPlane:
    """The matte is the input's red plane. ``before`` is called at each enqueue: it may fail, or count."""

    def __init__(
        self,
        size: tuple[int, int] = SIZE,
        dtype: str = "float32",
        *,
        capturable: bool = True,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self.enqueued = 0
        self.tensors: list[_core.DeviceArray] = []
        self._before = before
        self._bytes = size[0] * size[1] * np.dtype(dtype).itemsize
        self.network = _core.python_network(
            _core.TensorSpec("input", (1, 3, *size), dtype),
            _core.TensorSpec("matte", (1, 1, *size), dtype),
            lambda source, target: self.tensors.extend((source, target)),
            self._enqueue,
            capturable,
        )

    def _enqueue(self, stream: int) -> None:
        self._before()
        self.enqueued += 1
        source, target = self.tensors
        _core.copy_on_device(target.ptr, source.ptr, self._bytes, stream)


def pipeline(slots: int = 1, size: tuple[int, int] = SIZE, **options: object) -> tuple[_core.Pipeline, list[RedPlane]]:
    networks = [RedPlane(size) for _ in range(slots)]
    return _core.Pipeline([each.network for each in networks], device=0, **options), networks


def on_the_cpu(size: tuple[int, int] = SIZE, **options: object) -> _core.Pipeline:
    """The same network and pipeline on the CPU."""
    return _core.Pipeline([fakes.network(lambda tensor: tensor[0, 0], size)], **options)


def random_frame(rng: np.random.Generator, height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """(height, width) or (height, width, channels), with rows that are padded at both ends."""
    shape = () if channels == 1 else (channels,)
    return rng.integers(0, 256, (height, width + 3, *shape), dtype=np.uint8)[:, 1 : 1 + width]


def result_for(frame: NDArray[np.uint8], output: str) -> NDArray[np.uint8]:
    channels = {"alpha": (), "cutout": (4,), "composite": (3,)}[output]
    return np.zeros((*frame.shape[:2], *channels), np.uint8)


def run(
    pipeline: _core.Pipeline,
    frame: NDArray[np.uint8],
    output: str,
    track: _core.Track | None = None,
    **options: Any,
) -> NDArray[np.uint8]:
    result = result_for(frame, output)
    pipeline.run(frame, result, "bgr", _core.FrameOptions(output, **options), track)
    return result


def run_on_gpu(
    pipeline: _core.Pipeline, frame: Any, output: Any = "alpha", *, out: Any = None, stream: Any = None, **options: Any
) -> Any:
    """The result of a frame that lies on the GPU, and stays there."""
    return open_frame(pipeline, frame, "bgr", FrameOptions(output, **options), out=out, stream=stream).run(pipeline)
