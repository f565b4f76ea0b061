# SPDX-License-Identifier: Apache-2.0
"""What an image says of itself besides pixels and colors: orientation, resolution and EXIF data.

Damaged metadata never makes reading fail: it is dropped with a warning.
"""

from __future__ import annotations

import logging
import math

from PIL import Image

from ..signals import let_handlers_raise

log = logging.getLogger(__name__)

_ORIENTATION = 0x0112
_X_RESOLUTION = 0x011A
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
    return None if _is_invented(image, dpi) else (dpi[0], dpi[1])


def _is_invented(image: Image.Image, dpi: tuple[float, ...]) -> bool:
    """Whether Pillow's default stands in for a resolution that is not in the file."""
    if dpi == (1, 1):  # TIFF
        return _X_RESOLUTION not in getattr(image, "tag_v2", ())
    if dpi == (72, 72) and "exif" in image.info and not image.info.get("jfif_unit"):  # JPEG
        try:
            return _X_RESOLUTION not in image.getexif()
        except Exception as error:  # the parser raises anything on damaged data
            let_handlers_raise(error)
            return True
    return False


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
