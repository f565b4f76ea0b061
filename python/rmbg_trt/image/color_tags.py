# SPDX-License-Identifier: Apache-2.0
"""Finds out which colors the values of an image mean, from its ICC profile and from everything else that says so.

PNG has cICP, gAMA and cHRM, AVIF and HEIC have nclx, cameras have the EXIF interoperability index R03 (Adobe RGB).
These become an ICC profile, which every format can keep. HDR values (PQ, HLG) have none; their code points are kept.

Source: ITU-T H.273; W3C, PNG Specification, third edition, 2025, section 4.3; ISO/IEC 23008-12; DCF 2.0.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np
from PIL import Image

from ..signals import let_handlers_raise
from .profile import Point, make_profile

log = logging.getLogger(__name__)

HDR_TRANSFERS = {16: "PQ", 18: "HLG"}

_D65, _SRGB_GAMMA = (0.3127, 0.329), 1 / 2.2
_PRIMARIES: dict[int, tuple[Point, tuple[Point, Point, Point]]] = {
    1: (_D65, ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06))),  # BT.709, sRGB
    4: ((0.31, 0.316), ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08))),  # BT.470 M
    5: (_D65, ((0.64, 0.33), (0.29, 0.6), (0.15, 0.06))),  # BT.470 B/G
    6: (_D65, ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07))),  # BT.601
    7: (_D65, ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07))),  # SMPTE 240
    9: (_D65, ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046))),  # BT.2020
    11: ((0.314, 0.351), ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))),  # DCI-P3
    12: (_D65, ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))),  # Display P3
    22: (_D65, ((0.63, 0.34), (0.295, 0.605), (0.155, 0.077))),  # EBU 3213
}
# None: the curve of sRGB, which is also how screens show stills in BT.709, BT.601 and BT.2020.
_GAMMAS = {**dict.fromkeys((1, 2, 6, 13, 14, 15)), 4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_ADOBE_RGB = (_D65, ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 2.19921875)
_INTEROP_IFD, _INTEROP_INDEX = 0xA005, 1
_MOST_CHUNKS = 1000


class ColorTags(NamedTuple):
    """What an image says of its colors.

    Attributes:
        profile: The ICC profile of its values, of any color space; None means sRGB.
        cicp: The four code points of H.273 if the values are HDR, which no profile says.
    """

    profile: bytes | None = None
    cicp: bytes | None = None


def read_color_tags(image: Image.Image, name: str) -> ColorTags:
    """Reads the color tags of an image. Call this before its pixels are loaded, which closes its file."""
    profile = image.info.get("icc_profile") or None
    try:
        if image.format == "PNG":
            points = _png_cicp(getattr(image, "fp", None))
            if points is not None:  # it comes before a profile
                return _from_cicp(points, name)
            return ColorTags(profile or _from_gamma(image))
        if profile is None and image.format in ("AVIF", "HEIF"):
            points = _nclx(image)
            return ColorTags() if points is None else _from_cicp(points, name)
        if profile is None and image.format == "JPEG2000":
            return ColorTags(_jp2_profile(image))
        if profile is None and _interop_index(image) == "R03":
            return ColorTags(make_profile("Adobe RGB (1998)", *_ADOBE_RGB))
    except Exception as error:  # damaged tags must not cost the image
        let_handlers_raise(error)
        log.warning("%s: damaged color tags are ignored: %s", name, error)
    return ColorTags(profile)


def _from_cicp(points: bytes, name: str) -> ColorTags:
    primaries, transfer = points[0], points[1]
    if transfer in HDR_TRANSFERS:
        return ColorTags(cicp=points)
    primaries = 1 if primaries == 2 else primaries  # 2: not specified
    if primaries not in _PRIMARIES or transfer not in _GAMMAS:
        log.warning("%s: the color space %d/%d is not known; colors are taken as sRGB", name, primaries, transfer)
        return ColorTags()
    if primaries == 1 and _GAMMAS[transfer] is None:
        return ColorTags()
    title = "Display P3" if (primaries, transfer) == (12, 13) else f"H.273 primaries {primaries}, transfer {transfer}"
    return ColorTags(make_profile(title, *_PRIMARIES[primaries], _GAMMAS[transfer]))


def _from_gamma(image: Image.Image) -> bytes | None:
    """The profile that gAMA and cHRM mean; None if there are none, they are overruled, or they mean sRGB."""
    gamma, chromaticity = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or not (gamma or chromaticity):
        return None
    white, primaries = _PRIMARIES[1]
    if chromaticity:
        white, *rest = ((chromaticity[at], chromaticity[at + 1]) for at in (0, 2, 4, 6))
        primaries = (rest[0], rest[1], rest[2])
    exponent = None if not gamma or abs(gamma / _SRGB_GAMMA - 1) < 0.05 else 1 / gamma  # None: the curve of sRGB
    if exponent is None and np.allclose((white, *primaries), (_PRIMARIES[1][0], *_PRIMARIES[1][1]), atol=0.005):
        return None
    return make_profile("From gAMA and cHRM", white, primaries, exponent)


def _png_cicp(file: IO[bytes] | None) -> bytes | None:
    """The cICP chunk of a PNG; None if there is none, or the file is closed already."""
    if file is None:
        return None
    at = file.tell()
    try:
        file.seek(8)
        for _ in range(_MOST_CHUNKS):
            head = file.read(8)
            size, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"IDAT")
            if kind in (b"IDAT", b"PLTE"):  # cICP is above both
                return None
            if kind == b"cICP" and size == 4:
                return file.read(4)
            file.seek(size + 4, 1)
        return None
    finally:
        file.seek(at)


def _nclx(image: Image.Image) -> bytes | None:
    """The code points of an AVIF or HEIC file; None if it has none."""
    kept = image.info.get("nclx_profile")  # pillow-heif
    if isinstance(kept, dict):
        return bytes([int(kept["color_primaries"]), int(kept["transfer_characteristics"]), 0, 1])
    for body in _color_boxes(image, (b"meta", b"iprp", b"ipco")) if image.format == "AVIF" else ():
        primaries, transfer = struct.unpack(">HH", body[4:8]) if body[:4] == b"nclx" else (2, 2)
        if primaries != 2:  # not specified, as for the alpha plane
            return bytes([primaries & 255, transfer & 255, 0, 1])
    return None


def _jp2_profile(image: Image.Image) -> bytes | None:
    """The ICC profile of a JPEG 2000 file, which Pillow leaves out."""
    return next((body[3:] for body in _color_boxes(image, (b"jp2h",)) if body[:1] == b"\2"), None)


def _color_boxes(image: Image.Image, path: tuple[bytes, ...]) -> Iterator[bytes]:
    """The "colr" boxes of a file below a path of boxes; none if the file is closed already."""
    file = getattr(image, "fp", None)
    if file is None:
        return
    at = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(at)
    for kind in path:
        inner = next((body for found, body in _boxes(data) if found == kind), b"")
        data = inner[4:] if kind == b"meta" else inner  # it has a version and flags
    yield from (body for kind, body in _boxes(data) if kind == b"colr")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes of ISO media data: kind and content."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        begin = at + 8
        if size == 1:
            size, begin = struct.unpack(">Q", data[at + 8 : at + 16])[0], at + 16
        end = len(data) if size == 0 else at + size
        if end < begin:
            return
        yield kind, data[begin:end]
        at = end


def _interop_index(image: Image.Image) -> str:
    value = image.getexif().get_ifd(_INTEROP_IFD).get(_INTEROP_INDEX, "")
    return str(value).strip("\0 ")
