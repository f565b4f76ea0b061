# SPDX-License-Identifier: Apache-2.0
"""Files whose pixels are whole are read, whatever is wrong beside them; the others are refused with the true reason."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.image.samples import ADOBE_RGB, chunk, gradient, saved, with_chunk

import rmbg_trt
from rmbg_trt.image import load_pil, read_image


def photograph(height: int = 120, width: int = 160) -> Image.Image:
    return Image.fromarray(gradient(24, 30)).resize((width, height), Image.Resampling.BICUBIC)


def long_text() -> bytes:
    """1.4 MB, as the workflows of image generators may be."""
    return random.Random(0).randbytes(700_000).hex().encode()


# ---- PNG ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"zTXt", b"workflow\0\0" + zlib.compress(long_text())),
        (b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(long_text())),
        (b"zTXt", b"workflow\0\0 this is not compressed"),
        (b"iTXt", b"no end"),
        (b"pHYs", b"short"),
    ],
)
def test_text_does_not_cost_the_image(kind: bytes, data: bytes, behind: bool, caplog: pytest.LogCaptureFixture) -> None:
    """In front of the pixels, and behind them, where it is read with the pixels."""
    png = saved(Image.fromarray(gradient()), "PNG", dpi=(300, 300))
    end = len(png) - 12
    damaged = png[:end] + chunk(kind, data) + png[end:] if behind else with_chunk(kind, data, png)
    image = read_image(damaged, name="x.png")
    np.testing.assert_array_equal(image.pixels, gradient())
    assert kind == b"pHYs" or image.dpi == pytest.approx((300, 300), abs=0.02)
    if not caplog.text:  # Pillow passes some over without a word
        assert Image.open(io.BytesIO(damaged)).load()
    else:
        assert "x.png: text or other data beside the pixels is damaged or very long; it is ignored" in caplog.text


def test_a_wrong_checksum_of_an_ancillary_chunk_does_not_cost_the_image() -> None:
    png = bytearray(with_chunk(b"tIME", bytes(7)))
    png[33 + 8 + 7] ^= 255
    np.testing.assert_array_equal(read_image(bytes(png)).pixels, gradient())


def test_a_profile_over_a_mebibyte_is_kept() -> None:
    # Pillow takes one MiB. The rest of this profile is in no tag.
    profile = bytearray(ADOBE_RGB + random.Random(0).randbytes(2_000_000))
    profile[:4] = struct.pack(">I", len(profile))
    image = read_image(with_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(profile))))
    assert image.icc_profile == bytes(profile)
    assert ImageCms.ImageCmsProfile(io.BytesIO(image.icc_profile)).profile.profile_description == "Adobe RGB"


def test_a_profile_that_inflates_without_end_is_ignored() -> None:
    image = read_image(with_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(100 << 20))))
    assert image.icc_profile is None
    np.testing.assert_array_equal(image.pixels, gradient())


def test_damaged_pixels_stay_damaged() -> None:
    png = with_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(long_text()))
    for damaged in (png[:-60], png.replace(b"IDAT", b"IDAX")):
        with pytest.raises(rmbg_trt.InputError, match="x is "):
            read_image(damaged, name="x")


# ---- JPEG --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}])
def test_only_the_end_marker_of_a_jpeg_is_missing(
    missing: int, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    whole = saved(photograph(), "JPEG", **options)
    expected = np.asarray(Image.open(io.BytesIO(whole)))
    np.testing.assert_array_equal(read_image(whole[:-missing], name="x.jpg").pixels, expected)
    assert "x.jpg: the file lacks its end marker; no pixel is missing" in caplog.text
    np.testing.assert_array_equal(load_pil(Image.open(io.BytesIO(whole[:-missing]))).pixels, expected)


@pytest.mark.parametrize("missing", [8, 40, 300])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_without_all_its_pixels_is_cut_short(missing: int, options: dict[str, Any]) -> None:
    """The decoder would make the rest up: gray, or a repetition."""
    noisy = Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8))
    for image in (noisy, photograph()):
        whole = saved(image, "JPEG", quality=95, **options)
        with pytest.raises(rmbg_trt.InputError, match="x is cut short"):
            read_image(whole[:-missing], name="x")


def test_a_large_jpeg_is_refused_before_it_is_repaired() -> None:
    with pytest.raises(rmbg_trt.InputError, match="more than the limit of 100"):
        read_image(saved(photograph(), "JPEG")[:-2], max_pixels=100)


# ---- reasons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7 and more", "x is a PDF document"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "x is an SVG drawing"),
        (b"\n<!DOCTYPE html><html>", "x is a web page"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "x is a JPEG XL image"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(50), "x is a camera's raw file"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(50), "x is a camera's raw file"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "x is a pointer of Git LFS"),
        (saved(photograph(), "EPS"), r"x is a drawing \(EPS\), not an image; save it as a PNG"),
        (saved(photograph(), "PNG")[:20], "x is (cut short|damaged|a PNG file that is cut short)"),
        (saved(photograph(), "GIF")[:8], "x is (cut short|damaged|a GIF file that is cut short)"),
        (saved(photograph(), "WEBP", lossless=True)[:-200], "x is (cut short|damaged|a WebP file that is cut short)"),
    ],
)
def test_what_is_not_read_has_its_true_reason(data: bytes, reason: str) -> None:
    with pytest.raises(rmbg_trt.InputError, match=reason):
        read_image(data, name="x")


def test_half_an_avif_is_cut_short() -> None:
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    whole = saved(photograph(), "AVIF")
    for part in (whole[: len(whole) // 2], whole[:100], whole[:-1]):
        with pytest.raises(rmbg_trt.InputError, match=r"x is (an AVIF file that is cut short|cut short)"):
            read_image(part, name="x")


@pytest.mark.parametrize("format", ["MPO", "ICO"])
def test_formats_of_few_programs(format: str) -> None:
    pixels = read_image(saved(photograph(64, 64), format)).pixels
    assert np.abs(pixels[..., :3].astype(int) - np.asarray(photograph(64, 64))).mean() < 3


def test_a_stream_without_an_end_is_given_up() -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return len(buffer)

    with pytest.raises(rmbg_trt.InputError, match=r"x has more than \S+ bytes, too many for an image of 1,000 pixels"):
        read_image(Endless(), max_pixels=1000, name="x")  # type: ignore[arg-type]


def test_an_empty_path() -> None:
    with pytest.raises(rmbg_trt.InputError, match="the path of an image is empty"):
        read_image("")
