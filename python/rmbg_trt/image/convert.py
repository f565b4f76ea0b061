# SPDX-License-Identifier: Apache-2.0
"""Brings a picture of any Pillow mode to 8-bit RGB or RGBA, and its colour profile to one that fits.

Deep gray: 16-bit keeps its high byte, as Pillow does for 16-bit colour. 32-bit integers and floats have no fixed
white: integers are taken as 8 or as 16 bits if they fit, floats as 0..1 or as 0..255 if they fit, and anything else
is stretched from its minimum to its maximum.
"""

from __future__ import annotations

import functools
import io
import logging

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from .picture import Array

log = logging.getLogger(__name__)


def to_rgb(image: Image.Image, name: str) -> tuple[Image.Image, bytes | None]:
    """Converts a picture to mode "RGB" or "RGBA" (straight alpha).

    Args:
        image: A decoded picture of any mode.
        name: For messages.

    Returns:
        The picture, and the RGB colour profile that its values are in; None if the file names none.
    """
    profile = image.info.get("icc_profile") or None
    space = _colour_space(profile, name)
    if image.mode.startswith(("I", "F")):
        image = _shallow(image)
    alpha = image.getchannel("A") if image.mode in ("LA", "PA", "RGBA") else None
    if image.mode == "CMYK" and space == "CMYK" and profile:
        return _through(profile, image, name)
    if image.mode == "LAB":
        return _through(_profile_of("LAB"), image, name)
    if image.mode in ("L", "LA") and "transparency" not in image.info and space == "GRAY" and profile:
        rgb, profile = _through(profile, image.convert("L"), name)
        if alpha is not None:
            rgb.putalpha(alpha)
        return rgb, profile
    if _is_deep(image.info.get("transparency")):  # a 16-bit key colour, where Pillow keeps 8 bits
        del image.info["transparency"]
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBA", "RGBa")
    transparent = transparent or (image.palette is not None and image.palette.mode == "RGBA")
    return image.convert("RGBA" if transparent else "RGB"), profile if space == "RGB" else None


def _shallow(image: Image.Image) -> Image.Image:
    """Gray of 16 or 32 bits, or float, to mode "L"; "LA" where the file names a transparent value."""
    values = np.asarray(image)
    levels = values >> 8 if image.mode.startswith("I;16") else _to_levels(values)
    gray = Image.fromarray(np.ascontiguousarray(levels.astype(np.uint8)))
    key = image.info.get("transparency")
    if isinstance(key, int):
        gray.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    gray.info["icc_profile"] = image.info.get("icc_profile")
    return gray


def _to_levels(values: NDArray[np.generic]) -> Array:
    """32-bit integers or floats (H, W) to uint8; not-a-number gives 0."""
    exact = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(exact.min()), float(exact.max())
    is_float = np.issubdtype(values.dtype, np.floating)
    if low < 0 or high > (255 if is_float else 65535):
        exact = (exact - low) * 255 / (high - low) if high > low else exact * 0
    elif is_float and high <= 1:
        exact = exact * 255
    elif high > 255:
        return (exact.astype(np.int64) >> 8).astype(np.uint8)
    return np.round(exact).astype(np.uint8)


def _is_deep(key: object) -> bool:
    """Whether a transparent colour is given in 16 bits."""
    return isinstance(key, tuple) and any(isinstance(value, int) and value > 255 for value in key)


# ---- colour profiles -------------------------------------------------------------------------------------------


def _colour_space(profile: bytes | None, name: str) -> str | None:
    """The colour space a profile describes: "RGB", "GRAY", "CMYK", "Lab", ...; None if there is none, or a bad one."""
    if not profile:
        return None
    if len(profile) < 128 or profile[36:40] != b"acsp":  # the header's size and signature, ICC.1 section 7.2
        log.warning("%s: its colour profile is damaged and left out", name)
        return None
    return profile[16:20].decode("ascii", "replace").strip()


def _through(profile: bytes, image: Image.Image, name: str) -> tuple[Image.Image, bytes | None]:
    """Converts to sRGB through a profile, as prepress programs do; without it, and a word in the log, if it is bad."""
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(io.BytesIO(_profile_of("sRGB"))),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if converted is not None:
            return converted, _profile_of("sRGB")
    except (ImportError, OSError, ValueError, ImageCms.PyCMSError) as error:
        log.warning("%s: its colour profile cannot be used, colours are approximate: %s", name, error)
    return image.convert("RGB"), None


@functools.cache
def _profile_of(space: str) -> bytes:
    profile = ImageCms.createProfile("LAB") if space == "LAB" else ImageCms.createProfile("sRGB")
    return ImageCms.ImageCmsProfile(profile).tobytes()
