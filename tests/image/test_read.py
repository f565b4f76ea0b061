# SPDX-License-Identifier: Apache-2.0
"""Reading pictures: every mode and depth to upright RGB, what belongs to them, and clear reasons when it fails."""

from __future__ import annotations

import io
import logging
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.image.samples import SRGB, chunk, saved

import rmbg_trt
from rmbg_trt.image import LoadedImage, load_pil, read_image
from rmbg_trt.install import install_command

# A picture of 2 rows and 3 columns, and how a camera stores it under each EXIF orientation: "6" (row 0 of the file is
# the right side, column 0 the top) and so on, from the table in the EXIF specification, 4.6.4.A.
UPRIGHT = [[10, 20, 30], [40, 50, 60]]
STORED = {
    1: [[10, 20, 30], [40, 50, 60]],
    2: [[30, 20, 10], [60, 50, 40]],
    3: [[60, 50, 40], [30, 20, 10]],
    4: [[40, 50, 60], [10, 20, 30]],
    5: [[10, 40], [20, 50], [30, 60]],
    6: [[30, 60], [20, 50], [10, 40]],
    7: [[60, 30], [50, 20], [40, 10]],
    8: [[40, 10], [50, 20], [60, 30]],
}


def gray(values: Any) -> Image.Image:
    return Image.fromarray(np.array(values, np.uint8))


def first(picture: LoadedImage) -> tuple[int, ...]:
    return tuple(int(value) for value in picture.pixels[0, 0])


