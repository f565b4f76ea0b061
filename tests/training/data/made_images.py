# SPDX-License-Identifier: Apache-2.0
"""Images that a perceptual hash tells apart, their masks, and datasets of them in the layouts of the published."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from PIL import Image
from tests import make


def photo(seed: int, size: tuple[int, int] = (48, 64)) -> Image.Image:
    """Smooth colors, of (height, width); another seed gives another image, another size the same."""
    return Image.fromarray(make.soft_colors(*size, seed))


def disc(size: tuple[int, int] = (48, 64)) -> Image.Image:
    """A mask of 0 and 255: an ellipse in the middle."""
    return Image.fromarray(make.hard_ellipse(*size))


def save(image: Image.Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def save_pair(seed: int, image: Path, mask: Path, size: tuple[int, int] = (48, 64)) -> None:
    save(photo(seed, size), image)
    save(disc(size), mask)


def make_pairs(folder: Path, seeds: range, size: tuple[int, int] = (48, 64)) -> tuple[Path, Path]:
    """``images/00001.jpg`` with ``masks/00001.png`` and so on, named after the seeds."""
    for seed in seeds:
        save_pair(seed, folder / f"images/{seed:05d}.jpg", folder / f"masks/{seed:05d}.png", size)
    return folder / "images", folder / "masks"


def make_p3m(folder: Path) -> None:
    for seed in (1, 2, 3):
        save_pair(seed, folder / f"train/blurred_image/p_{seed}.jpg", folder / f"train/mask/p_{seed}.png")
    np_folder, p_folder = folder / "validation/P3M-500-NP", folder / "validation/P3M-500-P"
    save_pair(4, np_folder / "original_image/p_4.jpg", np_folder / "mask/p_4.png")
    save(disc(), np_folder / "trimap/p_4.png")
    save_pair(5, p_folder / "blurred_image/p_5.jpg", p_folder / "mask/p_5.png")


def make_cod10k(folder: Path) -> None:
    for seed, part in ((11, "Train"), (12, "Train"), (13, "Test")):
        name = f"COD10K-CAM-1-Aquatic-{seed}"
        save_pair(seed, folder / part / f"Image/{name}.jpg", folder / part / f"GT_Object/{name}.png")
        save(disc(), folder / part / f"GT_Edge/{name}.png")


def make_people(folder: Path) -> None:
    make_pairs(folder, range(21, 23))
    (folder / "segmentation").mkdir()
    (folder / "segmentation/train.txt").write_text("00021\n")
    save(disc(), folder / "segmentation/00021.png")


def make_aisegment(folder: Path) -> None:
    for seed in (31, 32):
        save(photo(seed), folder / f"clip_img/1803/clip_0000/1803-{seed}.jpg")
        matting = photo(seed).convert("RGBA")
        matting.putalpha(disc())
        save(matting, folder / f"matting/1803/matting_0000/1803-{seed}.png")
    (folder / "matting/1803/matting_0000/._1803-31.png").write_bytes(b"a Mac's")


def make_duts(folder: Path) -> None:
    for seed, part in ((41, "TR"), (42, "TR"), (43, "TE")):
        root = folder / f"DUTS-{part}"
        save_pair(seed, root / f"DUTS-{part}-Image/{seed}.jpg", root / f"DUTS-{part}-Mask/{seed}.png")


def make_shard(path: Path, seeds: range) -> Path:
    """A tar of ``images/*.webp`` and 1-bit ``masks/*.png``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for seed in seeds:
            for name, image, format in (
                (f"images/{seed}.webp", photo(seed), "WEBP"),
                (f"masks/{seed}.png", disc().convert("1"), "PNG"),
            ):
                stream = io.BytesIO()
                image.save(stream, format)
                member = tarfile.TarInfo(name)
                member.size = stream.tell()
                stream.seek(0)
                tar.addfile(member, stream)
    return path
