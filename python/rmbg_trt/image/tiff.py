# SPDX-License-Identifier: Apache-2.0
"""TIFF files whose samples Pillow decodes wrongly or not at all: corrects what it can, and says what is not supported.

Several deep samples a pixel are decoded as gray images that Pillow decodes rightly: each plane for itself, or rows that
are several times as long. A copy in 8 bits takes the place of the file.

Checked against tifffile over bit depth, sample format, planes, byte order and compression (tests/image/test_tiff.py).

Source: Adobe, TIFF Revision 6.0, 1992.
"""

from __future__ import annotations

import io
import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from ..errors import InputError
from ..signals import let_handlers_raise
from .levels import to_levels

_KIND, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANES, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _INNER, _EXTRA, _FORMAT = 322, 323, 324, 325, 330, 338, 339
_PROFILE = 34675
_KEPT = (270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 700, 33432)  # what `metadata` reads
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
    if stream.read(4) not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    tags = _directory(stream)
    if tags is None or _WIDTH not in tags:
        return f"{name} is a TIFF file that is cut short, damaged or unusual"
    return _not_supported(name, tags)


def in_eight_bits(stream: IO[bytes], max_pixels: int) -> IO[bytes] | None:
    """A copy of a TIFF file of several deep samples a pixel, in 8 bits; None if it is another one, or not supported.

    Args:
        stream: The file.
        max_pixels: A larger image is not decoded.
    """
    tags = _directory(stream)
    try:
        if tags is None or tags.get(_KIND, 0) & 1 or tags[_WIDTH] * tags[_HEIGHT] > max_pixels:
            return None
        count, colors = tags.get(_SAMPLES, 1), {1: 1, 2: 3}[tags[_PHOTOMETRIC]]  # gray or RGB
        if not 1 < count <= 4 or count < colors or len({*tags[_BITS]}) > 1 or len({*tags.get(_FORMAT, (1,))}) > 1:
            return None
        stream.seek(0)
        levels = _separate(stream.read(), tags, count, colors)
        copy = io.BytesIO()
        kept = {tag: tags[tag] for tag in _KEPT if tag in tags}
        levels.save(copy, "TIFF", tiffinfo=kept, icc_profile=tags.get(_PROFILE))
    except Exception as error:  # the parser and the decoders raise anything on damaged data
        let_handlers_raise(error)
        return None
    copy.seek(0)
    return copy


def _separate(data: bytes, tags: Any, count: int, colors: int) -> Image.Image:
    """Decodes samples that lie together or in planes; raises if Pillow cannot do even that."""
    if tags.get(_PLANES, 1) == 2:
        deep = np.dstack([_gray(data, tags, 1, plane, count) for plane in range(count)])
    else:
        if tags.get(_PREDICTOR, 1) != 1:  # differences to a sample of the same kind, which in a long row is not next
            raise ValueError("the samples are stored as differences")
        deep = _gray(data, tags, count, 0, 1).reshape(tags[_HEIGHT], -1, count)
    parts = [deep[..., :colors]] + ([deep[..., colors : colors + 1]] if count > colors else [])
    levels = np.dstack([to_levels(part) for part in parts])  # alpha has a range of its own
    extra = tags.get(_EXTRA, (0,))[0]
    if extra == 1 and colors == 3:  # premultiplied
        return Image.frombytes("RGBa", levels.shape[1::-1], levels.tobytes()).convert("RGBA")
    if not extra:  # the last sample is no alpha
        levels = levels[..., :colors]
    return Image.fromarray(np.ascontiguousarray(levels[..., 0] if levels.shape[2] == 1 else levels))


def _gray(data: bytes, tags: Any, factor: int, plane: int, planes: int) -> NDArray[Any]:
    """Decodes a plane as a gray image, or a file of one as a gray image that is ``factor`` times as wide."""
    changed: dict[int, tuple[int, ...]] = {
        _BITS: tags[_BITS][:1],
        _FORMAT: tags.get(_FORMAT, (1,))[:1],
        _SAMPLES: (1,),
        _PHOTOMETRIC: (1,),
    }
    for tag in {_HEIGHT, _COMPRESSION, _PREDICTOR, _ROWS, _TILE_HEIGHT}.intersection(tags):
        changed[tag] = (tags[tag],)
    for tag in {_WIDTH, _TILE_WIDTH}.intersection(tags):
        changed[tag] = (tags[tag] * factor,)
    for tag in {_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES}.intersection(tags):
        size = len(tags[tag]) // planes
        changed[tag] = tags[tag][plane * size : (plane + 1) * size]
    with Image.open(io.BytesIO(_with_directory(data, changed))) as image:
        check(image, "the plane")
        return samples(image)


def _with_directory(data: bytes, tags: dict[int, tuple[int, ...]]) -> bytes:
    """A TIFF file with another directory, at its end; Pillow's writer would move the offsets of strips."""
    order = "<" if data[:2] == b"II" else ">"
    start = len(data) + len(data) % 2
    entries, values = struct.pack(f"{order}H", len(tags)), b""
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)  # as type 4, LONG
        if len(numbers) > 1:
            place = start + 2 + 12 * len(tags) + 4 + len(values)
            values += packed
            packed = struct.pack(f"{order}I", place)
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + packed
    return data[:4] + struct.pack(f"{order}I", start) + data[8:].ljust(start - 8, b"\0") + entries + bytes(4) + values


def _directory(stream: IO[bytes]) -> Any:
    """The tags of the first image; None if they are damaged."""
    try:
        stream.seek(0)
        head = stream.read(16)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head if head[2] == 43 else head[:8])
        stream.seek(tags.next)
        tags.load(stream)
        return tags
    except Exception as error:  # the parser raises anything on damaged data
        let_handlers_raise(error)
        return None


def _not_supported(name: str, tags: Any) -> str:
    bits, sample_format = tags.get(_BITS, (1,)), tags.get(_FORMAT, (1,))[0]
    kind = _FORMAT_NAMES.get(sample_format, "other")
    planes = ", in separate planes" if tags.get(_PLANES, 1) == 2 else ""
    order = "big-endian, " if tags.prefix == b"MM" else ""
    samples = f"{tags.get(_SAMPLES, 1)} x {bits[0]} bits a pixel ({order}{kind}{planes})"
    return f"{name} is a TIFF file with {samples}, which is not supported; save it as a PNG, or with 8 bits a sample"
