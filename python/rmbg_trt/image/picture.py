# SPDX-License-Identifier: Apache-2.0
"""What a picture is once it is read: upright 8-bit RGB pixels, and what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    r"""A picture as it was read.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; uint8, C-contiguous, read-only, upright.
        icc_profile: The colour profile of ``pixels`` (always an RGB one), or None if the file names none.
        dpi: Horizontal and vertical resolution in dots per inch, or None.
        exif: What the file says about the shot, without orientation and thumbnail, beginning with ``Exif\0\0``;
            or None.
        name: Where it came from, for messages.
    """

    pixels: Array
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    name: str = ""
