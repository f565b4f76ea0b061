# SPDX-License-Identifier: Apache-2.0
"""Second chances for files that Pillow refuses although their pixels are whole, and true reasons for the others.

A PNG is read without its damaged or very long text, profile and other ancillary chunks. A JPEG gets the end marker
that it lacks, if no pixel is missing. A file is looked at here only after reading it has failed.

Source: W3C, PNG Specification, third edition, 2025; ITU-T T.81 (JPEG), 1992.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from ..signals import let_handlers_raise
from . import tiff

_PNG, _JPEG, _JPEG_END = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd9"
# Ancillary chunks that matter, with their least size in bytes. Text does not matter.
_KEPT = {b"tRNS": 1, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9, b"eXIf": 8}
_LARGEST_PROFILE = 16 << 20  # bytes; Pillow takes 1 MiB
_TAIL = np.random.default_rng(0).integers(0, 255, 4096, np.uint8).tobytes()  # no byte is 0xff, so no marker

_WEB_PAGE = "a web page, not an image"
_JPEG_XL = "a JPEG XL image, which is not supported; convert it to PNG"
_RAW = "a camera's raw file, which is not supported; develop it to TIFF or JPEG"
_FORMATS = (
    (b"%PDF", 0, "a PDF document, not an image; save its page as a PNG"),
    (b"<svg", 0, "an SVG drawing, not an image; save it as a PNG"),
    (b"<?xml", 0, "an XML file or SVG drawing, not an image"),
    (b"<!DOCTYPE", 0, _WEB_PAGE),
    (b"<html", 0, _WEB_PAGE),
    (b"\0\0\0\x0cJXL ", 0, _JPEG_XL),
    (b"\xff\x0a", 0, _JPEG_XL),
    (b"FUJIFILMCCD-RAW", 0, _RAW),
    (b"CR\2", 8, _RAW),
    (b"ftypcrx ", 4, _RAW),
    (b"version https://git-lfs", 0, "a pointer of Git LFS; fetch the file with 'git lfs pull'"),
    (b"8BPS", 0, "a damaged or unusual Photoshop file; save it as a PNG"),
)
_KNOWN = (
    *((_PNG, 0, "PNG"), (_JPEG, 0, "JPEG"), (b"GIF8", 0, "GIF"), (b"WEBP", 8, "WebP"), (b"BM", 0, "BMP")),
    *(
        (b"ftypavif", 4, "AVIF"),
        (b"ftypheic", 4, "HEIC"),
        (b"ftypmif1", 4, "HEIC"),
        (b"\0\0\0\x0cjP  ", 0, "JPEG 2000"),
    ),
)


def reason(stream: IO[bytes], name: str) -> str:
    """Why a file that Pillow does not recognize cannot be read: cut short or damaged, not supported, or no image."""
    stream.seek(0)
    head = stream.read(64)
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    for magic, at, what in _FORMATS:
        if (head if at else text)[at:].startswith(magic):
            return f"{name} is {what}"
    for magic, at, kind in _KNOWN:
        if head[at:].startswith(magic):
            return f"{name} is {'an' if kind == 'AVIF' else 'a'} {kind} file that is cut short, damaged or unusual"
    return tiff.reason(stream, name) or f"{name} is not an image, or its format is not supported"


class Repaired(NamedTuple):
    """A copy of a file that can be read.

    Attributes:
        stream: The copy.
        info: What Pillow would have found in the file, for ``Image.info``.
        what: What was wrong, for a warning.
    """

    stream: IO[bytes]
    info: dict[str, Any]
    what: str


def repair(stream: IO[bytes], max_pixels: int) -> Repaired | None:
    """Repairs a file that could not be read; None if nothing can be done.

    Args:
        stream: The file.
        max_pixels: A larger image is not decoded.
    """
    stream.seek(0)
    head = stream.read(8)
    if head == _PNG:
        return _bare_png(head + stream.read())
    if head[:4] in (b"II*\0", b"MM\0*"):
        copy = tiff.in_eight_bits(stream, max_pixels)
        what = "its samples have more than 8 bits in an unusual layout, and are read as 8 bits"
        return None if copy is None else Repaired(copy, {}, what)
    return _ended_jpeg(head + stream.read(), max_pixels) if head[:3] == _JPEG else None


def _bare_png(data: bytes) -> Repaired | None:
    """A PNG without its text, and without ancillary chunks that are damaged; None if that changes nothing."""
    kept, info = [_PNG], {}
    for kind, content, whole in _chunks(data):
        if kind == b"iCCP":
            if whole and (profile := _inflated(content)):
                info["icc_profile"] = profile
            continue
        critical = not kind[0] & 0x20  # kept as it is, whole or not
        if critical or (whole and len(content) >= _KEPT.get(kind, len(content) + 1)):
            kept.append(struct.pack(">I", len(content)) + kind + content)
            kept.append(struct.pack(">I", zlib.crc32(kind + content) ^ (0 if whole else 1)))
    bare = b"".join(kept)
    if len(bare) == len(data):
        return None
    return Repaired(
        io.BytesIO(bare), info, "text or other data beside the pixels is damaged or very long; it is ignored"
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """The chunks of a PNG: kind, content, and whether the checksum is right."""
    at = len(_PNG)
    while at + 12 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        content, checksum = data[at + 8 : at + 8 + size], data[at + 8 + size : at + 12 + size]
        yield kind, content, checksum == struct.pack(">I", zlib.crc32(kind + content))
        at += 12 + size


def _inflated(content: bytes) -> bytes | None:
    """The profile in an iCCP chunk; None if it is damaged or too large."""
    _, _, packed = content.partition(b"\0")
    inflate = zlib.decompressobj()
    with contextlib.suppress(zlib.error):
        profile = inflate.decompress(packed[1:], _LARGEST_PROFILE)
        return None if inflate.unconsumed_tail else profile
    return None


def _ended_jpeg(data: bytes, max_pixels: int) -> Repaired | None:
    """A JPEG with an end marker; None if it has one, or if pixels are missing too.

    A decoder that runs out of data makes pixels up. So if what follows the data changes no pixel, none is missing.
    """
    if data.rstrip(b"\0").endswith(_JPEG_END):
        return None
    data = data.rstrip(b"\xff")  # half a marker
    decoded = []
    for tail in (b"", _TAIL):
        try:
            with Image.open(io.BytesIO(data + tail + _JPEG_END)) as image:
                if image.width * image.height > max_pixels:
                    return None
                decoded.append(np.asarray(image))
        except Exception as error:  # decoders raise anything on damaged data
            let_handlers_raise(error)
            return None
    if not np.array_equal(decoded[0], decoded[1]):
        return None
    return Repaired(io.BytesIO(data + _JPEG_END), {}, "the file lacks its end marker; no pixel is missing")
