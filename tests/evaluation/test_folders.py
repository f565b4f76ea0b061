# SPDX-License-Identifier: Apache-2.0
"""Pairs from two plain folders."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rmbg_trt.errors import InputError
from rmbg_trt.evaluation import pair_folders


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_same_names_make_pairs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = touch(
        tmp_path / "people" / "images", "b.jpg", "a.JPG", "notes.txt", "x/y/c.webp", "alone.jpg", ".hidden.png"
    )
    masks = touch(tmp_path / "people" / "masks", "a.png", "b.bmp", "x/y/c.png", "left.png")
    with caplog.at_level(logging.WARNING, "rmbg_trt"):
        pairs = pair_folders(images, masks)
    found = {pair.name: (pair.image.name, pair.mask.name, pair.category) for pair in pairs}
    assert found == {
        "a": ("a.JPG", "a.png", "people"),
        "alone": ("alone.jpg", "alone.png", "people"),  # which is not there
        "b": ("b.jpg", "b.bmp", "people"),
        "x/y/c": ("c.webp", "c.png", "x"),
    }
    assert "1 masks" in caplog.text


@pytest.mark.parametrize(
    ("images", "masks", "words"),
    [
        ([], ["a.png"], "no folder .*images"),
        (["a.jpg"], [], "no folder .*masks"),
        (["a.txt"], ["a.png"], "no images in the folder .*images"),
        (["a.jpg"], ["b.png"], r"none of the 1 images in .*images has a mask of its name.*'a' and 'b'"),
        (["a.jpg", "a.png"], ["a.png"], r"a\.jpg and .*a\.png have the same name"),
    ],
)
def test_what_is_no_set(tmp_path: Path, images: list[str], masks: list[str], words: str) -> None:
    touch(tmp_path / "images", *images)
    touch(tmp_path / "masks", *masks)
    with pytest.raises(InputError, match=words):
        pair_folders(tmp_path / "images", tmp_path / "masks")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg is not a folder"):
        pair_folders(tmp_path / "a.jpg", tmp_path)
