# SPDX-License-Identifier: Apache-2.0
"""TIFF files of every layout, written by tifffile: read right, or refused with a reason."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.image.samples import ADOBE_RGB, saved

import rmbg_trt
from rmbg_trt.image import load_pil, read_image

tifffile = pytest.importorskip("tifffile")

BOTH = ("contig", "separate")
# What must be read, whatever the byte order and the tiles. All else may be refused.
READ = {
    *(("u1", channels, "contig", compression) for channels in (1, 2, 3, 4) for compression in (None, "zlib")),
    *(("u1", channels, "separate", compression) for channels in (3, 4) for compression in (None, "zlib")),
    *(("u2", channels, "contig", compression) for channels in (1, 3, 4) for compression in (None, "zlib")),
    *((kind, 1, "contig", None) for kind in ("i2", "i4", "f4")),
    *((kind, channels, planes, None) for kind in ("i2", "i4", "f4") for channels in (2, 3, 4) for planes in BOTH),
    *(
        ("u2", channels, planes, compression)
        for channels in (2, 3, 4)
        for planes in BOTH
        for compression in (None, "zlib")
    ),
}


def ramp(channels: int) -> Any:
    """(H, W, channels) uint8 with all values."""
    y, x = np.mgrid[:33, :41]
    return np.dstack([(6 * x + y + 37 * channel) % 256 for channel in range(channels)]).astype(np.uint8)


def deepened(levels: Any, kind: str) -> Any:
    """8-bit levels as samples of another type, over its whole range from zero on."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return (levels / 255).astype(dtype)
    bits = 8 * dtype.itemsize - (dtype.kind == "i")  # without the sign
    wide = levels.astype(np.uint64)
    return ((wide << (bits - 8)) if bits >= 8 else (wide >> (8 - bits))).astype(dtype)


def written(samples: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, metadata=None, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "f2", "f4", "f8"])
def test_every_layout_is_read_right_or_refused(kind: str) -> None:
    refused: list[tuple[str, str]] = []
    for channels, order, compression, tile in itertools.product((1, 2, 3, 4), "<>", (None, "zlib"), (None, (16, 16))):
        levels = ramp(channels)
        samples = deepened(levels, kind)
        options: dict[str, Any] = {"photometric": "rgb" if channels >= 3 else "minisblack"}
        if channels in (2, 4):
            options["extrasamples"] = ["unassalpha"]
        for planes in BOTH if channels > 1 else BOTH[:1]:
            stored = np.moveaxis(samples, -1, 0) if planes == "separate" else samples
            if channels == 1:
                stored = samples[..., 0]
            else:
                options["planarconfig"] = planes
            data = written(stored, byteorder=order, compression=compression, tile=tile, **options)
            layout = f"{kind} x {channels}, {planes}, {order}, {compression}, tiles {tile}"
            try:
                pixels = read_image(data, name="x").pixels.astype(int)
            except rmbg_trt.InputError as error:
                refused.append((layout, str(error)))
                assert (kind, channels, planes, compression) not in READ, layout
                continue
            expected = levels if channels >= 3 else np.dstack([levels[..., :1]] * 3 + [levels[..., 1:]])
            assert pixels.shape == expected.shape, layout
            assert np.abs(pixels - expected).max() <= 1, layout
    assert [layout for layout, reason in refused if not reason.startswith("x is a TIFF file with")] == []


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_where_white_is_zero_low_samples_are_bright(kind: str) -> None:
    levels = ramp(1)[..., 0]
    pixels = read_image(written(deepened(levels, kind), photometric="miniswhite")).pixels
    assert np.abs(pixels[..., 0].astype(int) - (255 - levels)).max() <= 1


def test_a_refusal_says_what_the_file_has() -> None:
    data = written(deepened(ramp(3), "f8"), photometric="rgb")
    reason = r"x is a TIFF file with 3 x 64 bits a pixel \(float\), which is not supported; save it as a PNG"
    with pytest.raises(rmbg_trt.InputError, match=reason):
        read_image(data, name="x")


