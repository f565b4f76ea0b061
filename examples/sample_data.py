# SPDX-License-Identifier: Apache-2.0
"""Data to try the other examples with, made from the four photographs that come with the package.

python examples/sample_data.py clip.mp4      a clip of two seconds (needs the extra [video])
python examples/sample_data.py pairs         a folder of images/ and masks/, to train on
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

import rmbg_trt

PHOTOGRAPHS = Path(__file__).resolve().parents[1] / "export" / "photographs"
SUBJECTS = ("astronaut", "coffee")


def clip_frames(count: int = 50, height: int = 240, width: int = 320) -> Iterator[NDArray[np.uint8]]:
    """Pan across a photograph, as a camera would. Yields (height, width, 3) RGB frames."""
    photograph = Image.open(PHOTOGRAPHS / "astronaut.jpg").convert("RGB")
    for number in range(count):
        swing = -np.cos(np.pi * number / count)  # from the left to the right, slow at both ends
        left, top = (photograph.width - width) / 2 * (1 + swing), 20 + 15 * swing
        moved = photograph.transform((width, height), Image.Transform.AFFINE, (1, 0, left, 0, 1, top), Image.BICUBIC)
        yield np.asarray(moved)


def make_clip(path: Path, count: int = 50, rate: int = 25) -> Path:
    """Write a short H.264 clip."""
    import av

    with av.open(str(path), "w") as file:
        stream = None
        for pixels in clip_frames(count):
            if stream is None:
                stream = file.add_stream("libx264", rate=rate, options={"crf": "18"})
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        file.mux(stream.encode(None))
    return path


def make_pairs(folder: Path, count: int = 24, side: int = 224, seed: int = 0) -> tuple[Path, Path]:
    """Paste cut-out subjects over parts of other photographs, so that the mask of each image is known.

    Returns:
        The folders ``images`` (JPEG) and ``masks`` (8-bit gray PNG); files of the same name belong together.
    """
    images, masks = folder / "images", folder / "masks"
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(exist_ok=True)
    with rmbg_trt.Engine("u2netp", refine=True, decontaminate=True) as engine:
        cutouts = {name: engine.run(_photograph(name), output="cutout") for name in SUBJECTS}
    random = np.random.default_rng(seed)
    for number in range(count):
        name = SUBJECTS[number % len(SUBJECTS)]
        others = [path.stem for path in sorted(PHOTOGRAPHS.glob("*.jpg")) if path.stem != name]
        image = _crop(_photograph(str(random.choice(others))), side, random)
        mask = Image.new("L", image.size)
        height = int(side * random.uniform(0.6, 0.95))
        subject = ImageOps.contain(cutouts[name], (side, height))
        subject = ImageOps.mirror(subject) if random.random() < 0.5 else subject
        corner = (int(random.uniform(-0.1, 1.1) * (side - subject.width)), side - subject.height)
        image.paste(subject, corner, subject)
        mask.paste(subject.getchannel("A"), corner)
        image.save(images / f"{name}_{number:03d}.jpg", quality=92)
        mask.save(masks / f"{name}_{number:03d}.png")
    return images, masks


def _photograph(name: str) -> Image.Image:
    return Image.open(PHOTOGRAPHS / f"{name}.jpg").convert("RGB")


def _crop(photograph: Image.Image, side: int, random: np.random.Generator) -> Image.Image:
    """Cut out a random square part, sometimes mirrored and out of focus, of side x side pixels."""
    part = int(min(photograph.size) * random.uniform(0.4, 1))
    left, top = (int(random.uniform(0, length - part)) for length in photograph.size)
    image = photograph.resize((side, side), Image.LANCZOS, (left, top, left + part, top + part))
    image = ImageOps.mirror(image) if random.random() < 0.5 else image
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0, 2)))


def main() -> None:
    """Make what the argument names: a clip or a folder."""
    parser = argparse.ArgumentParser(description="Make a clip, or images with masks, to try the examples with.")
    parser.add_argument("target", type=Path, help="clip.mp4 for a clip; a new folder for images and masks")
    target: Path = parser.parse_args().target
    made = make_clip(target) if target.suffix else make_pairs(target)[0].parent
    print(f"wrote {made}")


if __name__ == "__main__":
    main()
