# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes with known alpha and foreground colors: hair and hard shapes over photographs.

The ground truth is exact, so that edges as fine as a pixel can be judged. Strokes are drawn at four times the size
and averaged; photographs are those that come with scikit-image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from _photograph import NAMES, photograph
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Numbers = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_FINER = 4
_HAIR_COLORS = {"astronaut": (40, 30, 25), "coffee": (230, 210, 160), "cat": (30, 30, 40)}


@dataclass(frozen=True)
class Scene:
    """A composite and what it is made of.

    Attributes:
        name: Its kind and the photograph behind.
        kind: "hair", "hard" (an edge of one pixel) or "soft" (an edge out of focus).
        alpha: (H, W) float32 in 0..1.
        front: (H, W, 3) float32, 0..255 RGB: the foreground's own colors.
        frame: (H, W, 3) uint8 RGB: the foreground over the photograph.
    """

    name: str
    kind: str
    alpha: Numbers
    front: Numbers
    frame: Bytes


def scenes(*kinds: str, size: tuple[int, int] = (1080, 1920)) -> Iterator[Scene]:
    """A scene of each kind over each photograph; the same ones on every machine. size: (height, width)."""
    for seed, name in enumerate(NAMES):
        back = _photograph(name, size)
        for kind in kinds:
            if kind == "hair":
                alpha, front = hair(seed, size), fur(seed, _HAIR_COLORS[name], size)
            else:
                # Another photograph, upside down.
                alpha, front = polygon(seed, size), _photograph(NAMES[seed - 1], size)[::-1]
            if kind == "soft":
                alpha = ndimage.gaussian_filter(alpha, 4.0)
            share = alpha[..., np.newaxis]
            frame = np.rint(share * front + (1 - share) * back).clip(0, 255).astype(np.uint8)
            yield Scene(f"{kind}, {name}", kind, alpha, np.ascontiguousarray(front), frame)


def hair(seed: int, size: tuple[int, int], strands: int = 900) -> Numbers:
    """The alpha of a head with strands of half a pixel to one and a half, which curl away from it."""
    rng = np.random.default_rng(seed)
    canvas, draw = _canvas(size)
    middle = np.array([0.5 * size[1], 0.55 * size[0]]) * _FINER
    radii = np.array([0.17 * size[1], 0.30 * size[0]]) * _FINER
    draw.ellipse([*(middle - radii), *(middle + radii)], fill=255)
    for _ in range(strands):
        direction = rng.uniform(0, 2 * np.pi)
        length = rng.uniform(0.03, 0.13) * size[0] * _FINER
        root = middle + 0.97 * radii * (np.cos(direction), np.sin(direction))
        steps = 24
        turns = rng.normal(0, 0.012) * length / _FINER / steps + rng.normal(0, 0.03, steps)
        angles = direction + rng.normal(0, 0.4) + np.cumsum(turns)
        path = root + length / steps * np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=1), axis=0)
        draw.line([*map(tuple, [root, *path])], fill=255, width=int(rng.integers(2, 7)), joint="curve")
    return _averaged(canvas, size)


def polygon(seed: int, size: tuple[int, int], corners: int = 9) -> Numbers:
    """The alpha of a shape with straight, hard edges."""
    rng = np.random.default_rng(seed)
    canvas, draw = _canvas(size)
    angles = 2 * np.pi * np.arange(corners) / corners
    radii = rng.uniform(0.25, 0.45, corners) * size[0] * _FINER
    middle = np.array([size[1], size[0]]) * _FINER / 2
    points = middle + radii[:, np.newaxis] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    draw.polygon([*map(tuple, points)], fill=255)
    return _averaged(canvas, size)


def fur(seed: int, color: tuple[int, int, int], size: tuple[int, int]) -> Numbers:
    """One color (RGB), lighter and darker in places, (H, W, 3)."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, size), 3.0)
    shade: Numbers = np.array(color) + 12 * (noise / noise.std())[..., np.newaxis]
    return shade.clip(0, 255).astype(np.float32)


def _photograph(name: str, size: tuple[int, int]) -> Numbers:
    return np.asarray(photograph(name, (size[1], size[0])), np.float32)


def _canvas(size: tuple[int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (size[1] * _FINER, size[0] * _FINER))
    return image, ImageDraw.Draw(image)


def _averaged(canvas: Image.Image, size: tuple[int, int]) -> Numbers:
    drawn = np.asarray(canvas, np.float32).reshape(size[0], _FINER, size[1], _FINER)
    mean: Numbers = drawn.mean(axis=(1, 3)) / 255
    return mean.astype(np.float32)
