# SPDX-License-Identifier: Apache-2.0
"""A clip and a network whose result each of refinement, decontamination, stabilisation and stretch changes visibly.

A green thing with a soft, slanted edge rests on blue; the network finds it by its green, in a tremble that differs from
frame to frame. A patch in the middle of the thing, far from its edge, says the frame's number.
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
    made = np.rint(alpha * (40, 220, 40) + (1 - alpha) * (30, 30, 200))
    made[20:28, 20:28] = (40, 220, 8 * number)
    return made.astype(np.uint8)


def number_of(picture: Array) -> int:
    """Of a frame, or of its cutout."""
    return round(int(picture[24, 24, 2]) / 8)


def frames(count: int, first: int = 0) -> list[Array]:
    return [frame(number) for number in range(first, first + count)]


def clip(path: Path, pictures: Iterable[Array]) -> Path:
    """A lossless one, .mkv."""
    return make_clip(path, list(pictures), codec="ffv1", pixel_format="bgr0")


def predict(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """How green each cell is, from 0.15 on, more or less by 0.1, which the frame's own bytes decide; opaque inside."""
    tremble = np.random.default_rng(zlib.crc32(tensor.tobytes())).uniform(-0.1, 0.1, tensor.shape[2:])
    green = np.clip(tensor[0, 1] / 2 + 0.5, 0, 1)
    return np.clip(0.15 + 0.95 * green + tremble, 0, 1).astype(np.float32)


def expected(fake_engine: Callable[..., Engine], pictures: Iterable[Array], **options: Any) -> list[Array]:
    """Cutouts of these frames, one after the other through a matter of their own."""
    stretch = options.pop("stretch", "none")
    of_engine = "none" if stretch == "running" else stretch
    engine = fake_engine(predict, size=SIZE, slots=1, color="rgb", stretch=of_engine)
    matter = VideoMatter(engine, stretch=stretch, **options)
    return [matter.run(picture, output="cutout") for picture in pictures]


def same(found: list[Array], wanted: list[Array]) -> bool:
    """Whether cutouts are equal, but for colours where nothing is seen, which files may leave out."""
    return len(found) == len(wanted) and all(
        np.array_equal(one[..., 3], other[..., 3]) and np.array_equal(one[..., :3][seen], other[..., :3][seen])
        for one, other, seen in ((one, other, other[..., 3] > 0) for one, other in zip(found, wanted, strict=True))
    )
