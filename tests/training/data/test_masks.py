# SPDX-License-Identifier: Apache-2.0
"""Masks as datasets store them, against values written out by hand."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import make

from rmbg_trt.errors import InputError
from rmbg_trt.training.data import read_mask, resize_mask
from rmbg_trt.training.data.masks import not_a_mask

SHAPE = np.array([[0, 255, 255], [0, 0, 255]], np.uint8)


def _palette(colors: list[int]) -> Image.Image:
    image = Image.fromarray((SHAPE // 255).astype(np.uint8)).convert("P")
    image.putdata((SHAPE.ravel() // 255).tolist())
    image.putpalette(colors)
    return image


def _with_alpha(mode: str) -> Image.Image:
    image = Image.new("RGB", (3, 2), (90, 20, 200)).convert(mode)
    image.putalpha(Image.fromarray(SHAPE))
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(SHAPE),
        Image.fromarray(SHAPE).convert("1"),
        Image.fromarray(SHAPE).convert("RGB"),
        Image.fromarray(SHAPE // np.uint8(255)),  # labels
        Image.fromarray(SHAPE.astype(np.uint16) * 257),
        Image.fromarray((SHAPE // 255).astype(np.uint16)),
        _palette([0, 0, 0, 255, 255, 255]),
        _palette([0, 0, 0, 128, 0, 0]),  # as DAVIS and VOC have it
        _with_alpha("RGBA"),
        _with_alpha("LA"),
    ],
    ids=["gray", "1-bit", "rgb", "labels", "16-bit", "16-bit labels", "palette", "coloured palette", "rgba", "la"],
)
def test_every_kind_of_mask_reads_the_same(image: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    image.save(path)
    for source in (path, path.read_bytes()):
        mask = read_mask(source)
        assert mask.dtype == np.uint8
        assert mask.flags.c_contiguous
        np.testing.assert_array_equal(mask, SHAPE)


def _colors(background: tuple[int, ...], subject: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    return Image.fromarray(np.where(SHAPE[..., None] > 0, np.uint8(subject), np.uint8(background)), mode)


@pytest.mark.parametrize(
    "image",
    [
        _colors((0, 0, 0), (255, 0, 0)),
        _colors((0, 0, 0), (0, 0, 90)),
        _colors((20, 0, 60), (200, 220, 90)),
        _colors((0, 0, 0, 0), (255, 0, 0, 0), "RGBA"),  # an alpha channel that says nothing
        Image.fromarray(np.where(SHAPE > 0, np.uint8(100), np.uint8(0))),
        Image.fromarray(np.where(SHAPE > 0, np.uint8(180), np.uint8(50))),
        Image.fromarray(np.where(SHAPE > 0, np.uint8(2), np.uint8(1))),
        Image.fromarray(np.where(SHAPE > 0, 1000, 0).astype(np.uint16)),
        Image.fromarray(np.where(SHAPE > 0, 7, 3).astype(np.int32)),
        _palette([90, 0, 0, 0, 200, 90]),  # no black
        _palette([50, 50, 50, 180, 180, 180]),
    ],
    ids=[
        *("red", "dark blue", "two colors", "constant alpha", "half gray", "two grays", "labels 1 and 2"),
        *("16-bit", "32-bit", "palette without black", "palette of two grays"),
    ],
)
def test_the_brighter_of_two_values_is_foreground(image: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / ("mask.tiff" if image.mode == "I" else "mask.png")
    image.save(path)
    np.testing.assert_array_equal(read_mask(path), SHAPE)


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 160, 0), (40, 60, 220)])
def test_a_colored_mask_as_jpeg(color: tuple[int, int, int], tmp_path: Path) -> None:
    truth = make.hard_ellipse(64, 96)
    Image.fromarray(np.where(truth[..., None] > 0, np.uint8(color), np.uint8(0))).save(tmp_path / "mask.jpg")
    assert ((read_mask(tmp_path / "mask.jpg") >= 128) == (truth > 0)).mean() > 0.98


def test_a_gray_jpeg_keeps_its_levels(tmp_path: Path) -> None:
    levels = make.soft_disc(64, 96)
    Image.fromarray(levels).convert("RGB").save(tmp_path / "mask.jpg", quality=95)
    assert np.abs(read_mask(tmp_path / "mask.jpg").astype(int) - levels).max() < 12


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 128, 255], "a trimap .128 means unknown."),
        ([0, 1, 2, 3], "labels 0, 1, 2, 3; expected two values"),
        ([1, 2, 3], "labels 1, 2, 3"),
        ([0, 255], ""),
        ([0, 90, 255], ""),
        ([0, 7, 128, 255], ""),
    ],
)
def test_trimaps_and_labels_are_no_masks(values: list[int], words: str) -> None:
    said = not_a_mask(np.array([values], np.uint8))
    assert re.search(words, said) if words else not said


def test_an_opaque_alpha_channel_is_no_mask(tmp_path: Path) -> None:
    Image.fromarray(SHAPE).convert("RGBA").save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), SHAPE)


def test_matte_keeps_its_levels(tmp_path: Path) -> None:
    levels = np.array([[0, 7, 128, 255]], np.uint8)
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "deep.png"), levels)


def test_float_is_a_share_of_one(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "mask.tiff")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tiff"), [[0, 128, 255]])


def test_turned_mask_comes_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(SHAPE).save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), SHAPE[::-1, ::-1])


def test_values_out_of_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-1.0, 300.0]], np.float32)).save(tmp_path / "mask.tiff")
    with pytest.raises(InputError, match=r"mask\.tiff: its values range from -1"):
        read_mask(tmp_path / "mask.tiff")
    with pytest.raises(InputError, match="from the tar: its values"):
        read_mask((tmp_path / "mask.tiff").read_bytes(), name="from the tar")


@pytest.mark.parametrize("data", [b"", b"no image"])
def test_no_image(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(data)
    with pytest.raises(InputError, match=r"mask\.png"):
        read_mask(tmp_path / "mask.png")
    with pytest.raises(InputError, match="missing"):
        read_mask(tmp_path / "missing.png")


def test_majority_decides() -> None:
    mask = np.array([[0, 255, 255, 255], [0, 0, 255, 0]], np.uint8)
    np.testing.assert_array_equal(resize_mask(mask, (1, 2)), [[0, 255]])
    # a tie goes to the larger value
    np.testing.assert_array_equal(resize_mask(np.array([[0, 255]], np.uint8), (1, 1)), [[255]])


@pytest.mark.parametrize("size", [(7, 5), (50, 61), (200, 33), (1, 1)])
@pytest.mark.parametrize("values", [(0, 255), (3, 200)])
def test_a_mask_never_gets_a_third_value(size: tuple[int, int], values: tuple[int, int]) -> None:
    mask = np.random.default_rng(1).choice(np.array(values, np.uint8), (40, 30))
    resized = resize_mask(mask, size)
    assert resized.shape == size
    assert set(np.unique(resized)) <= set(values)


@pytest.mark.parametrize("size", [(7, 5), (90, 61)])
def test_a_matte_stays_in_its_range(size: tuple[int, int]) -> None:
    matte = make.noise(40, 30, seed=2, low=10, high=240)
    resized = resize_mask(matte, size)
    assert resized.shape == size
    assert matte.min() <= resized.min()
    assert resized.max() <= matte.max()
    assert abs(float(resized.mean()) - float(matte.mean())) < 4


def test_halving_a_matte_averages() -> None:
    matte = np.array([[0, 100, 8, 8], [100, 200, 8, 8]], np.uint8)
    np.testing.assert_array_equal(resize_mask(matte, (1, 2)), [[100, 8]])


def test_constant_and_same_size() -> None:
    same: Any = np.full((3, 4), 9, np.uint8)
    assert resize_mask(same, (3, 4)) is same
    np.testing.assert_array_equal(resize_mask(same, (2, 2)), np.full((2, 2), 9))


def test_stream_is_read() -> None:
    stream = io.BytesIO()
    Image.fromarray(SHAPE).save(stream, "PNG")
    stream.seek(0)
    np.testing.assert_array_equal(read_mask(stream), SHAPE)
