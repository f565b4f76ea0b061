# SPDX-License-Identifier: Apache-2.0
"""Writing pictures: what is decoded again is what was given, with what belongs to it; and files are whole or absent."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from tests.make import noise

import rmbg_trt
from rmbg_trt.files import atomic_file
from rmbg_trt.image import FORMATS, LoadedImage, encode_image, format_of, write_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def photograph() -> Any:
    """Smooth enough for lossy formats, (40, 60, 3)."""
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([4 * x, 6 * y, 255 - 4 * x], axis=-1).astype(np.uint8)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def like() -> LoadedImage:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Model 1"
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    exif[0x8825] = {1: "N"}
    return LoadedImage(noise(2, 2, 3), SRGB, (300.0, 150.0), exif.tobytes())


# ---- pixels ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([(), (3,), (4,)]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([2, 256]),
)
def test_png_is_exact(height: int, width: int, channels: tuple[int, ...], seed: int, levels: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width, *channels), np.uint8)
    if channels == (4,):
        pixels[..., 3] |= 1  # nothing hidden
    image = opened(encode_image(pixels, "png"))
    assert image.mode == {(): "L", (3,): "RGB", (4,): "RGBA"}[channels]
    np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.fixture(params=["ISA-L", "zlib"])
def compressor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ISA-L, which the tests install, and as where it has no wheel."""
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
    else:
        pytest.importorskip("isal")


@pytest.mark.usefixtures("compressor")
def test_png_of_many_bands_is_exact() -> None:
    pixels = noise(1100, 701, 3)  # 2.3 MB: nine bands and a rest
    pixels[300:800] = 40
    np.testing.assert_array_equal(np.asarray(opened(encode_image(pixels, "png"))), pixels)
    wide = noise(3, 100_000, 4) | 1  # a row is larger than a band
    np.testing.assert_array_equal(np.asarray(opened(encode_image(wide, "png"))), wide)


@pytest.mark.usefixtures("compressor")
def test_png_passes_the_checks_of_a_strict_decoder() -> None:
    image = Image.open(io.BytesIO(encode_image(noise(31, 17, 4) | 1, "png", like=like())))
    image.verify()  # checksums of every chunk, and their order


@pytest.mark.parametrize("format", ["webp", "tiff"])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_webp_and_tiff_are_exact_by_default(format: Any, channels: tuple[int, ...]) -> None:
    pixels = noise(31, 17, *channels)
    if channels == (4,):
        pixels |= 1
    image = opened(encode_image(pixels, format))
    expected = np.repeat(pixels[..., None], 3, axis=2) if format == "webp" and not channels else pixels
    np.testing.assert_array_equal(np.asarray(image), expected)


def test_hidden_color_does_not_travel_along() -> None:
    pixels = noise(9, 9, 4)
    pixels[..., 3] = 0
    pixels[4, 4] = (10, 20, 30, 1)
    before = pixels.copy()
    for format in ("png", "tiff", "webp"):
        result = np.asarray(opened(encode_image(pixels, format)))
        assert result[4, 4].tolist() == [10, 20, 30, 1]
        if format != "webp":  # libwebp clears in blocks, to what compresses best
            assert int(result.astype(int).sum()) == 61
    np.testing.assert_array_equal(pixels, before)


def test_padded_rows_and_slices_are_taken_as_they_are_seen() -> None:
    pixels = noise(20, 30, 3)[2:12, 5:20]
    np.testing.assert_array_equal(np.asarray(opened(encode_image(pixels, "png"))), pixels)
    cutout = (noise(20, 30, 4) | 1)[::2, 3:20]
    np.testing.assert_array_equal(np.asarray(opened(encode_image(cutout, "png"))), cutout)


def test_quality() -> None:
    pixels = photograph()
    sizes = [len(encode_image(pixels, "jpg", quality=quality)) for quality in (30, None, 100)]
    assert sizes == sorted(set(sizes))
    near = np.asarray(opened(encode_image(pixels, "jpg"))).astype(int)
    assert np.abs(near - pixels).max() <= 12
    alpha = np.full((40, 60, 1), 200, np.uint8)
    alpha[:20] = 3
    cutout = np.concatenate([pixels, alpha], axis=2)
    lossy = np.asarray(opened(encode_image(cutout, "webp", quality=50)))
    np.testing.assert_array_equal(lossy[..., 3:], alpha)
    assert not np.array_equal(lossy[..., :3], pixels)


# ---- what belongs to it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "jpg"])
def test_profile_resolution_and_exif_are_kept(format: Any) -> None:
    image = opened(encode_image(photograph(), format, like=like()))
    assert image.info["icc_profile"] == SRGB
    if format != "webp":
        assert [float(value) for value in image.info["dpi"]] == pytest.approx([300, 150], abs=0.02)
    exif = image.getexif()
    assert (exif[0x010F], exif[0x0110]) == ("Maker", "Model 1")
    assert 0x0112 not in exif or exif[0x0112] == 1
    if format != "tiff":
        assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert exif.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("format", ["png", "tiff", "jpg", "webp"])