def cmyk_profile() -> bytes:
    """A printer whose cyan ink is a neutral gray of L* = 50: so it shows who goes through the profile."""
    table = bytearray()
    for ink in range(16):  # cyan, magenta, yellow, black: 0 or 1 each, black fastest
        cyan, black = ink >> 3 & 1, ink & 1
        table += bytes([0 if black else 128 if cyan else 255, 128, 128])  # L*, a*, b* as the 8-bit table stores them
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + bytes(table) + 3 * ramp
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    header = struct.pack(">I4sI4s4s4s12x4s", 144 + len(lut), b"none", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    header += bytes(28) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + tags + lut


def gray_profile() -> bytes:
    """Gray with gamma 1: 50 % of the light is 188 in sRGB, whose gamma is about 2.2."""
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    white = b"XYZ " + bytes(4) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    tags = struct.pack(">I4sII4sII", 2, b"kTRC", 156, len(curve), b"wtpt", 168, len(white))
    size = 168 + len(white)
    header = struct.pack(">I4sI4s4s4s12x4s", size, b"none", 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    header += bytes(28) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + tags + curve + white


# ---- upright -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_dropped(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    picture = read_image(saved(gray(STORED[orientation]), "PNG", exif=exif, dpi=(300, 150)))
    assert picture.pixels[:, :, 0].tolist() == UPRIGHT
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert dict(kept) == {0x010F: "Maker"}
    assert picture.dpi == pytest.approx((150, 300) if orientation >= 5 else (300, 150), abs=0.02)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_upright(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert read_image(saved(gray(UPRIGHT), "PNG", exif=exif)).pixels[:, :, 0].tolist() == UPRIGHT


def test_exif_keeps_the_shot_and_drops_thumbnail_and_wrong_dimensions() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0110], exif[0x0131] = 6, "Model 1", "Firmware"
    exif[0x8769] = {0xA002: 3, 0xA003: 2, 0x9003: "2020:01:02 03:04:05"}
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}
    picture = read_image(saved(gray(UPRIGHT).convert("RGB"), "JPEG", exif=exif))
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[0x0110] == "Model 1"
    assert kept.get_ifd(0x8769) == {0xA002: 2, 0xA003: 3, 0x9003: "2020:01:02 03:04:05"}  # turned: 2 wide, 3 high
    assert kept.get_ifd(0x8825)[1] == "N"
    assert kept.get_ifd(0x0201) == {}


def test_exif_of_a_tiff_has_no_tags_of_its_storage() -> None:
    tags = {0x010E: "A cat", 0x013B: "Someone"}
    picture = read_image(saved(gray(UPRIGHT), "TIFF", tiffinfo=tags, compression="tiff_lzw"))
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert dict(kept) == tags


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = saved(gray(UPRIGHT), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f garbage")
    picture = read_image(data)
    assert picture.pixels[:, :, 0].tolist() == UPRIGHT
    assert picture.exif is None


def test_a_resolution_that_is_not_in_the_file_is_not_invented() -> None:
    """Pillow says 72 dpi for a JPEG with EXIF data and none in it, and 1 dpi for a TIFF."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    image = gray(UPRIGHT)
    for data in (saved(image, "JPEG"), saved(image, "JPEG", exif=exif), saved(image, "TIFF"), saved(image, "PNG")):
        assert read_image(data).dpi is None
        assert load_pil(Image.open(io.BytesIO(data))).dpi is None
    exif[0x011A], exif[0x011B], exif[0x0128] = 72.0, 72.0, 2
    for data in (
        saved(image, "JPEG", exif=exif),
        saved(image, "JPEG", dpi=(72, 72)),
        saved(image, "TIFF", dpi=(72, 72)),
    ):
        assert read_image(data).dpi == pytest.approx((72, 72))


# ---- modes and depths --------------------------------------------------------------------------------------------


def test_rgb_and_rgba_are_exact_contiguous_and_read_only() -> None:
    for channels in (3, 4):
        pixels = np.random.default_rng(channels).integers(0, 256, (5, 7, channels), np.uint8)
        picture = read_image(saved(Image.fromarray(pixels), "PNG"))
        np.testing.assert_array_equal(picture.pixels, pixels)
        assert picture.pixels.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            picture.pixels[0, 0, 0] = 1


def test_one_bit_and_gray_alpha() -> None:
    bits = Image.new("1", (2, 1))
    bits.putpixel((1, 0), 255)
    assert read_image(saved(bits, "PNG")).pixels.tolist() == [[[0, 0, 0], [255, 255, 255]]]
    assert first(read_image(saved(Image.new("LA", (1, 1), (70, 90)), "PNG"))) == (70, 70, 70, 90)


def test_palette_with_and_without_transparency() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([200, 10, 20, 30, 210, 40, 50, 60, 220])
    for x in range(3):
        image.putpixel((x, 0), x)
    plain = [[200, 10, 20], [30, 210, 40], [50, 60, 220]]
    assert read_image(saved(image, "PNG")).pixels.tolist() == [plain]
    assert read_image(saved(image, "PNG", transparency=bytes([0, 128, 255]))).pixels.tolist() == [
        [[200, 10, 20, 0], [30, 210, 40, 128], [50, 60, 220, 255]]
    ]
    assert read_image(saved(image, "GIF", transparency=1)).pixels[0, :, 3].tolist() == [255, 0, 255]


def test_key_colors_become_alpha() -> None:
    assert read_image(saved(gray([[7, 8]]), "PNG", transparency=7)).pixels.tolist() == [[[7, 7, 7, 0], [8, 8, 8, 255]]]
    rgb = Image.new("RGB", (1, 1), (1, 2, 3))
    assert first(read_image(saved(rgb, "PNG", transparency=(1, 2, 3)))) == (1, 2, 3, 0)


def png16(color_type: int, samples: list[int], key: list[int] | None = None) -> bytes:
    """A 16-bit PNG of one pixel, by hand: Pillow cannot write the ones with color."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, color_type, 0, 0, 0))
    if key:
        head += chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    row = b"\0" + struct.pack(f">{len(samples)}H", *samples)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def test_sixteen_bits_keep_their_high_byte() -> None:
    assert first(read_image(png16(0, [0x80FF]))) == (0x80, 0x80, 0x80)
    assert first(read_image(png16(2, [0x12FF, 0x3400, 0xFFFF]))) == (0x12, 0x34, 0xFF)
    assert first(read_image(png16(6, [0x12FF, 0x3400, 0xFFFF, 0x7F80]))) == (0x12, 0x34, 0xFF, 0x7F)
    assert first(read_image(png16(4, [0x5600, 0x7F80]))) == (0x56, 0x56, 0x56, 0x7F)
    assert first(read_image(png16(0, [0x80FF], key=[0x80FF]))) == (0x80, 0x80, 0x80, 0)
    assert first(read_image(png16(2, [0x12FF, 0x3400, 0xFFFF], key=[1, 2, 300]))) == (0x12, 0x34, 0xFF)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_sixteen_bit_gray_tiff_of_both_byte_orders(byte_order: str) -> None:
    image = Image.fromarray(np.array([[0, 0x0100, 0x80FF, 0xFFFF]], f"{byte_order}u2"))
    assert read_image(saved(image, "TIFF")).pixels[0, :, 0].tolist() == [0, 1, 0x80, 0xFF]


def test_sixteen_bit_rgb_tiff() -> None:
    tifffile = pytest.importorskip("tifffile")
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.array([[[0x12FF, 0x3400, 0xFFFF]]], np.uint16), photometric="rgb")
    assert first(read_image(stream.getvalue())) == (0x12, 0x34, 0xFF)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 7, 255]], np.int32), [0, 7, 255]),  # fits 8 bits
        (np.array([[0, 256, 65535]], np.int32), [0, 1, 255]),  # fits 16 bits
        (np.array([[-100, 0, 100]], np.int32), [0, 128, 255]),  # neither: from minimum to maximum
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 2.4, 255.0]], np.float32), [0, 2, 255]),
        (np.array([[0.0, 500.0, 1000.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.0, 1.0]], np.float32), [0, 0, 255]),
        (np.array([[-5, -5]], np.int32), [0, 0]),  # constant
    ],
)
def test_deep_gray_is_scaled_by_its_range(values: Any, expected: list[int]) -> None:
    assert read_image(saved(Image.fromarray(values), "TIFF")).pixels[0, :, 0].tolist() == expected


