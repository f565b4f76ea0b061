# SPDX-License-Identifier: Apache-2.0
"""ICC profiles: converts pixels and colors between them, and makes the profile of a color space without one.

Conversions are relative colorimetric with black point compensation, as prepress programs do them.

Source: International Color Consortium, ICC.1:2022 (profile version 4.4).
"""

from __future__ import annotations

import functools
import io
import logging
import struct
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

log = logging.getLogger(__name__)

Point = tuple[float, float]  # chromaticity x, y

_D50 = (0.9642, 1.0, 0.8249)  # XYZ of the profile connection space
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1 as a parametric curve of type 3


@functools.cache
def srgb_profile() -> bytes:
    """The profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@functools.cache
def lab_profile() -> bytes:
    """The profile of CIELAB with the white point D50."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def color_space(profile: bytes | None, name: str) -> str | None:
    """The color space of a profile: "RGB", "GRAY", "CMYK", "Lab", ...; None without a valid profile.

    Args:
        profile: The profile.
        name: What it belongs to, for messages.
    """
    if not profile:
        return None
    if len(profile) < 128 or profile[36:40] != b"acsp":  # the header's size and signature, ICC.1 section 7.2
        log.warning("%s: the color profile is damaged and ignored", name)
        return None
    return profile[16:20].decode("ascii", "replace").strip()


def convert_image(image: Image.Image, source: bytes, target: bytes, name: str) -> Image.Image | None:
    """Converts an image from one profile to RGB of another; returns None, with a warning, if a profile is bad."""
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(source)),
            ImageCms.ImageCmsProfile(io.BytesIO(target)),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImportError, OSError, ValueError, ImageCms.PyCMSError) as error:
        log.warning("%s: the color profile cannot be used, colors are approximate: %s", name, error)
        return None
    return cast(Image.Image, converted)


def convert_pixels(
    pixels: NDArray[np.uint8], source: bytes | None, target: bytes | None, name: str
) -> NDArray[np.uint8]:
    """Converts RGB pixels (H, W, 3) uint8 between profiles; None is sRGB. Equal profiles return the array itself."""
    source, target = source or srgb_profile(), target or srgb_profile()
    if source == target:
        return pixels
    converted = convert_image(Image.fromarray(np.ascontiguousarray(pixels)), source, target, name)
    return pixels if converted is None else np.asarray(converted)


@functools.lru_cache(maxsize=64)
def convert_color(color: tuple[int, int, int], target: bytes) -> tuple[int, int, int]:
    """An sRGB color, three numbers 0..255, in the values of another RGB profile."""
    pixel = convert_pixels(np.array([[color]], np.uint8), None, target, "the image")
    red, green, blue = (int(value) for value in pixel[0, 0])
    return red, green, blue


@functools.lru_cache(maxsize=16)
def make_profile(name: str, white: Point, primaries: tuple[Point, Point, Point], gamma: float | None) -> bytes:
    """Makes the profile of an RGB color space.

    Args:
        name: Its description, for people.
        white: Chromaticity of the white point.
        primaries: Chromaticities of red, green and blue.
        gamma: Exponent from stored values to light; None: the curve of sRGB.

    Raises:
        ValueError: The chromaticities span no color space.
    """
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] if y else [np.nan] * 3 for x, y in (white, *primaries)])
    if not np.isfinite(xyz).all() or abs(np.linalg.det(xyz[1:])) < 1e-6:
        raise ValueError(f"the primaries {primaries} and the white point {white} span no color space")
    scaled = xyz[1:].T * np.linalg.solve(xyz[1:].T, xyz[0])  # a column for each primary; they sum to white
    to_cone = _BRADFORD @ xyz[0]
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ np.array(_D50) / to_cone) @ _BRADFORD
    columns = (adaptation @ scaled).T
    curve = struct.pack(">HH", 0, 0) + _fixed(gamma) if gamma else struct.pack(">HH", 3, 0) + _fixed(*_SRGB_CURVE)
    parts = {
        b"desc": _text(name),
        b"cprt": _text("No copyright, use freely"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(*adaptation.ravel()),
        **{
            tag: b"XYZ \0\0\0\0" + _fixed(*column)
            for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"para\0\0\0\0" + curve),
    }
    return _assembled(parts)


def _assembled(parts: dict[bytes, bytes]) -> bytes:
    """A display profile, version 4.3, of its tags; equal ones are stored once."""
    offset, body, table = 128 + 4 + 12 * len(parts), b"", struct.pack(">I", len(parts))
    places: dict[bytes, int] = {}
    for tag, data in parts.items():
        if data not in places:
            places[data] = offset + len(body)
            body += data.ljust(-len(data) % 4 + len(data), b"\0")
        table += tag + struct.pack(">II", places[data], len(data))
    header = struct.pack(">I4xI4s4s4s", offset + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*_D50)
    return header.ljust(128, b"\0") + table + body


def _fixed(*values: float) -> bytes:
    """Numbers as s15Fixed16."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data