def test_deep_samples_keep_what_belongs_to_them() -> None:
    """They take another way than other files do."""
    tags = [(274, 3, 1, 6, True), (271, 2, 0, "Maker", True), (34675, 7, len(ADOBE_RGB), ADOBE_RGB, True)]
    options: dict[str, Any] = {"photometric": "rgb", "extratags": tags, "resolution": (300, 150)}
    sideways = np.rot90(ramp(3))
    planes = np.moveaxis(deepened(sideways, "u2"), -1, 0)
    plain = written(sideways, resolutionunit="INCH", **options)
    floats = written(deepened(sideways, "f4"), resolutionunit="INCH", **options)
    deep = written(planes, planarconfig="separate", resolutionunit="INCH", **options)
    for image in (*map(read_image, (plain, floats, deep)), load_pil(Image.open(io.BytesIO(deep)))):
        assert np.abs(image.pixels.astype(int) - ramp(3)).max() <= 1
        assert image.icc_profile == ADOBE_RGB
        assert image.dpi == (150, 300)
        assert image.exif is not None
        assert b"Maker" in image.exif
    for data in (floats, deep):
        with pytest.raises(rmbg_trt.InputError, match=r"not supported|more than the limit"):
            read_image(data, max_pixels=100)


@pytest.mark.parametrize("shape", [(1, 1), (1, 41), (33, 1)])
@pytest.mark.parametrize("channels", [2, 3])
def test_deep_images_of_one_row_or_column(shape: tuple[int, int], channels: int) -> None:
    levels = ramp(channels)[: shape[0], : shape[1]]
    options = (
        {"photometric": "rgb"} if channels == 3 else {"photometric": "minisblack", "extrasamples": ["unspecified"]}
    )
    stored = np.moveaxis(deepened(levels, "u2"), -1, 0)
    pixels = read_image(written(stored, planarconfig="separate", **options)).pixels
    expected = levels if channels == 3 else np.repeat(levels[..., :1], 3, axis=2)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_alpha_of_deep_samples(kind: str) -> None:
    """Straight, premultiplied, and a fourth sample that is none."""
    levels = ramp(4)
    planes = {"photometric": "rgb", "planarconfig": "separate"}

    def read(samples: Any, extra: str) -> Any:
        return read_image(written(np.moveaxis(deepened(samples, kind), -1, 0), extrasamples=[extra], **planes)).pixels

    assert np.abs(read(levels, "unassalpha").astype(int) - levels).max() <= 1
    assert np.abs(read(levels, "unspecified").astype(int) - levels[..., :3]).max() <= 1
    alpha = levels[..., 3:].astype(int)
    premultiplied = np.concatenate([levels[..., :3] * alpha // 255, alpha], axis=2).astype(np.uint8)
    straight = read(premultiplied, "assocalpha").astype(int)
    opaque = alpha[..., 0] > 128
    assert np.abs(straight - levels)[opaque].max() <= 3


def test_a_preview_is_not_taken_for_a_raw_file() -> None:
    """As in DNG: a small preview first, and the image in a directory below."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(ramp(3), photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        file.write(deepened(ramp(1)[..., 0], "u2"), photometric="minisblack", metadata=None)
    with pytest.raises(rmbg_trt.InputError, match="x is a camera's raw file"):
        read_image(stream.getvalue(), name="x")


def test_a_damaged_tiff_is_called_so() -> None:
    for data in (saved(Image.new("L", (9, 9)), "TIFF")[:20], b"II*\0" + bytes(60), b"MM\0+" + bytes(60)):
        with pytest.raises(rmbg_trt.InputError, match=r"x is (a TIFF file that is cut short|damaged)"):
            read_image(data, name="x")


# ---- floats have no fixed white ----------------------------------------------------------------------------------


def floats(*extreme: float, scale: float = 1.0) -> Any:
    """The ramp as floats from 0 to ``scale``, read back, with a few extreme pixels in between."""
    values = deepened(np.tile(ramp(1)[..., 0], (4, 4)), "f4") * np.float32(scale)
    values.flat[5 : 5 + len(extreme)] = extreme
    return read_image(written(values)).pixels[..., 0].astype(int)


@pytest.mark.parametrize("extreme", [(1.02,), (-0.05, 1.09), (90.0, -3.0), (np.inf, np.nan), (1.05, -0.04) * 200])
def test_a_few_pixels_outside_do_not_decide_the_range(extreme: tuple[float, ...]) -> None:
    usual, changed = floats(), floats(*extreme)
    np.testing.assert_array_equal(
        np.delete(usual, slice(5, 5 + len(extreme))), np.delete(changed, slice(5, 5 + len(extreme)))
    )
    assert usual.max() == 255


def test_floats_of_another_range_are_stretched_and_not_black() -> None:
    np.testing.assert_allclose(floats(scale=4.0), floats(), atol=1)
    np.testing.assert_allclose(floats(scale=255.0), floats(), atol=1)
    np.testing.assert_allclose(floats(scale=3000.0), floats(), atol=1)
    dark = np.full((8, 8), 3.0, np.float32)  # whole numbers are levels
    assert (read_image(written(dark)).pixels == 3).all()
