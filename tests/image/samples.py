# SPDX-License-Identifier: Apache-2.0
"""Image files in memory, and the parts that Pillow does not write."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from rmbg_trt.image.profile import make_profile

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE_RGB = make_profile("Adobe RGB", (0.3127, 0.329), ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 2.19921875)
DISPLAY_P3 = make_profile("Display P3", (0.3127, 0.329), ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), None)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(kind: bytes, data: bytes, png: bytes | None = None) -> bytes:
    """A PNG with one more chunk behind its header."""
    png = png or saved(Image.fromarray(gradient()), "PNG")
    return png[:33] + chunk(kind, data) + png[33:]


def gradient(height: int = 24, width: int = 30) -> Any:
    """(H, W, 3) uint8: each pixel has another color."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([8 * x, 10 * y, 255 - 4 * x - 4 * y]).astype(np.uint8)


def shown(pixel: tuple[int, ...], profile: bytes | None) -> tuple[int, ...]:
    """How a viewer that knows the profile shows a pixel, in sRGB."""
    image = Image.new("RGB", (1, 1), pixel[:3])
    if profile is not None:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), renderingIntent=1)
        assert converted is not None
        image = converted
    value = image.getpixel((0, 0))
    assert isinstance(value, tuple)
    return tuple(int(part) for part in value)