# ---- color ------------------------------------------------------------------------------------------------------


def test_an_rgb_profile_is_kept_as_it_is() -> None:
    for image in (Image.new("RGB", (2, 2), (9, 8, 7)), Image.new("RGBA", (2, 2)), Image.new("L", (2, 2), 5)):
        assert read_image(saved(image, "PNG", icc_profile=SRGB)).icc_profile == SRGB
    assert read_image(saved(image, "PNG")).icc_profile is None


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile_and_leaves_as_srgb(format: str) -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    plain = read_image(saved(cyan, format))
    assert (first(plain), plain.icc_profile) == ((0, 255, 255), None)
    through = read_image(saved(cyan, format, icc_profile=cmyk_profile()))
    assert first(through) == pytest.approx((119, 119, 119), abs=2)  # L* = 50 in sRGB
    assert through.icc_profile is not None
    assert ImageCms.ImageCmsProfile(io.BytesIO(through.icc_profile)).profile.xcolor_space.strip() == "RGB"


def test_gray_goes_through_its_profile_and_keeps_alpha() -> None:
    for image, alpha in ((Image.new("L", (2, 2), 128), ()), (Image.new("LA", (2, 2), (128, 33)), (33,))):
        picture = read_image(saved(image, "PNG", icc_profile=gray_profile()))
        assert first(picture)[:3] == pytest.approx((188, 188, 188), abs=2)
        assert first(picture)[3:] == alpha
        assert picture.icc_profile not in (None, gray_profile())


