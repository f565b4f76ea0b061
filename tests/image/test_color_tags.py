# SPDX-License-Identifier: Apache-2.0
"""Colors: what a file says of them becomes a profile that shows the same colors, or is kept."""

from __future__ import annotations

import io
import logging
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.image.samples import ADOBE_RGB, DISPLAY_P3, SRGB, gradient, saved, shown, with_chunk

from rmbg_trt.image import LoadedImage, convert_color, convert_pixels, encode_image, load_pil, read_image, to_pil
from rmbg_trt.image.profile import make_profile

P3, PQ, HLG = bytes([12, 13, 0, 1]), bytes([9, 16, 0, 1]), bytes([9, 18, 0, 1])


def avif_with(primaries: int, transfer: int) -> bytes:
    """An AVIF whose nclx is changed by hand, because Pillow cannot write others."""
    if "AVIF" not in Image.SAVE:
        Image.init()
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    data = saved(Image.fromarray(gradient()), "AVIF", quality=100)
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


# ---- made profiles -----------------------------------------------------------------------------------------------


def test_a_made_profile_of_srgb_changes_no_color() -> None:
    made = make_profile("like sRGB", (0.3127, 0.329), ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)), None)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    for source, target in ((None, made), (made, None)):
        assert np.abs(convert_pixels(pixels, source, target, "x").astype(int) - pixels).max() <= 1


def test_a_made_profile_has_the_primaries_and_the_curve_asked_for() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(ADOBE_RGB)).profile
    assert profile.profile_description == "Adobe RGB"
    assert profile.red_colorant[0] == pytest.approx((0.60974, 0.31111, 0.01947), abs=2e-4)  # Adobe RGB (1998), 4.3.5
    assert profile.green_colorant[0] == pytest.approx((0.20528, 0.62567, 0.06087), abs=2e-4)
    assert profile.blue_colorant[0] == pytest.approx((0.14919, 0.06322, 0.74457), abs=2e-4)
    # Half the light is 0.5 ** (1 / 2.2) of 255 in Adobe RGB, and 188 in sRGB.
    assert shown((186, 186, 186), ADOBE_RGB) == pytest.approx((188, 188, 188), abs=1)


def test_primaries_that_span_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="span no color space"):
        make_profile("x", (0.3127, 0.329), ((0.3, 0.3), (0.3, 0.3), (0.15, 0.06)), None)


def test_colors_are_converted_there_and_back() -> None:
    for color in ((43, 87, 151), (255, 255, 255), (0, 0, 0), (250, 10, 10)):
        assert shown(convert_color(color, DISPLAY_P3), DISPLAY_P3) == pytest.approx(color, abs=1)
    assert convert_color((43, 87, 151), DISPLAY_P3) != (43, 87, 151)
    assert convert_color((43, 87, 151), SRGB) == pytest.approx((43, 87, 151), abs=1)


def test_a_bad_profile_leaves_the_colors_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    assert convert_color((1, 2, 3), b"no profile") == (1, 2, 3)
    assert "the color profile cannot be used" in caplog.text


# ---- PNG ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "jpg"])
def test_cicp_display_p3_stays_display_p3_in_every_format(format: Any) -> None:
    image = read_image(with_chunk(b"cICP", P3))
    written = read_image(encode_image(image.pixels, format, like=image))
    for pixel in ((200, 30, 40), (20, 220, 30)):
        assert shown(pixel, written.icc_profile) == pytest.approx(shown(pixel, DISPLAY_P3), abs=1)
        assert shown(pixel, written.icc_profile) != shown(pixel, None)


def test_cicp_comes_before_a_profile() -> None:
    base = saved(Image.fromarray(gradient()), "PNG", icc_profile=ADOBE_RGB)
    pixel = (30, 200, 60)
    assert shown(pixel, read_image(base).icc_profile) == shown(pixel, ADOBE_RGB)
    assert shown(pixel, read_image(with_chunk(b"cICP", P3, base)).icc_profile) == shown(pixel, DISPLAY_P3)


def test_cicp_of_srgb_needs_no_profile() -> None:
    for points in ((1, 13, 0, 1), (1, 1, 0, 1), (2, 2, 0, 1)):
        assert read_image(with_chunk(b"cICP", bytes(points))).icc_profile is None


@pytest.mark.parametrize(("points", "name"), [(PQ, "PQ"), (HLG, "HLG")])
def test_hdr_is_kept_in_a_png_and_said_elsewhere(points: bytes, name: str, caplog: pytest.LogCaptureFixture) -> None:
    image = read_image(with_chunk(b"cICP", points), name="hdr.png")
    assert (image.icc_profile, image.cicp) == (None, points)
    again = read_image(encode_image(image.pixels, "png", like=image))
    assert again.cicp == points
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert not caplog.text
    for format in ("webp", "tiff", "jpg"):
        caplog.clear()
        encode_image(image.pixels, format, like=image)  # type: ignore[arg-type]
        assert f"hdr.png is HDR ({name}), which a {format} file cannot say" in caplog.text
    caplog.clear()
    assert "cicp" not in to_pil(image.pixels, image).info
    assert f"hdr.png is HDR ({name}), which a PIL image cannot say" in caplog.text
    caplog.clear()
    alpha = encode_image(image.pixels[..., 0], "png", like=image)  # a matte has no colors
    assert b"cICP" not in alpha
    assert not caplog.text


