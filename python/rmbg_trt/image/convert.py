# SPDX-License-Identifier: Apache-2.0
"""Converts an image of any Pillow mode to 8-bit RGB or RGBA, and its metadata to what the result may keep.

Deep gray: 16-bit values keep their high byte, as Pillow does for 16-bit colour. 32-bit integers and floats have no
fixed white: integers are read as 8 or 16 bits if they fit, floats as 0..1 or 0..255 if they fit, and anything else is
stretched from its minimum to its maximum. CMYK, LAB and gray with a colour profile are converted to sRGB through it;
an RGB profile is kept. Damaged metadata never makes reading fail: it is dropped with a warning.
"""

from __future__ import annotations

import functools
import io
import logging
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ..signals import let_handlers_raise

log = logging.getLogger(__name__)

_ORIENTATION = 0x0112
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003

# The tags of the main directory that describe the shot. All others say how this one file stores its pixels (a TIFF
# keeps strip offsets here), or are kept elsewhere (resolution, profile), and would be wrong in another file.
_DESCRIPTIVE = frozenset(
    (
        *(0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298),  # description, make, model, software, date, artist
        *(0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F, 0x4746, 0x4749),  # title, comment, author, keywords, subject; ratings
    )
)


def to_rgb(image: Image.Image, name: str) -> tuple[Image.Image, bytes | None]:
    """Converts an image to mode "RGB" or "RGBA" (straight alpha).

    Args:
        image: A decoded image of any mode.
        name: For messages.

    Returns:
        The image, and the RGB colour profile of its values; None if the file has none.
    """
    profile = image.info.get("icc_profile") or None
    space = _colour_space(profile, name)
    if image.mode.startswith(("I", "F")):
        image = _shallow(image)
    alpha = image.getchannel("A") if image.mode in ("LA", "PA", "RGBA") else None
    if image.mode == "CMYK" and space == "CMYK" and profile:
        return _to_srgb(profile, image, name)
    if image.mode == "LAB":
        return _to_srgb(_profile_of("LAB"), image, name)
    if image.mode in ("L", "LA") and "transparency" not in image.info and space == "GRAY" and profile:
        rgb, profile = _to_srgb(profile, image.convert("L"), name)
        if alpha is not None:
            rgb.putalpha(alpha)
        return rgb, profile
    if _is_deep(image.info.get("transparency")):  # a 16-bit key colour, where Pillow keeps 8 bits
        del image.info["transparency"]
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBA", "RGBa")
    transparent = transparent or (image.palette is not None and image.palette.mode == "RGBA")
    return image.convert("RGBA" if transparent else "RGB"), profile if space == "RGB" else None


def _shallow(image: Image.Image) -> Image.Image:
    """Converts gray of 16 or 32 bits, or float, to mode "L", or "LA" where the file names a transparent value."""
    values = np.asarray(image)
    levels = values >> 8 if image.mode.startswith("I;16") else _to_levels(values)
    gray = Image.fromarray(np.ascontiguousarray(levels.astype(np.uint8)))
    key = image.info.get("transparency")
    if isinstance(key, int):
        gray.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    gray.info["icc_profile"] = image.info.get("icc_profile")
    return gray


def _to_levels(values: NDArray[np.generic]) -> NDArray[np.uint8]:
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
    """Whether a transparent colour has 16 bits."""
    return isinstance(key, tuple) and any(isinstance(value, int) and value > 255 for value in key)


# ---- colour profiles -------------------------------------------------------------------------------------------


def _colour_space(profile: bytes | None, name: str) -> str | None:
    """The colour space of a profile: "RGB", "GRAY", "CMYK", "Lab", ...; None without a valid profile."""
    if not profile:
        return None
    if len(profile) < 128 or profile[36:40] != b"acsp":  # the header's size and signature, ICC.1 section 7.2
        log.warning("%s: the colour profile is damaged and ignored", name)
        return None
    return profile[16:20].decode("ascii", "replace").strip()


def _to_srgb(profile: bytes, image: Image.Image, name: str) -> tuple[Image.Image, bytes | None]:
    """Converts to sRGB through a profile, as prepress programs do; if it is bad, without it and with a warning."""
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
        log.warning("%s: the colour profile cannot be used, colours are approximate: %s", name, error)
    return image.convert("RGB"), None


@functools.cache
def _profile_of(space: str) -> bytes:
    profile = ImageCms.createProfile("LAB") if space == "LAB" else ImageCms.createProfile("sRGB")
    return ImageCms.ImageCmsProfile(profile).tobytes()


# ---- metadata --------------------------------------------------------------------------------------------------


def read_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 if there is none or it is not valid."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception as error:  # the parser raises anything on damaged data
        let_handlers_raise(error)
        log.warning("damaged EXIF data, the image is taken as upright: %s", error)
        return 1
    return int(orientation) if orientation in range(1, 9) else 1


def read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """The resolution (horizontal, vertical) in dots per inch, or None without a plausible one."""
    try:
        dpi = tuple(float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if len(dpi) != 2 or not all(math.isfinite(value) and 0 < value < 1e6 for value in dpi):
        return None
    return dpi[0], dpi[1]


def read_exif(image: Image.Image, upright_size: tuple[int, int]) -> bytes | None:
    r"""The EXIF data for the upright image.

    It leaves out the orientation (which is applied), the thumbnail (which would show the removed background) and what
    is specific to the file. The pixel dimensions, where there are any, become those of the upright image.

    Args:
        image: The image as it was opened.
        upright_size: (width, height) of the upright image.

    Returns:
        A block that begins with ``Exif\0\0``, or None if nothing is left.
    """
    try:
        exif, kept = image.getexif(), Image.Exif()
        for tag in sorted(_DESCRIPTIVE.intersection(exif)):
            kept[tag] = exif[tag]
        shot = dict(exif.get_ifd(_EXIF_IFD))
        shot.pop(_INTEROP_IFD, None)
        if _PIXEL_WIDTH in shot and _PIXEL_HEIGHT in shot:
            shot[_PIXEL_WIDTH], shot[_PIXEL_HEIGHT] = upright_size
        gps = dict(exif.get_ifd(_GPS_IFD))
        if shot:
            kept[_EXIF_IFD] = shot
        if gps:
            kept[_GPS_IFD] = gps
        return kept.tobytes() if len(kept) else None
    except Exception as error:  # the parser raises anything on damaged data
        let_handlers_raise(error)
        log.warning("damaged EXIF data is dropped: %s", error)
        return None
