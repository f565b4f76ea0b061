# SPDX-License-Identifier: Apache-2.0
"""Makes docs/images/before_after.jpg, the image in the README, with the engine itself.

Run it with ``python docs/before_after.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import rmbg_trt

IMAGES = Path(__file__).parent / "images"


def checkerboard(width: int, height: int, square: int = 16) -> Image.Image:
    """The usual checkerboard that stands for transparency."""
    y, x = np.mgrid[:height, :width] // square
    return Image.fromarray(np.where((x + y) % 2, 255, 204).astype(np.uint8)).convert("RGB")


def main() -> None:
    photograph = Image.open(IMAGES / "astronaut.jpg").convert("RGB")
    with rmbg_trt.Engine("u2net") as engine:
        print(engine.info)
        panels = [
            photograph,
            engine.run(photograph).convert("RGB"),
            engine.run(photograph, output="composite", background=checkerboard(*photograph.size)),
            engine.run(photograph, output="composite", background="blur:8"),
        ]
    width, height = photograph.size
    strip = Image.new("RGB", (width * len(panels), height))
    for index, panel in enumerate(panels):
        strip.paste(panel, (index * width, 0))
    strip.resize((strip.width // 2, strip.height // 2), Image.Resampling.LANCZOS).save(
        IMAGES / "before_after.jpg", quality=90
    )


if __name__ == "__main__":
    main()
