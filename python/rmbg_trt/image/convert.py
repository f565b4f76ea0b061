# SPDX-License-Identifier: Apache-2.0
"""Converts an image of any Pillow mode to 8-bit RGB or RGBA, upright, with the metadata that a result may keep.

Deep gray: 16-bit values keep their high byte, as Pillow does for 16-bit color. 32-bit integers and floats have no
fixed white: integers are read as 8 or 16 bits if they fit, floats as 0..1 or 0..255 if all but a few pixels do, and
anything else is stretched from its minimum to its maximum. CMYK, LAB and gray with a color profile are converted to
sRGB through it; an RGB profile is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError
from . import tiff
from .color_tags import read_color_tags
from .metadata import read_dpi, read_exif, read_orientation
from .profile import color_space, convert_image, lab_profile, srgb_profile

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
_OVERSHOOT = 0.1  # floats so far outside 0..1 are clipped; sharpening and resizing make such values
_FEW = 0.1  # percent of the pixels at either end that do not decide the range of floats
_DARK = 64  # floats up to here are not taken for 0..255, which would be all but black


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
    """

    pixels: Array
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    name: str = ""
    cicp: bytes | None = None


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
        image.load()
        rgb, profile = to_rgb(image, name, tags.profile)
    orientation = read_orientation(image)
    turned = orientation >= 5
    dpi = read_dpi(image)
    exif = read_exif(image, image.size[::-1] if turned else image.size)
    with reasons(name):
        if orientation in _TRANSPOSE:
            rgb = rgb.transpose(_TRANSPOSE[orientation])
        pixels = np.ascontiguousarray(np.asarray(rgb))
    pixels.flags.writeable = False
    return LoadedImage(pixels, profile, dpi[::-1] if dpi and turned else dpi, exif, name, tags.cicp)


@contextlib.contextmanager
def reasons(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises on damaged data into an `InputError` that names the file."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
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
    if image.mode.startswith("I;16"):
        levels = (values >> 8).astype(np.uint8)
    elif np.issubdtype(values.dtype, np.floating):
        levels = _float_levels(values)
    else:
        levels = _integer_levels(values)
    gray = Image.fromarray(255 - levels if tiff.white_is_zero(image) else np.ascontiguousarray(levels))
    key = image.info.get("transparency")
    if isinstance(key, int):
        gray.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return gray


def _integer_levels(values: NDArray[Any]) -> Array:
    """16-bit signed and 32-bit integers (H, W) to uint8."""
    low, high = int(values.min()), int(values.max())
    top = 32767 if values.dtype == np.int16 else 65535
    if low < 0 or high > top:
        return _stretched(values.astype(np.float64), low, high)
    levels: Array = (values >> (0 if high <= 255 else top.bit_length() - 8)).astype(np.uint8)
    return levels


def _float_levels(values: NDArray[Any]) -> Array:
    """Floats (H, W) to uint8; not-a-number gives 0."""
    exact = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low = float(np.percentile(exact, _FEW, method="lower"))
    high = float(np.percentile(exact, 100 - _FEW, method="higher"))
    if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return _stretched(exact, 0, 1)
    if low >= 0 and high <= 255 and (high >= _DARK or not (exact % 1).any()):
        return _stretched(exact, 0, 255)
    return _stretched(exact, min(low, 0) if high <= 255 and low >= 0 else low, high)


def _stretched(values: NDArray[np.float64], low: float, high: float) -> Array:
    """Maps ``low``..``high`` to 0..255; a constant gives 0."""
    scaled = (values - low) * 255 / (high - low) if high > low else values * 0
    return np.round(scaled.clip(0, 255)).astype(np.uint8)


def _is_deep(key: object) -> bool:
    """Whether a transparent color has 16 bits."""
    return isinstance(key, tuple) and any(isinstance(value, int) and value > 255 for value in key)