def test_an_unknown_color_space_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert read_image(with_chunk(b"cICP", bytes([77, 13, 0, 1])), name="x").icc_profile is None
    assert "x: the color space 77/13 is not known" in caplog.text


def test_gamma_and_chromaticities_become_a_profile() -> None:
    linear = read_image(with_chunk(b"gAMA", struct.pack(">I", 100000)))
    assert shown((55, 55, 55), linear.icc_profile) == pytest.approx((128, 128, 128), abs=1)  # (55 / 255) is 128 in sRGB
    adobe = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    wide = read_image(with_chunk(b"gAMA", struct.pack(">I", 45455), with_chunk(b"cHRM", adobe)))
    assert shown((30, 200, 60), wide.icc_profile) == pytest.approx(shown((30, 200, 60), ADOBE_RGB), abs=6)


def test_gamma_and_chromaticities_of_srgb_need_no_profile() -> None:
    srgb = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    for data in (
        with_chunk(b"gAMA", struct.pack(">I", 45455)),
        with_chunk(b"gAMA", struct.pack(">I", 45455), with_chunk(b"cHRM", srgb)),
        with_chunk(b"sRGB", b"\0", with_chunk(b"gAMA", struct.pack(">I", 100000))),  # which overrules gAMA
    ):
        assert read_image(data).icc_profile is None


def test_damaged_tags_do_not_cost_the_image(caplog: pytest.LogCaptureFixture) -> None:
    nothing = with_chunk(b"gAMA", struct.pack(">I", 45455), with_chunk(b"cHRM", bytes(32)))
    image = read_image(nothing, name="x")
    assert image.icc_profile is None
    np.testing.assert_array_equal(image.pixels, gradient())
    assert "x: damaged color tags are ignored" in caplog.text


# ---- other formats -----------------------------------------------------------------------------------------------


def test_nclx_of_an_avif(caplog: pytest.LogCaptureFixture) -> None:
    assert read_image(avif_with(1, 13)).icc_profile is None
    p3 = read_image(avif_with(12, 13))
    assert shown((200, 30, 40), p3.icc_profile) == pytest.approx(shown((200, 30, 40), DISPLAY_P3), abs=1)
    assert read_image(avif_with(9, 16)).cicp == PQ
    assert not caplog.text


def test_the_profile_of_an_avif_comes_before_nclx() -> None:
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    data = saved(Image.fromarray(gradient()), "AVIF", icc_profile=ADOBE_RGB)
    assert read_image(data).icc_profile == ADOBE_RGB


def test_the_profile_of_a_jpeg_2000() -> None:
    data = saved(Image.fromarray(gradient()), "JPEG2000", irreversible=False)
    assert read_image(data).icc_profile is None
    head = data.index(b"jp2h") - 4
    color = data.index(b"colr") - 4
    old = struct.unpack(">I", data[color : color + 4])[0]
    box = struct.pack(">I4s3B", 11 + len(ADOBE_RGB), b"colr", 2, 0, 0) + ADOBE_RGB
    size = struct.unpack(">I", data[head : head + 4])[0] - old + len(box)
    changed = data[:head] + struct.pack(">I", size) + data[head + 4 : color] + box + data[color + old :]
    image = read_image(changed)
    assert image.icc_profile == ADOBE_RGB
    np.testing.assert_array_equal(image.pixels, read_image(data).pixels)


def test_nclx_of_a_heic() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    image = Image.fromarray(gradient(64, 64))
    data = saved(image, "HEIF", quality=90, color_primaries=12, transfer_characteristics=13)
    profile = read_image(data).icc_profile
    assert shown((200, 30, 40), profile) == pytest.approx(shown((200, 30, 40), DISPLAY_P3), abs=1)


def test_a_camera_that_says_adobe_rgb_in_its_exif_data_only() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    data = saved(Image.fromarray(gradient()), "JPEG", exif=exif)
    assert Image.open(io.BytesIO(data)).getexif().get_ifd(0xA005)[1].strip("\0") == "R03"
    profile = read_image(data).icc_profile
    assert shown((30, 200, 60), profile) == pytest.approx(shown((30, 200, 60), ADOBE_RGB), abs=1)
    exif[0x8769] = {0xA001: 1, 0xA005: {1: "R98"}}
    assert read_image(saved(Image.fromarray(gradient()), "JPEG", exif=exif)).icc_profile is None


def test_a_pil_image_that_is_not_decoded_yet_has_the_same_tags() -> None:
    for data in (with_chunk(b"cICP", P3), with_chunk(b"cICP", PQ), avif_with(12, 13)):
        read, loaded = read_image(data, name="x"), load_pil(Image.open(io.BytesIO(data)), "x")
        assert isinstance(loaded, LoadedImage)
        assert (loaded.icc_profile, loaded.cicp) == (read.icc_profile, read.cicp)
        np.testing.assert_array_equal(loaded.pixels, read.pixels)


def test_reading_the_tags_warns_of_nothing_in_ordinary_images(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for format in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"):
            read_image(saved(Image.fromarray(gradient()), format))
    assert not caplog.text
