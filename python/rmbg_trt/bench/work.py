# SPDX-License-Identifier: Apache-2.0
"""What a measurement runs: frames, and the function that puts one of them through the engine.

Frames are synthetic ones that resemble a photograph, or come from an image or a video. They differ slightly from each
other, like those of a handheld camera, so that nothing is cached by accident.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..engine import Engine
from ..errors import InputError
from ..image import Array, read_image
from .settings import Configuration

COUNT = 4
_DRAWN = 1280  # a synthetic frame is drawn with at most this longer side, in pixels, and scaled up
_SHAKE = 3  # pixels from one frame to the next


def make_frames(
    size: tuple[int, int],
    *,
    image: str | os.PathLike[str] | None = None,
    video: str | os.PathLike[str] | None = None,
    count: int = COUNT,
) -> list[Array]:
    """Frames of one size.

    Args:
        size: (height, width).
        image: An image file to take them from.
        video: A video file to take them from, evenly from its first seconds.
        count: How many.

    Returns:
        (height, width, 3) uint8, RGB, each in memory of its own.

    Raises:
        InputError: The file cannot be read.
        UnavailableError: A video needs a package that is not installed.
    """
    margin = _SHAKE * (count - 1)
    height, width = size[0] + margin, size[1] + margin
    if video is not None:
        return [_fitted(frame, size) for frame in _of_video(video, count)]
    if image is not None:
        large = _fitted(np.ascontiguousarray(read_image(image).pixels[..., :3]), (height, width))
    else:
        large = scene((height, width))
    shifts = range(0, margin + 1, _SHAKE) if margin else [0]
    return [np.ascontiguousarray(large[s : s + size[0], s : s + size[1]]) for s in shifts]


def scene(size: tuple[int, int], seed: int = 7) -> Array:
    """A synthetic portrait, (height, width, 3) uint8 RGB: head and shoulders, a blurred wall, texture, sensor noise.

    Args:
        size: (height, width).
        seed: Of the textures.
    """
    rng = np.random.default_rng(seed)
    shrink = max(1.0, max(size) / _DRAWN)
    small = _portrait(rng, (math.ceil(size[0] / shrink), math.ceil(size[1] / shrink)))
    large = np.array(Image.fromarray(small).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    # Sensor noise; the tile repeats, which does not matter here.
    tile = rng.integers(-5, 6, (min(size[0], 509), min(size[1], 509), 1), dtype=np.int8)
    for top in range(0, size[0], tile.shape[0]):
        for left in range(0, size[1], tile.shape[1]):
            part = large[top : top + tile.shape[0], left : left + tile.shape[1]]
            grainy = part + tile[: part.shape[0], : part.shape[1]].astype(np.int16)
            part[...] = grainy.clip(0, 255)
    return large


def _portrait(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """The frame without noise: layers from back to front, each with a soft outline."""
    height, width = size
    y, x = np.ogrid[0:height, 0:width]
    y, x = (y - height / 2) / height, (x - width / 2) / height
    fine = _texture(rng, size, finest=2)
    skin = 0.9 + 0.12 * fine - 0.5 * x
    layers = (
        ((116, 122, 132), 1.0 + 0.4 * _texture(rng, size, finest=24) + 0.3 * x, np.ones(size)),
        ((46, 58, 92), 1.0 + 0.5 * fine, 1 - np.hypot(x / 0.46, (y - 0.62) / 0.46)),  # shoulders
        ((205, 158, 130), 0.85 * skin, np.minimum(0.08 - np.abs(x), np.minimum(y, 0.22 - y)) / 0.1),  # neck
        ((58, 40, 30), 1.0 + 0.9 * fine, 1 - np.hypot(x / 0.19, (y + 0.16) / 0.22) + 0.12 * fine),  # hair
        ((214, 168, 140), skin, 1 - np.hypot(x / 0.135, (y + 0.09) / 0.18)),  # face
    )
    frame = np.zeros((height, width, 3), np.float32)
    for color, light, inside in layers:
        alpha = np.clip(inside * 40 + 0.5, 0, 1).astype(np.float32)
        for channel, value in enumerate(color):
            frame[..., channel] += alpha * (value * light.astype(np.float32) - frame[..., channel])
    return frame.clip(0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, size: tuple[int, int], finest: int) -> NDArray[np.float32]:
    """Random values around 0 with the spectrum of natural images: each octave has half the amplitude of the last.

    ``finest`` is the size of the smallest grain in pixels.
    """
    height, width = size
    found = np.zeros(size, np.float32)
    grain, amplitude = float(max(size)), 1.0
    while grain >= finest:
        grid = rng.uniform(-1, 1, (int(height / grain) + 2, int(width / grain) + 2)).astype(np.float32)
        image = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        found += np.float32(amplitude) * np.asarray(image)
        grain, amplitude = grain / 2, amplitude / 2
    return found


def _fitted(frame: Array, size: tuple[int, int]) -> Array:
    """Scaled to cover the size, and cropped to the centre."""
    fitted = ImageOps.fit(Image.fromarray(frame), (size[1], size[0]), Image.Resampling.LANCZOS)
    return np.array(fitted)


def _of_video(path: str | os.PathLike[str], count: int, step: int = 5) -> list[Array]:
    from ..video.source import Source  # needs PyAV

    with Source(path) as source:
        taken = itertools.islice(source.frames(), 0, count * step, step)
        frames = [np.ascontiguousarray(frame.pixels[..., :3]) for frame in taken]
    if not frames:
        raise InputError(f"{os.fspath(path)} has no frame")
    return [frames[index % len(frames)] for index in range(count)]


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