def test_an_alpha_has_no_color_profile(format: Any) -> None:
    image = opened(encode_image(noise(8, 8), format, like=like()))
    assert "icc_profile" not in image.info


def test_nothing_is_made_up() -> None:
    info = opened(encode_image(photograph(), "png", like=LoadedImage(noise(1, 1, 3)))).info
    assert not {"icc_profile", "dpi", "exif"} & set(info)


# ---- what is refused ---------------------------------------------------------------------------------------------


def test_a_cutout_cannot_be_a_jpeg() -> None:
    with pytest.raises(rmbg_trt.InputError, match="JPEG, which has no transparency; use png, webp or tiff"):
        encode_image(noise(2, 2, 4), "jpg")


@pytest.mark.parametrize(
    ("pixels", "format", "quality", "reason"),
    [
        (np.zeros((2, 2, 2), np.uint8), "png", None, r"shape \(2, 2, 2\)"),
        (np.zeros((2, 2), np.float32), "png", None, "float32"),
        (np.zeros((0, 2), np.uint8), "png", None, r"shape \(0, 2\)"),
        (np.zeros((2, 2), np.uint8), "bmp", None, "'bmp'; expected png, webp, tiff or jpg"),
        (np.zeros((2, 2), np.uint8), "jpg", 101, "101; expected 1 to 100"),
        (np.zeros((2, 2), np.uint8), "png", 90, "png is lossless"),
        (np.zeros((1, 16384), np.uint8), "webp", None, "at most 16383 pixels a side; this one has 16384"),
    ],
)
def test_what_cannot_be_stored_is_refused(pixels: Any, format: Any, quality: int | None, reason: str) -> None:
    with pytest.raises(rmbg_trt.InputError, match=reason):
        encode_image(pixels, format, quality=quality)


def test_format_of_a_name() -> None:
    assert {format_of(f"x{suffix.upper()}") for suffix in FORMATS} == {"png", "webp", "tiff", "jpg"}
    for name in ("x.bmp", "x", "x.png.bak"):
        with pytest.raises(rmbg_trt.InputError, match=r"expected one of \.png"):
            format_of(name)


# ---- whole or absent ---------------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_makes_folders_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "x.png"
    for value in (3, 4):
        write_image(target, np.full((2, 2), value, np.uint8))
        assert np.asarray(Image.open(target)).tolist() == [[value] * 2] * 2
    assert names(target.parent) == ["x.png"]


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    write_image(tmp_path / "x.png", noise(2, 2))
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "x.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_a_write_that_is_broken_off_leaves_everything_as_it_was(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "x.png"
    target.write_bytes(b"old")
    with pytest.raises(failure), atomic_file(target) as stream:  # noqa: PT012 - the block is what is tested
        stream.write(b"new")
        stream.flush()
        assert target.read_bytes() == b"old"
        raise failure
    assert (names(tmp_path), target.read_bytes()) == (["x.png"], b"old")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    """The system refuses every byte beyond 10,000, in the middle of the file."""
    script = """
import resource, sys, numpy as np, rmbg_trt
from rmbg_trt.image import write_image
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_image(sys.argv[1], np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
except rmbg_trt.Error as error:
    print(error)
"""
    (tmp_path / "x.png").write_bytes(b"old")
    command = [sys.executable, "-c", script, str(tmp_path / "x.png")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.strip() == f"{tmp_path / 'x.png'} could not be written: File too large"
    assert (names(tmp_path), (tmp_path / "x.png").read_bytes()) == (["x.png"], b"old")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_is_written_to_and_not_replaced() -> None:
    with pytest.raises(rmbg_trt.Error, match="/dev/full could not be written: No space left on device"):
        write_image("/dev/full", noise(200, 200), format="png")
    assert not Path("/dev/full").is_file()
    write_image("/dev/null", noise(2, 2), format="png")
    assert not Path("/dev/null").is_file()


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(rmbg_trt.Error, match=r"x\.png could not be written: "):
        write_image(tmp_path / "file" / "x.png", noise(2, 2))
    with pytest.raises(rmbg_trt.Error, match=r"folder\.png could not be written: .*folder"):
        write_image(tmp_path / "folder.png", noise(2, 2))
    assert names(tmp_path) == ["file", "folder.png"]


@pytest.mark.skipif(not hasattr(os, "symlink") or sys.platform == "win32", reason="needs links")
def test_a_link_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("real.png")
    write_image(tmp_path / "link.png", np.full((1, 1), 5, np.uint8))
    assert (tmp_path / "link.png").is_symlink()
    assert np.asarray(Image.open(tmp_path / "real.png")).tolist() == [[5]]
