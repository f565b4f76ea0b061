# SPDX-License-Identifier: Apache-2.0
"""Runs one frame through the engine, from and to the configured kind of memory, and records its stage times."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from ..engine import Engine
from ..image import Array
from .settings import Configuration

STAGES = ("copy_in", "preprocess", "network", "postprocess", "copy_out")
_CHANNELS = {"alpha": 1, "cutout": 4, "composite": 3}
_BACKGROUND = (0, 177, 64)
_KEPT = 256  # how many frames the core remembers
_DEVICE_RUNS = 50


def why_not(place: str, device: str) -> str | None:
    """Why frames cannot be in this kind of memory, or None.

    Args:
        place: One of ``settings.PLACES``.
        device: The engine's device: "cpu" or "cuda:N".
    """
    if place != "device":
        return None
    if device == "cpu":
        return "the engine runs on the CPU"
    return None if _device_library() else "neither PyTorch nor CuPy is installed to put frames there"


def _device_library() -> str | None:
    return next((name for name in ("torch", "cupy") if importlib.util.find_spec(name)), None)


def make_serve(engine: Engine, configuration: Configuration, frames: list[Array]) -> Callable[[int, int], Any]:
    """Returns the function that runs one frame, as the loops call it.

    Pageable: NumPy arrays in, a new array out. Pinned: buffers of ``Engine.frame_buffer`` in and out (on a CPU engine,
    reused aligned memory). Device: frames and results stay on the GPU; each client has a stream and waits for its
    result.

    Args:
        engine: An RGB engine with at least ``configuration.in_flight`` slots.
        configuration: What to measure.
        frames: RGB frames of that size; the clients cycle through them.
    """
    options: dict[str, Any] = {"output": configuration.output}
    if configuration.output == "composite":
        options["background"] = _BACKGROUND
    if configuration.place == "device":
        return _on_device(engine, configuration, frames, options)
    if configuration.place == "pageable":
        return lambda client, index: engine.run(frames[(client + index) % len(frames)], **options)
    size = configuration.height, configuration.width
    pinned = [engine.frame_buffer(*size) for _ in frames]
    for buffer, frame in zip(pinned, frames, strict=True):
        buffer[...] = frame
    channels = _CHANNELS[configuration.output]
    results = [engine.frame_buffer(*size, channels) for _ in range(configuration.in_flight)]
    return lambda client, index: engine.run(
        pinned[(client + index) % len(pinned)], out=results[client % len(results)], **options
    )


def _on_device(
    engine: Engine, configuration: Configuration, frames: list[Array], options: dict[str, Any]
) -> Callable[[int, int], Any]:
    name = _device_library()
    assert name is not None, "why_not was asked"
    library = importlib.import_module(name)
    number = int(engine.info.device.partition(":")[2] or 0)
    streams: list[Any]
    if name == "torch":
        device = library.device("cuda", number)
        there = [library.from_numpy(frame).to(device) for frame in frames]
        streams = [library.cuda.Stream(device) for _ in range(configuration.in_flight)]
        library.cuda.synchronize(device)
    else:
        with library.cuda.Device(number) as device:
            there = [library.asarray(frame) for frame in frames]
            streams = [library.cuda.Stream(non_blocking=True) for _ in range(configuration.in_flight)]
            device.synchronize()

    def serve(client: int, index: int) -> Any:
        stream = streams[client % len(streams)]
        result = engine.run(there[(client + index) % len(there)], stream=stream, **options)
        stream.synchronize()
        return result

    return serve


class StageLog:
    """Collects the stage times of an engine's frames since ``begin``, in the order in which they ended."""

    def __init__(self, engine: Engine) -> None:
        self._pipeline = engine._pipeline
        self._seen = 0
        self._times: list[dict[str, float]] = []

    def begin(self) -> None:
        """Starts anew."""
        self._seen = self._pipeline.frames
        self._times = []

    def take(self) -> None:
        """Collects the frames since the last call; the core remembers the last 256."""
        new = min(self._pipeline.frames - self._seen, _KEPT)
        if new:
            self._times += self._pipeline.recent_times()[-new:]
        self._seen += new

    def times(self) -> list[dict[str, float]]:
        """Milliseconds of each frame's stages. On the CPU: wall-clock times of the frames.

        On a GPU: times between events, of additional frames like the last one; empty if the network is not part of
        the CUDA graph.
        """
        if self._pipeline.device >= 0:
            return self._pipeline.measure(_DEVICE_RUNS)
        self.take()
        return self._times
