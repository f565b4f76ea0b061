# SPDX-License-Identifier: Apache-2.0
"""A small set whose truth a model of a few bytes finds: red subjects on blue, and a model that sees red."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from rmbg_trt.training.data import Pair, create_csv

SIZE = (48, 64)  # of the images; small_models.matte of this size finds the subject to the pixel


def image(subject: np.ndarray) -> np.ndarray:
    """Red where there is the subject, blue elsewhere: (H, W, 3) uint8."""
    return np.where(subject[..., None], (220, 30, 20), (20, 30, 220)).astype(np.uint8)


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    subject = np.zeros(SIZE, bool)
    subject[top:bottom, left:right] = True
    return subject


SUBJECTS = {
    "whole": (box(8, 8, 40, 56), box(8, 8, 40, 56)),  # what is seen, and what is true
    "half": (box(8, 8, 40, 32), box(8, 8, 40, 56)),
    "wrong": (box(0, 0, 20, 20), box(28, 30, 48, 60)),
}
IOU = {"whole": 1.0, "half": 0.5, "wrong": 0.0}


def write_pair(folder: Path, name: str, seen: np.ndarray, true: np.ndarray, category: str, split: str) -> Pair:
    """``true`` is a mask (bool) or a matte (uint8)."""
    pair = Pair(name, folder / "images" / f"{name}.png", folder / "masks" / f"{name}.png", category, split)
    for path, pixels in (
        (pair.image, image(seen)),
        (pair.mask, true if true.dtype == np.uint8 else true * np.uint8(255)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return pair


def make_set(folder: Path) -> list[Pair]:
    """A prepared set: "whole" and "half" of the category "a", "wrong" of "b", and one of another split."""
    pairs = [
        write_pair(folder, name, *subjects, "b" if name == "wrong" else "a", "val")
        for name, subjects in SUBJECTS.items()
    ]
    create_csv([*pairs, write_pair(folder, "other", *SUBJECTS["wrong"], "a", "train")], folder / "pairs.csv")
    return pairs
