# SPDX-License-Identifier: Apache-2.0
"""Synthetic frames, mattes and image files for all tests. The same arguments give the same bytes.

Real photographs are in tests/reference.py, ONNX models in tests/small_models.py, clips in tests/video/clips.py.
``seed`` is a number, or a generator of NumPy that goes on from where it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
Seed = int | np.random.Generator


def noise(*shape: int, seed: Seed = 0, low: int = 0, high: int = 256) -> Bytes:
    """Random bytes from ``low`` up to, but not including, ``high``: (H, W), (H, W, 3), or any other shape."""
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def padded_noise(height: int, width: int, channels: int = 3, seed: Seed = 0) -> Bytes:
    """Random bytes, (H, W) or (H, W, channels), cut out of longer rows: a view with padding at both ends of a row."""
    shape = () if channels == 1 else (channels,)
    return noise(height, width + 3, *shape, seed=seed)[:, 1 : 1 + width]


def smooth_frame(number: int = 0, height: int = 48, width: int = 64) -> Bytes:
    """(H, W, 3) slow gradients that 4:2:0 and lossy codecs hardly change; blue grows with the frame's number."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([60 + x, 200 - y, 40 + (x + y) // 2 + 4 * number]).clip(16, 235).astype(np.uint8)


def moving_bar(number: int, height: int = 50, width: int = 70) -> Bytes:
    """(H, W, 3) dark noise with a bright bar that moves from frame to frame, as the subject of a video does."""
    frame = np.random.default_rng(number).integers(0, 40, (height, width, 3))
    frame[:, abs(np.arange(width) - 10 - 3 * (number % 15)) < 9] += 200
    return frame.clip(0, 255).astype(np.uint8)


def tagged_noise(tag: int, height: int = 40, width: int = 50) -> Bytes:
    """A BGR frame with some texture whose red is ``tag``, so that the network can read it (``fakes.tag_of``).

    Blue is 255: the maximum, by which the input is divided, is the same in every frame.
    """
    frame = noise(height, width, 3, seed=tag, high=30)
    frame[:, :, 0], frame[:, :, 2] = 255, tag
    return frame


def soft_disc(height: int, width: int, softness: float = 3.0) -> Bytes:
    """A matte (H, W): a disc that is opaque inside and fades out over ``softness`` pixels."""
    y, x = np.mgrid[:height, :width]
    distance = 0.3 * min(height, width) - np.hypot(y - height / 2, x - width / 2.2)
    return ((distance / softness + 0.5).clip(0, 1) * 255).astype(np.uint8)


def hard_ellipse(height: int, width: int) -> Bytes:
    """A mask (H, W) of 0 and 255: an ellipse in the middle."""
    y, x = np.mgrid[:height, :width]
    inside = ((y + 0.5) / height - 0.5) ** 2 + ((x + 0.5) / width - 0.5) ** 2 < 0.1
    return np.where(inside, 255, 0).astype(np.uint8)


def soft_colors(height: int, width: int, seed: Seed = 0) -> Bytes:
    """(H, W, 3) smooth colors. Each seed gives another image to a perceptual hash, each size the same one."""
    few = Image.fromarray(noise(8, 8, 3, seed=seed))
    return np.asarray(few.resize((width, height), Image.Resampling.BICUBIC))


def image_file(
    path: Path, color: tuple[int, int, int] = (200, 100, 50), size: tuple[int, int] = (8, 6), **options: object
) -> Path:
    """Saves an image of one color; its folder is made, too. ``size`` is (width, height), as in Pillow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, **options)  # type: ignore[arg-type]
    return path
