# SPDX-License-Identifier: Apache-2.0
"""Small prepared sets: a bright blob before a noisy ground, and its mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from rmbg_trt.training.data import Pair, create_csv


def make_set(folder: Path, *, train: int = 8, val: int = 4, side: int = 64, seed: int = 0) -> Path:
    """Writes PNG pairs and their table; the same for a seed."""
    random = np.random.default_rng(seed)
    pairs = []
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            name = f"{split}_{number:03d}"
            image, mask = folder / "images" / f"{name}.png", folder / "masks" / f"{name}.png"
            for path in (image, mask):
                path.parent.mkdir(parents=True, exist_ok=True)
            pixels, truth = _blob(random, side)
            Image.fromarray(pixels).save(image)
            Image.fromarray(truth).save(mask)
            pairs.append(Pair(name, image, mask, "made", split))
    create_csv(pairs, folder / "pairs.csv")
    return folder


def _blob(random: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(side, side, 3) and (side, side), uint8."""
    mask = Image.new("L", (side, side))
    x, y = random.uniform(0.3, 0.7, 2) * side
    rx, ry = random.uniform(0.15, 0.3, 2) * side
    ImageDraw.Draw(mask).ellipse((x - rx, y - ry, x + rx, y + ry), fill=255)
    truth = np.array(mask)
    ground = random.integers(0, 90, (side, side, 3))
    color = random.integers(150, 256, 3)
    pixels = np.where(truth[..., None] > 0, color + random.integers(-20, 21, (side, side, 3)), ground)
    return np.clip(pixels, 0, 255).astype(np.uint8), truth
