# SPDX-License-Identifier: Apache-2.0
"""TIFF files whose samples Pillow decodes wrongly or not at all: corrects what it can, and says what is not supported.

Checked against tifffile over bit depth, sample format, planes, byte order and compression (tests/image/test_tiff.py).

Source: Adobe, TIFF Revision 6.0, 1992.
"""

from __future__ import annotations

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from ..errors import InputError

_KIND, _WIDTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 258, 259, 262
_SAMPLES, _PLANES, _INNER, _FORMAT = 277, 284, 330, 339
_SIGNED = 2
_FORMAT_NAMES = {1: "unsigned", _SIGNED: "signed", 3: "float"}


def check(image: Image.Image, name: str) -> None:
    """Raises `InputError` for a TIFF file that Pillow opens, but would decode to wrong samples."""
    tags: Any = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or tags is None:
        return
    if tags.get(_KIND, 0) & 1 and _INNER in tags:  # a preview, with the image inside
        raise InputError(f"{name} is a camera's raw file, which is not supported; develop it to TIFF or JPEG")
    bits, formats = tags.get(_BITS, (1,)), tags.get(_FORMAT, (1,))
    compressed = tags.get(_COMPRESSION, 1) != 1
    separate = tags.get(_PLANES, 1) == 2 and len(bits) > 1
    if separate and (len(bits) == 2 or (max(bits) > 8 and not compressed)):
        raise InputError(_not_supported(name, tags))
    if formats[0] == _SIGNED and bits[0] == 8:
        raise InputError(_not_supported(name, tags))
    if compressed and tags.prefix == b"MM" and (bits[0] == 32 or (bits[0] == 16 and formats[0] == _SIGNED)):
        raise InputError(_not_supported(name, tags))


def white_is_zero(image: Image.Image) -> bool:
    """Whether low samples of a deep gray image are bright; Pillow inverts those of 8 bits only."""
    tags: Any = getattr(image, "tag_v2", None)
    return image.format == "TIFF" and tags is not None and tags.get(_PHOTOMETRIC) == 0


def samples(image: Image.Image) -> NDArray[Any]:
    """The samples (H, W) of a deep gray image, in the type that they have in its file."""
    values: NDArray[Any] = np.asarray(image)
    tags: Any = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or tags is None or image.mode != "I":
        return values
    bits, sample_format = tags.get(_BITS, (1,))[0], tags.get(_FORMAT, (1,))[0]
    if bits == 32 and sample_format == 1:
        return values.view(np.uint32)  # Pillow has no unsigned mode
    return values.astype(np.int16) if bits == 16 and sample_format == _SIGNED else values


def reason(stream: IO[bytes], name: str) -> str | None:
    """Why a file that Pillow does not open as an image is not supported; None if it is no TIFF file."""
    stream.seek(0)
    head = stream.read(16)
    if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    tags: Any
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head if head[2] == 43 else head[:8])
        stream.seek(tags.next)
        tags.load(stream)
    except Exception:  # the parser raises anything on damaged data
        tags = {}
    if _WIDTH in tags:
        return _not_supported(name, tags)
    return f"{name} is a TIFF file that is cut short, damaged or unusual"


def _not_supported(name: str, tags: Any) -> str:
    bits, sample_format = tags.get(_BITS, (1,)), tags.get(_FORMAT, (1,))[0]
    kind = _FORMAT_NAMES.get(sample_format, "other")
    planes = ", in separate planes" if tags.get(_PLANES, 1) == 2 else ""
    order = "big-endian, " if tags.prefix == b"MM" else ""
    samples = f"{tags.get(_SAMPLES, 1)} x {bits[0]} bits a pixel ({order}{kind}{planes})"
    return f"{name} is a TIFF file with {samples}, which is not supported; save it as a PNG, or with 8 bits a sample"
