# SPDX-License-Identifier: Apache-2.0
"""A clip and a network whose result changes visibly with refinement, decontamination, stabilization and stretch.

A green object with a soft, slanted edge stands before blue. The network finds it by its green, with noise that differs
from frame to frame. The colour of a patch inside the object, far from its edge, encodes the frame's number.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.video.clips import Array, make_clip

from rmbg_trt import Engine, VideoMatter

HEIGHT, WIDTH = 48, 96
SIZE = (24, 48)  # of the network
PLAIN: dict[str, Any] = {"refine": False, "decontaminate": False, "stabilize": False}


def frame(number: int) -> Array:
    """(HEIGHT, WIDTH, 3) RGB."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    alpha = np.clip((60 + y / 3 - x) / 6 + 0.5, 0, 1)[..., None]
    pixels = np.rint(alpha * (40, 220, 40) + (1 - alpha) * (30, 30, 200))
    pixels[20:28, 20:28] = (40, 220, 8 * number)
    return pixels.astype(np.uint8)


def number_of(picture: Array) -> int:
    """Of a frame, or of its cutout."""
    return round(int(picture[24, 24, 2]) / 8)


def frames(count: int, first: int = 0) -> list[Array]:
    return [frame(number) for number in range(first, first + count)]


def clip(path: Path, pictures: Iterable[Array]) -> Path:
    """A lossless one, .mkv."""
    return make_clip(path, list(pictures), codec="ffv1", pixel_format="bgr0")


def predict(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """How green each cell is, from 0.15 on, plus noise of up to 0.1 seeded by the frame's bytes; opaque inside."""
    noise = np.random.default_rng(zlib.crc32(tensor.tobytes())).uniform(-0.1, 0.1, tensor.shape[2:])
    green = np.clip(tensor[0, 1] / 2 + 0.5, 0, 1)
    return np.clip(0.15 + 0.95 * green + noise, 0, 1).astype(np.float32)


def expected(fake_engine: Callable[..., Engine], pictures: Iterable[Array], **options: Any) -> list[Array]:
    """Cutouts of these frames, given in order to a matter of their own."""
    stretch = options.pop("stretch", "none")
    of_engine = "none" if stretch == "running" else stretch
    engine = fake_engine(predict, size=SIZE, slots=1, color="rgb", stretch=of_engine)
    matter = VideoMatter(engine, stretch=stretch, **options)
    return [matter.run(picture, output="cutout") for picture in pictures]


def same(found: list[Array], wanted: list[Array]) -> bool:
    """Whether cutouts are equal, except for the colours of transparent pixels, which files need not keep."""
    return len(found) == len(wanted) and all(
        np.array_equal(one[..., 3], other[..., 3]) and np.array_equal(one[..., :3][seen], other[..., :3][seen])
        for one, other, seen in ((one, other, other[..., 3] > 0) for one, other in zip(found, wanted, strict=True))
    )