def test_lab_becomes_srgb() -> None:
    to_lab = ImageCms.profileToProfile(
        Image.new("RGB", (2, 2), (200, 30, 40)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert to_lab is not None
    picture = read_image(saved(to_lab, "TIFF"))
    assert first(picture) == pytest.approx((200, 30, 40), abs=3)


@pytest.mark.parametrize("profile", [b"not a profile", cmyk_profile()[:60], cmyk_profile()])
def test_a_profile_that_does_not_fit_is_left_out(profile: bytes) -> None:
    picture = read_image(saved(Image.new("RGB", (2, 2), (1, 2, 3)), "PNG", icc_profile=profile))
    assert (first(picture), picture.icc_profile) == ((1, 2, 3), None)


def test_a_damaged_cmyk_profile_gives_approximate_colors(caplog: pytest.LogCaptureFixture) -> None:
    damaged = cmyk_profile()[:200]
    picture = read_image(saved(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF", icc_profile=damaged))
    assert (first(picture), picture.icc_profile) == ((0, 255, 255), None)
    assert "colors are approximate" in caplog.text


# ---- formats and sources -----------------------------------------------------------------------------------------


def test_sources_path_bytes_and_stream_agree(tmp_path: Path) -> None:
    data = saved(gray(UPRIGHT), "PNG")
    (tmp_path / "a.png").write_bytes(data)

    class Pipe(io.RawIOBase):  # cannot seek, and gives a few bytes at a time
        def __init__(self) -> None:
            self.inner = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self.inner.readinto(memoryview(buffer)[:7])

    sources: list[Any] = [tmp_path / "a.png", str(tmp_path / "a.png"), data, io.BytesIO(data), Pipe()]
    for source in sources:
        assert read_image(source).pixels[:, :, 0].tolist() == UPRIGHT
    assert read_image(tmp_path / "a.png").name == str(tmp_path / "a.png")


def test_of_an_animation_the_first_frame_is_taken_and_said(caplog: pytest.LogCaptureFixture) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    for format in ("GIF", "PNG", "TIFF"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            picture = read_image(saved(frames[0], format, save_all=True, append_images=frames[1:]), name="moving")
        assert first(picture)[:3] == (255, 0, 0)
        assert "moving has 3 frames or pages; only the first is used" in caplog.text


def heif(brand: bytes = b"heic") -> bytes:
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + brand + bytes(100)


def test_heic_is_read_with_the_optional_package() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = saved(Image.new("RGB", (64, 64), (200, 100, 50)), "HEIF", quality=95)
    Image.OPEN.pop("HEIF")  # as in a fresh process
    assert first(read_image(data)) == pytest.approx((200, 100, 50), abs=6)


def test_heic_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(rmbg_trt.UnavailableError, match=r"a\.heic is a HEIC .* " + re.escape(install_command("heif"))):
        read_image(heif(), name="a.heic")


def test_avif() -> None:
    Image.init()
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    data = saved(Image.new("RGB", (64, 64), (200, 100, 50)), "AVIF", quality=95)
    assert first(read_image(data)) == pytest.approx((200, 100, 50), abs=6)


# ---- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"^x is empty$"),
        (b"hello, this is not an image", r"^x is not an image"),
        (saved(Image.effect_noise((64, 64), 90), "PNG")[:-900], r"^x is (cut short|damaged)"),
        (saved(Image.effect_noise((64, 64), 90), "JPEG")[:-900], r"^x is cut short"),
        (saved(Image.effect_noise((64, 64), 90), "BMP")[:-900], r"^x is cut short"),
        (saved(Image.effect_noise((64, 64), 90), "PNG").replace(b"IDAT", b"IDAX"), r"^x is "),
        (heif(), r"^x is "),
    ],
)
def test_damaged_data_has_a_reason(data: bytes, reason: str) -> None:
    if data == heif():
        pytest.importorskip("pillow_heif")
    with pytest.raises(rmbg_trt.InputError, match=reason):
        read_image(data, name="x")


def test_paths_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    for path, reason in (
        (tmp_path, "is a folder"),
        (tmp_path / "missing.png", "No such file"),
        (tmp_path / "empty.png", "is empty"),
        (tmp_path / "a\0b.png", "null byte"),
    ):
        with pytest.raises(rmbg_trt.InputError, match=reason):
            read_image(path)


def test_large_pictures_are_refused_before_they_are_decoded() -> None:
    data = saved(Image.new("1", (300, 200)), "PNG")
    assert read_image(data, max_pixels=60_000).pixels.shape == (200, 300, 3)
    with pytest.raises(rmbg_trt.InputError, match=r"x has 300 x 200 = 60,000 pixels, .* 59,999; --max-pixels"):
        read_image(data, max_pixels=59_999, name="x")


def test_a_bomb_meets_the_limit_of_pillow_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(rmbg_trt.InputError, match=r"has 60000 pixels, more than the limit of 20,000 .*--max-pixels"):
        read_image(saved(Image.new("1", (300, 200)), "PNG"), max_pixels=10**9)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_random_damage_never_raises_anything_else() -> None:
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x8769] = 6, {0x9003: "2020:01:02 03:04:05"}
    image = Image.effect_noise((24, 24), 80).convert("RGB")
    refused = 0
    for format in ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"):
        options = {} if format in ("GIF", "BMP") else {"exif": exif.tobytes(), "icc_profile": SRGB}
        whole = saved(image, format, **options)
        for _ in range(60):
            data = bytearray(whole)
            for at in random.integers(0, len(data), 12):
                data[at] = random.integers(0, 256)
            try:
                read_image(bytes(data))
            except rmbg_trt.InputError:
                refused += 1
    assert refused > 100
