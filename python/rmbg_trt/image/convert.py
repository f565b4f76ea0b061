# SPDX-License-Identifier: Apache-2.0
"""Converts an image of any Pillow mode to 8-bit RGB or RGBA, upright, with the metadata that a result may keep.

`levels` says what becomes of deep values. CMYK, LAB and gray with a color profile are converted to sRGB through it; an
RGB profile is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError
from ..signals import let_handlers_raise
from . import tiff
from .color_tags import read_color_tags
from .levels import to_levels
from .metadata import read_dpi, read_exif, read_orientation
from .profile import color_space, convert_image, lab_profile, srgb_profile
from .xmp import read_xmp

Array = NDArray[np.uint8]

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class LoadedImage:
    r"""An image as it was read: the pixels, and the metadata to keep in the result.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; uint8, C-contiguous, read-only, upright.
        icc_profile: The RGB color profile of ``pixels``, or None for sRGB.
        dpi: Horizontal and vertical resolution in dots per inch, or None.
        exif: Beginning with ``Exif\0\0``, without orientation and thumbnail; or None.
        name: Where it came from, for messages.
        cicp: The four code points of H.273 if the values are HDR (PQ or HLG); else None.
        xmp: The descriptive part of the XMP packet; or None.
    """

    pixels: Array
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    name: str = ""
    cicp: bytes | None = None
    xmp: bytes | None = None


def load(image: Image.Image, name: str) -> LoadedImage:
    """Loads a PIL image as upright 8-bit RGB or RGBA, with its metadata.

    Args:
        image: Of any mode, loaded or not; of an animation, the frame that it stands at.
        name: For messages.

    Raises:
        InputError: The pixels are damaged, or stored in a way that is not supported.
    """
    with reasons(name):
        tiff.check(image, name)
        tags = read_color_tags(image, name)
        turned = image.format == "TIFF" and read_orientation(image) >= 5  # Pillow turns these when it loads them
        image.load()
        rgb, profile = to_rgb(image, name, tags.profile)
    orientation = read_orientation(image)
    exif = read_exif(image, image.size[::-1] if orientation >= 5 else image.size)
    turned = turned or orientation >= 5
    dpi, xmp = read_dpi(image), read_xmp(image)
    with reasons(name):
        if orientation in _TRANSPOSE:
            rgb = rgb.transpose(_TRANSPOSE[orientation])
        pixels = np.ascontiguousarray(np.asarray(rgb))
    pixels.flags.writeable = False
    return LoadedImage(pixels, profile, dpi[::-1] if dpi and turned else dpi, exif, name, tags.cicp, xmp)


@contextlib.contextmanager
def reasons(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises on damaged data into an `InputError` that names the file."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        let_handlers_raise(error)
        text = str(error)
        cut = any(word in text.lower() for word in ("truncated", "unexpected end", "incomplete", "not enough"))
        raise InputError(f"{name} is {'cut short' if cut else 'damaged'}: {text or type(error).__name__}") from error


def to_rgb(image: Image.Image, name: str, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Converts an image to mode "RGB" or "RGBA" (straight alpha).

    Args:
        image: A decoded image of any mode.
        name: For messages.
        profile: The color profile of its values.

    Returns:
        The image, and the RGB color profile of its values; None for sRGB.
    """
    space = color_space(profile, name)
    if image.mode.startswith(("I", "F")):
        image = _shallow(image)
    if image.mode == "La":
        image = image.convert("LA")
    alpha = image.getchannel("A") if image.mode in ("LA", "PA", "RGBA") else None
    if image.mode == "CMYK" and space == "CMYK" and profile:
        return _to_srgb(profile, image, name)
    if image.mode == "LAB":
        return _to_srgb(lab_profile(), image, name)
    if image.mode in ("L", "LA") and "transparency" not in image.info and space == "GRAY" and profile:
        rgb, profile = _to_srgb(profile, image.convert("L"), name)
        if alpha is not None:
            rgb.putalpha(alpha)
        return rgb, profile
    if _is_deep(image.info.get("transparency")):  # a 16-bit key color, where Pillow keeps 8 bits
        image = image.copy()
        del image.info["transparency"]
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "RGBa")
    transparent = transparent or (image.palette is not None and image.palette.mode == "RGBA")
    mode = "RGBA" if transparent else "RGB"
    return image if image.mode == mode else image.convert(mode), profile if space == "RGB" else None


def _to_srgb(profile: bytes, image: Image.Image, name: str) -> tuple[Image.Image, bytes | None]:
    """Converts to sRGB through a profile; if it is bad, without it and with a warning."""
    converted = convert_image(image, profile, srgb_profile(), name)
    return (image.convert("RGB"), None) if converted is None else (converted, srgb_profile())


def _shallow(image: Image.Image) -> Image.Image:
    """Converts gray of 16 or 32 bits, or float, to mode "L", or "LA" where the file names a transparent value."""
    values = tiff.samples(image)
    levels = to_levels(values)
    gray = Image.fromarray(255 - levels if tiff.white_is_zero(image) else levels)
    key = image.info.get("transparency")
    if isinstance(key, int):
        gray.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return gray


def _is_deep(key: object) -> bool:
    """Whether a transparent color has 16 bits."""
    return isinstance(key, tuple) and any(isinstance(value, int) and value > 255 for value in key)
