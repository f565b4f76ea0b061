# SPDX-License-Identifier: Apache-2.0
"""What the forms of a background become. The refusals are in test_engine_errors.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import reference

from rmbg_trt.background import parse


@pytest.mark.parametrize(
    ("text", "rgb"),
    [
        ("#ff8000", (255, 128, 0)),
        ("#F80", (255, 136, 0)),
        ("tomato", (255, 99, 71)),
        (" White ", (255, 255, 255)),
        ("rgb(1, 2, 3)", (1, 2, 3)),
        ("#010203ff", (1, 2, 3)),
    ],
)
def test_colours_by_name_are_turned_into_the_frames_order(text: str, rgb: tuple[int, int, int]) -> None:
    assert parse(text, 4, 4, "rgb").value == rgb
    assert parse(text, 4, 4, "bgr").value == rgb[::-1]


@pytest.mark.parametrize("value", [(1, 2, 3), [1, 2, 3], np.array([1, 2, 3]), np.array([1, 2, 3], np.uint8)])
@pytest.mark.parametrize("color", ["bgr", "rgb"])
def test_numbers_are_taken_as_they_are(value: Any, color: Any) -> None:
    assert parse(value, 4, 4, color).value == (1, 2, 3)


def test_blur() -> None:
    assert parse("blur:12.5", 100, 50, "bgr").blur_sigma == 12.5
    assert parse("Blur", 1080, 1920, "bgr").blur_sigma == pytest.approx(21.6)
    assert parse("blur", 10, 10, "bgr").blur_sigma == 1.0  # never less than a pixel
    assert parse("blur:1000", 9, 9, "bgr").blur_sigma == 1000


def test_a_picture_of_the_frames_size_is_not_touched() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    assert parse(picture, 30, 40, "bgr").value is picture


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (90, 30), (31, 97), (1, 1), (1, 200)])
@pytest.mark.parametrize("shape", [(30, 40, 3), (97, 31, 3), (1, 1, 3)])
def test_a_picture_covers_the_frame_and_is_cropped_about_its_centre(
    shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    picture = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    value = parse(picture, *size, "bgr").value
    assert isinstance(value, np.ndarray)
    assert value.shape == (*size, 3)
    # The aspect is kept: one side fits, the other is too long and loses as much at either end.
    scale = max(size[0] / shape[0], size[1] / shape[1])
    whole = (round(shape[0] * scale), round(shape[1] * scale))
    assert whole[0] == size[0] or whole[1] == size[1]
    top, left = (whole[0] - size[0]) // 2, (whole[1] - size[1]) // 2
    expected = reference.resize(picture, whole)[top : top + size[0], left : left + size[1]]
    np.testing.assert_array_equal(value, expected)


def test_the_middle_of_a_picture_stays_in_the_middle() -> None:
    picture = np.zeros((50, 150, 3), np.uint8)
    picture[:, 50:100] = 255
    value = parse(picture, 50, 50, "bgr").value
    assert isinstance(value, np.ndarray)
    assert (value == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK"])
def test_pil_pictures_are_rgb_whatever_the_frame_is(mode: str) -> None:
    picture = Image.fromarray(reference.photograph("chelsea")).convert(mode)
    rgb = np.asarray(picture.convert("RGB"))
    height, width = rgb.shape[:2]
    np.testing.assert_array_equal(parse(picture, height, width, "rgb").value, rgb)
    np.testing.assert_array_equal(parse(picture, height, width, "bgr").value, rgb[:, :, ::-1])
    bgr = parse(picture, 100, 100, "bgr").value
    np.testing.assert_array_equal(bgr, np.asarray(parse(picture, 100, 100, "rgb").value)[:, :, ::-1])


def test_an_extreme_shape_costs_no_more_than_a_few_frames_of_memory() -> None:
    """A line of 5000 pixels behind 108 x 192 would be 960,000 rows high if all of it were scaled."""
    line = np.repeat(np.arange(5000, dtype=np.uint8)[:, None, None] % 7, 3, axis=2)

    made = parse(line, 108, 192, "rgb").value
    assert isinstance(made, np.ndarray)
    assert made.shape == (108, 192, 3)
    assert made.base is None or made.base.size <= 20 * 108 * 192 * 3


def test_a_flipped_picture_is_taken_whatever_its_size() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(parse(picture[::-1], 20, 30, "rgb").value, picture[::-1])
