# SPDX-License-Identifier: Apache-2.0
"""What a file says about its picture: orientation, resolution and EXIF, made fit for the picture that is written.

Damaged metadata never costs the picture: it is left out and the log says so.
"""

from __future__ import annotations

import logging
import math

from PIL import Image

log = logging.getLogger(__name__)

_ORIENTATION = 0x0112
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003

# The tags of the main directory that describe the shot. All others describe how one file stores its pixels
# (a TIFF keeps strip offsets here), or are kept elsewhere (resolution, profile), and would be wrong in another file.
_DESCRIPTIVE = frozenset(
    (
        *(
            0x010E,
            0x010F,
            0x0110,
            0x0131,
            0x0132,
            0x013B,
            0x8298,
        ),  # description, make, model, software, date, artist, ©
        *(0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F, 0x4746, 0x4749),  # title, comment, author, keywords, subject; ratings
    )
)


def read_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 if there is none or it is not valid."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception as error:  # the parser raises anything on damaged data
        log.warning("damaged EXIF data, taken as upright: %s", error)
        return 1
    return int(orientation) if orientation in range(1, 9) else 1


def read_dpi(image: Image.Image) -> tuple[float, float] | None:
    """The resolution (horizontal, vertical) in dots per inch, or None if there is no sensible one."""
    try:
        dpi = tuple(float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if len(dpi) != 2 or not all(math.isfinite(value) and 0 < value < 1e6 for value in dpi):
        return None
    return dpi[0], dpi[1]


def read_exif(image: Image.Image, upright_size: tuple[int, int]) -> bytes | None:
    r"""The EXIF data for the upright picture.

    Without orientation (it is applied), thumbnail (it would show the background that is taken out) and what is
    specific to the file; with the pixel dimensions of the upright picture, where there are any.

    Args:
        image: The picture as it was opened.
        upright_size: (width, height) of the upright picture.

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
        log.warning("damaged EXIF data is left out: %s", error)
        return None
