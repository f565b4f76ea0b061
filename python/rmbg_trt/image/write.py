# SPDX-License-Identifier: Apache-2.0
"""Writes results as PNG, WebP, TIFF or JPEG, with the color profile, resolution, EXIF data and XMP of the source."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from PIL import Image, TiffImagePlugin

from ..errors import Error, InputError
from ..files import atomic_file
from .color_tags import HDR_TRANSFERS
from .convert import Array, LoadedImage
from .png import encode_png

log = logging.getLogger(__name__)

Format = Literal["png", "webp", "tiff", "jpg"]

FORMATS: dict[str, Format] = {
    ".png": "png",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".jpg": "jpg",
    ".jpeg": "jpg",
}
"""The suffixes that can be written."""

_MAX_SIDE = {"webp": 16383, "jpg": 65500}
_JPEG_QUALITY = 92
_MAX_JPEG_XMP = 65_502  # bytes of a segment, without its header
_TIFF_PREDICTOR, _TIFF_XMP = 317, 700
_NO_ALPHA = (
    "a cutout cannot be a JPEG, which has no transparency; use png, webp or tiff, "
    "or composite it over a background (output 'composite')"
)


def format_of(target: str | os.PathLike[str]) -> Format:
    """The format of a file name. Raises `InputError` if its suffix is not one that can be written."""
    suffix = Path(target).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{os.fspath(target)} ends in {suffix or 'no suffix'!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[suffix]


def encode_image(
    pixels: Array, format: Format, *, like: LoadedImage | None = None, quality: int | None = None
) -> bytes:
    """Encodes a result of the engine.

    The color of fully transparent pixels is cleared, so that the removed background is not in the file and the file
    is half the size. (libwebp does so too.)

    Args:
        pixels: alpha (H, W), composite (H, W, 3) RGB or cutout (H, W, 4) RGBA; uint8.
        format: "png", "webp", "tiff" or "jpg". A JPEG holds an alpha or a composite.
        like: The source image. Its resolution, EXIF data and XMP are kept, and its color profile if the result has
            colors. TIFF keeps the main EXIF tags only; WebP keeps no resolution; JPEG holds 64 KiB of XMP.
        quality: 1 to 100. JPEG: 92 by default; from 90 on color is not subsampled. WebP: lossless by default; a
            number makes it lossy, except for a cutout's alpha. PNG and TIFF are lossless and take none.

    Returns:
        The bytes of the file.

    Raises:
        InputError: The format cannot store these pixels, this quality or this size.
    """
    check_format(format, "cutout" if pixels.ndim == 3 and pixels.shape[2] == 4 else "", quality)
    if pixels.dtype != np.uint8 or pixels.size == 0 or pixels.shape[2:] not in ((), (3,), (4,)):
        raise InputError(f"pixels of shape {pixels.shape} and dtype {pixels.dtype}; expected (H, W[, 3 or 4]) uint8")
    side = max(pixels.shape[:2])
    if side > _MAX_SIDE.get(format, side):
        raise InputError(f"a {format} image has at most {_MAX_SIDE[format]} pixels a side; this one has {side}")
    pixels = clear_transparent_color(pixels) if pixels.shape[2:] == (4,) else np.ascontiguousarray(pixels)
    kept = _kept(like, has_colors=pixels.ndim == 3)
    if format == "png":
        return encode_png(pixels, **kept)
    _drop_hdr(kept, like, f"a {format} file")
    if format == "tiff":
        options = _tiff_options(kept)
    elif format == "webp":
        options = {**kept, **_webp_options(quality)}
    else:
        quality = quality or _JPEG_QUALITY
        if len(kept.get("xmp", b"")) > _MAX_JPEG_XMP:
            log.warning("the XMP data is too long for a JPEG, and is left out")
            del kept["xmp"]
        options = {**kept, "quality": quality, "subsampling": 0 if quality >= 90 else 2}
    stream = io.BytesIO()
    try:
        Image.fromarray(pixels).save(stream, "JPEG" if format == "jpg" else format.upper(), **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise Error(f"the image could not be encoded as {format}: {error}") from error
    return stream.getvalue()


def write_image(
    target: str | os.PathLike[str],
    pixels: Array,
    *,
    format: Format | None = None,
    like: LoadedImage | None = None,
    quality: int | None = None,
) -> None:
    """Writes a result of the engine to a file, atomically: the file is complete or absent.

    Args:
        target: Missing folders are created; an existing file is replaced.
        pixels: This, ``like`` and ``quality`` are those of `encode_image`.
        format: By default the one of the target's suffix.
        like: See above.
        quality: See above.

    Raises:
        InputError: As for `encode_image`, or the suffix is not one that can be written.
        Error: The file could not be written; the message has the system's reason.
    """
    data = encode_image(pixels, format or format_of(target), like=like, quality=quality)
    with atomic_file(target) as stream:
        stream.write(data)


def check_format(format: str, output: str, quality: int | None = None) -> None:
    """Raises `InputError` if ``output`` ("alpha", "cutout" or "composite") cannot be stored like this."""
    if format not in FORMATS.values():
        raise InputError(f"the format is {format!r}; expected png, webp, tiff or jpg")
    if format == "jpg" and output == "cutout":
        raise InputError(_NO_ALPHA)
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"the quality is {quality}; expected 1 to 100")
    if quality is not None and format in ("png", "tiff"):
        raise InputError(f"{format} is lossless and takes no quality; leave it out, or use webp or jpg")


def to_pil(pixels: Array, like: LoadedImage) -> Image.Image:
    """A result of the engine as a PIL image, whose ``info`` has the metadata of ``like`` that `encode_image` keeps."""
    kept = _kept(like, has_colors=pixels.ndim == 3)
    _drop_hdr(kept, like, "a PIL image")
    image = Image.fromarray(pixels)
    image.info.update(kept)
    return image


def clear_transparent_color(cutout: Array) -> Array:
    """A copy of (H, W, 4) with transparent pixels set to zero; 32-bit words are 10 times as fast as a mask."""
    words = np.ascontiguousarray(cutout).view(np.uint32)[..., 0]
    cleared: Array = np.where(cutout[..., 3] != 0, words, np.uint32(0)).view(np.uint8).reshape(cutout.shape)
    return cleared


def _kept(like: LoadedImage | None, *, has_colors: bool) -> dict[str, Any]:
    """The metadata of the source to keep, as keywords of the encoders."""
    if like is None:
        return {}
    kept: dict[str, Any] = {"dpi": like.dpi, "exif": like.exif, "xmp": like.xmp}
    if has_colors:
        kept |= {"icc_profile": like.icc_profile, "cicp": like.cicp}
    return {key: value for key, value in kept.items() if value is not None}


def _drop_hdr(kept: dict[str, Any], like: LoadedImage | None, holder: str) -> None:
    """Leaves out the code points of HDR values, with a warning, for what cannot hold them."""
    if like is not None and (points := kept.pop("cicp", None)) is not None:
        transfer = HDR_TRANSFERS.get(points[1])
        log.warning("%s is HDR (%s), which %s cannot say; its colors will look dull", like.name, transfer, holder)


def _webp_options(quality: int | None) -> dict[str, Any]:
    # Lossless at the lowest effort is already smaller than PNG, and 10 times as fast as at the default effort.
    return {"lossless": True, "quality": 0, "method": 0} if quality is None else {"quality": quality, "method": 4}


def _tiff_options(kept: dict[str, Any]) -> dict[str, Any]:
    """LZW of differences: fast and small. No EXIF and GPS directories, because libtiff rejects Pillow's."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[_TIFF_PREDICTOR] = 2
    if xmp := kept.pop("xmp", None):
        tags[_TIFF_XMP] = xmp
    exif = Image.Exif()
    exif.load(cast(bytes, kept.pop("exif", b"")))
    for tag, value in exif.items():
        if not isinstance(value, dict) and tag not in (0x8769, 0x8825):
            tags[tag] = value
    return {**kept, "compression": "tiff_lzw", "tiffinfo": tags}
