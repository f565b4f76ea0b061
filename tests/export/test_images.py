# SPDX-License-Identifier: Apache-2.0
"""The photographs of a verification: the shipped ones, the user's, and the network's input made from them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import reference

from rmbg_trt.errors import InputError
from rmbg_trt.export.images import SHIPPED, NamedImage, input_tensor, load_images


def _save(path: Path, shade: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (5, 4), shade).convert(mode).save(path)


def test_four_photographs_are_shipped() -> None:
    images = load_images(None)
    shapes = {each.name: each.rgb.shape for each in images}
    assert shapes == {
        "astronaut.jpg": (400, 400, 3),
        "cat.jpg": (266, 400, 3),
        "coffee.jpg": (267, 400, 3),
        "rocket.jpg": (267, 400, 3),
    }
    assert all(each.rgb.dtype == np.uint8 and each.rgb.flags.c_contiguous for each in images)
    assert all(each.rgb.std() > 30 for each in images)  # photographs, not flat color
    files = [path for path in SHIPPED.iterdir() if path.suffix == ".jpg"]
    assert sum(path.stat().st_size for path in files) < 130_000
    origin = (SHIPPED / "README.md").read_text()
    assert all(f"`{path.name}`" in origin for path in files)


def test_a_folder_is_searched_in_order_through_all_levels(tmp_path: Path) -> None:
    for place, shade in (("b.png", 2), ("a.png", 1), ("deep/er/c.png", 3)):
        _save(tmp_path / place, shade)
    (tmp_path / "notes.txt").write_text("no image")
    images = load_images(tmp_path)
    assert [(each.name, int(each.rgb[0, 0, 0])) for each in images] == [
        ("a.png", 1),
        ("b.png", 2),
        ("deep/er/c.png", 3),
    ]
    assert [each.name for each in load_images(tmp_path, limit=2)] == ["a.png", "b.png"]


def test_one_file_and_alpha_is_left_out(tmp_path: Path) -> None:
    Image.new("RGBA", (3, 2), (10, 20, 30, 40)).save(tmp_path / "one.png")
    (image,) = load_images(tmp_path / "one.png")
    assert image.name == "one.png"
    assert image.rgb.shape == (2, 3, 3)
    assert image.rgb.flags.c_contiguous
    assert image.rgb[1, 2].tolist() == [10, 20, 30]


def test_bad_images_are_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff broken")
    _save(tmp_path / "b.png", 7)
    with caplog.at_level(logging.WARNING, "rmbg_trt.export"):
        images = load_images(tmp_path, limit=1)
    assert [each.name for each in images] == ["b.png"]
    assert "a.jpg" in caplog.text


def test_no_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        load_images(tmp_path / "missing")
    with pytest.raises(InputError, match="no images in the folder"):
        load_images(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"broken")
    with pytest.raises(InputError, match="none of the images"):
        load_images(tmp_path)


@pytest.mark.parametrize(("height", "width"), [(320, 320), (33, 65)])
def test_the_input_is_that_of_the_recipe(height: int, width: int) -> None:
    images = load_images(None)[:2]
    dark = NamedImage("dark", images[0].rgb // 3)  # its maximum is not 255
    x = input_tensor([*images, dark], height, width)
    assert x.shape == (3, 3, height, width)
    assert x.dtype == np.float32
    for given, image in zip(x, [*images, dark], strict=True):
        np.testing.assert_array_equal(given, reference.input_tensor(image.rgb, (height, width))[0])
