# SPDX-License-Identifier: Apache-2.0
"""Makes the images of docs/quality.md with the engine itself: edges and their colors, a stabilized clip, its flicker.

They are made from the photographs of scikit-image and from synthetic hair, so the true alpha of every frame is known.
Needs scikit-image, SciPy, Matplotlib and the weights, and a minute or two: ``python docs/video_images.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from rmbg_trt import Engine, VideoMatter

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _photograph import photograph
from _scenes import Bytes, Numbers, fur, hair
from matting_quality import Known, coarse

IMAGES = Path(__file__).parent / "images"
BEHIND = "#2b5797"
PLAIN = {"stabilize": False, "refine": False, "decontaminate": False}


# ---- edges and their colors ----------------------------------------------------------------------------------------


def edges() -> None:
    """Two crops: as the network gives them, refined, refined and decontaminated."""
    steps: dict[str, dict[str, Any]] = {
        "--no-refine --no-decontaminate": {},
        "--no-decontaminate": {"refine": True},
        "both (the default)": {"refine": True, "decontaminate": True},
    }
    alpha = hair(0, (1080, 1920))
    drawn = mixed(alpha, fur(0, (45, 30, 22), alpha.shape), np.asarray(photograph("coffee", (1920, 1080)), np.float32))
    known = Known(coarse(alpha))
    woman = np.asarray(photograph("astronaut", (512, 512)))
    rows = [crops([drawn, *(over(known.run(drawn, "cutout", **each)) for each in steps.values())], (1180, 330, 220), 2)]
    with Engine("u2net", color="rgb", stretch="none", slots=1) as engine:
        made = [
            VideoMatter(engine, **{**PLAIN, **each}).run(woman, output="composite", background=BEHIND)
            for each in steps.values()
        ]
    rows.append(crops([woman, *made], (120, 0, 220), 2))
    image = Image.new("RGB", (rows[0].width, 30 + sum(row.height + 8 for row in rows)), "white")
    labels(image, ["the frame", *steps], rows[0].width // (len(steps) + 1))
    top = 30
    for row in rows:
        image.paste(row, (0, top))
        top += row.height + 8
    save(image, "video_edges.webp", 88)


def over(cutout: Bytes) -> Bytes:
    back = Image.new("RGB", cutout.shape[1::-1], BEHIND)
    back.paste(Image.fromarray(cutout), mask=Image.fromarray(cutout[..., 3]))
    return np.asarray(back)


def crops(images: list[Bytes], place: tuple[int, int, int], zoom: int) -> Image.Image:
    """The same square (left, top, side) of each, beside each other."""
    left, top, side = place
    cut = [image[top : top + side, left : left + side] for image in images]
    row = Image.fromarray(np.hstack(cut))
    return row.resize((zoom * row.width, zoom * row.height), Image.Resampling.LANCZOS)


# ---- a clip whose alpha is known -----------------------------------------------------------------------------------


def clip(count: int = 40, size: tuple[int, int] = (540, 960)) -> tuple[list[Bytes], list[Numbers]]:
    """Frames and their true alphas: a woman moves, then stands still, half of the time each.

    The sky behind her is as dark as her helmet, the light flickers, and the camera's noise is 3 of 255.
    """
    height, width = size
    with Engine("u2net", color="rgb", refine=True, decontaminate=True, slots=1) as engine:
        cutout = engine.run(photograph("astronaut", (height, height)), output="cutout")
    woman = np.asarray(cutout, np.float32)
    behind = photograph("rocket", (width, height)).filter(ImageFilter.GaussianBlur(2))
    generator = np.random.default_rng(1)
    frames, truths = [], []
    for number in range(count):
        phase = 2 * np.pi * min(number / (count // 2), 1)
        left = (width - height) // 2 + round(50 * np.sin(phase))
        placed = np.zeros((height, width, 4), np.float32)
        placed[:, left : left + height] = woman
        truths.append(placed[..., 3] / 255)
        lit = mixed(truths[-1], placed[..., :3], np.asarray(behind, np.float32)) * (1 + 0.06 * np.sin(2.4 * number))
        frames.append(np.rint(lit + generator.normal(0, 3, lit.shape)).clip(0, 255).astype(np.uint8))
    return frames, truths


def mixed(alpha: Numbers, front: Numbers, back: Numbers) -> Bytes:
    share = alpha[..., np.newaxis]
    return np.rint(share * front + (1 - share) * back).clip(0, 255).astype(np.uint8)


def strip(engine: Engine, frames: list[Bytes], first: int = 13, shown: int = 5) -> None:
    """Some frames, and below them their composites without and with all three steps."""
    rows = [frames]
    for options in (PLAIN, {}):
        matter = VideoMatter(engine, **options)
        rows.append([*matter.map(frames[: first + shown], background=BEHIND)])
    whole = np.vstack([np.hstack(row[first : first + shown]) for row in rows])
    height, width = frames[0].shape[:2]
    small = Image.fromarray(whole).resize((320 * shown, 320 * 3 * height // width), Image.Resampling.LANCZOS)
    save(small, "video_strip.webp", 84)


def flicker(engine: Engine, frames: list[Bytes], truths: list[Numbers]) -> None:
    """Plots how much alpha changes from frame to frame where the true alpha does not."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    rest = np.abs(np.diff(np.stack(truths), axis=0)) < 1 / 255
    figure, axes = pyplot.subplots(figsize=(8, 3), dpi=120, layout="constrained")
    for name, on, color in (("--no-stabilize", False, "#c0504d"), ("--stabilize", True, "#2b5797")):
        alphas = np.stack([*VideoMatter(engine, stabilize=on).map(frames)]).astype(np.float32)
        change = np.abs(np.diff(alphas, axis=0))
        of_frames = [float(each[still].mean()) for each, still in zip(change, rest, strict=True)]
        errors = [float(np.abs(a / 255 - t).mean()) for a, t in zip(alphas, truths, strict=True)]
        print(f"{name}: flicker {np.mean(of_frames):.2f} of 255, error of alpha {255 * np.mean(errors):.2f} of 255")
        axes.plot(range(1, len(frames)), of_frames, color=color, label=f"{name}, mean {np.mean(of_frames):.2f}")
    axes.axvspan(0, len(frames) // 2, color="0.93", label="subject moves")
    axes.set(xlabel="frame", ylabel="mean change of alpha (of 255)\nwhere the true alpha is constant")
    axes.set(xlim=(0, len(frames) - 1), ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(IMAGES / "video_flicker.png")
    pyplot.close(figure)


# ---- files ---------------------------------------------------------------------------------------------------------


def labels(image: Image.Image, words: list[str], step: int) -> None:
    draw = ImageDraw.Draw(image)
    for number, text in enumerate(words):
        draw.text((number * step + 6, 5), text, "black", ImageFont.load_default(17))


def save(image: Image.Image, name: str, quality: int) -> None:
    image.save(IMAGES / name, quality=quality, method=6)
    print(f"{name}: {image.width}x{image.height}, {(IMAGES / name).stat().st_size // 1000} kB")


def main() -> None:
    edges()
    frames, truths = clip()
    with Engine("u2netp", color="rgb", stretch="none") as engine:
        print(engine.info)
        strip(engine, frames)
        flicker(engine, frames, truths)


if __name__ == "__main__":
    main()
