# SPDX-License-Identifier: Apache-2.0
"""Reads an image with Pillow: a path, bytes or a stream to upright 8-bit RGB, with a clear reason when it fails."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import InputError, UnavailableError
from ..install import install_command
from ..signals import let_handlers_raise
from .convert import read_dpi, read_exif, read_orientation, to_rgb

log = logging.getLogger(__name__)

Array = NDArray[np.uint8]
Source = Union[str, "os.PathLike[str]", bytes, IO[bytes]]

DEFAULT_MAX_PIXELS = 178_956_970
"""Pillow's own limit: half a gibibyte at three bytes a pixel."""

# What a folder is searched for. A file that is named explicitly may have any suffix.
INPUT_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".tga"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".heic", ".heif", ".avif"),
    )
)

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}


@dataclass(frozen=True)
class LoadedImage:
    r"""An image as it was read: the pixels, and the metadata to keep in the result.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha; uint8, C-contiguous, read-only, upright.
        icc_profile: The RGB colour profile of ``pixels``, or None if the file has none.
        dpi: Horizontal and vertical resolution in dots per inch, or None.
        exif: Beginning with ``Exif\0\0``, without orientation and thumbnail; or None.
        name: Where it came from, for messages.
    """

    pixels: Array
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    name: str = ""


def read_image(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS, name: str | None = None) -> LoadedImage:
    """Reads an image of any format, mode and depth as upright 8-bit RGB or RGBA.

    `convert` says how deep modes and colour profiles are handled. Only the first frame of an animation, or the first
    page of a document, is read; the log says so.

    Args:
        source: A path, the bytes of a file, or a binary stream, which is read to its end.
        max_pixels: Larger images are refused before they are decoded. Pillow's own process-wide limit applies as
            well, see `lift_pillow_limit`.
        name: The name to use in messages; by default the path.

    Raises:
        InputError: The file is missing, a folder, empty, too large, damaged, cut short, or not an image.
        UnavailableError: The format needs an optional package; the message says which.
    """
    with _stream_of(source, name) as (stream, name), _decoded(stream, max_pixels, name) as image:
        return _upright(image, name)


def lift_pillow_limit() -> None:
    """Removes Pillow's process-wide pixel limit, so that only ``max_pixels`` applies. For programs, not libraries."""
    Image.MAX_IMAGE_PIXELS = None


def read_pil_image(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS, name: str | None = None) -> Image.Image:
    """Reads an image as the file stores it: in its own Pillow mode and orientation. For masks, whose values matter.

    Arguments and errors are those of `read_image`.
    """
    with _stream_of(source, name) as (stream, name), _decoded(stream, max_pixels, name) as image:
        return image.copy()


@contextlib.contextmanager
def _stream_of(source: Source, name: str | None) -> Iterator[tuple[IO[bytes], str]]:
    """Yields a seekable stream of the source, and its name."""
    if isinstance(source, bytes):
        yield io.BytesIO(source), name or "the data"
        return
    if not isinstance(source, (str, os.PathLike)):
        yield io.BytesIO(source.read()), name or str(getattr(source, "name", "the stream"))
        return
    path, name = Path(source), name or os.fspath(source)
    try:
        if path.is_dir():
            raise InputError(f"{name} is a folder, not an image")
        with path.open("rb") as stream:
            yield stream, name
    except OSError as error:
        raise InputError(f"{name} could not be read: {error.strerror or error}") from error
    except ValueError as error:  # a null byte in the path
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name!r} is not a path: {error}") from error


@contextlib.contextmanager
def _decoded(stream: IO[bytes], max_pixels: int, name: str) -> Iterator[Image.Image]:
    """Yields the decoded image, or the first one if the file has several."""
    head = stream.read(64)
    stream.seek(0)
    if not head:
        raise InputError(f"{name} is empty")
    _register_heif(head, name)
    with _open(stream, name) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise InputError(f"{name} is {width} x {height} pixels; expected at least 1 x 1")
        if width * height > max_pixels:
            raise InputError(_too_large(name, f"{width} x {height} = {width * height:,}", f"{max_pixels:,}"))
        with _reasons(name):
            if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photograph and its preview
                log.warning("%s has %d frames or pages; only the first is used", name, getattr(image, "n_frames", 2))
                image.seek(0)
            image.load()
        yield image


def _upright(image: Image.Image, name: str) -> LoadedImage:
    """Converts a decoded image to upright RGB and collects its metadata."""
    orientation = read_orientation(image)
    turned = orientation >= 5
    dpi = read_dpi(image)
    exif = read_exif(image, image.size[::-1] if turned else image.size)
    with _reasons(name):
        rgb, icc_profile = to_rgb(image, name)
        if orientation in _TRANSPOSE:
            rgb = rgb.transpose(_TRANSPOSE[orientation])
        pixels = np.ascontiguousarray(np.asarray(rgb))
    pixels.flags.writeable = False
    return LoadedImage(pixels, icc_profile, dpi[::-1] if dpi and turned else dpi, exif, name)


def _open(stream: IO[bytes], name: str) -> Image.Image:
    try:
        return Image.open(stream)
    except Image.DecompressionBombError as error:
        limit = f"{2 * (Image.MAX_IMAGE_PIXELS or 0):,} (Pillow's own, see rmbg_trt.image.lift_pillow_limit)"
        raise InputError(_too_large(name, str(error).partition("(")[2].partition(" ")[0], limit)) from error
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is not an image, or its format is not supported") from error
    except Exception as error:  # a damaged header: decoders raise anything
        let_handlers_raise(error)
        raise InputError(f"{name} is damaged: {error}") from error


def _too_large(name: str, pixels: str, limit: str) -> str:
    return f"{name} has {pixels} pixels, more than the limit of {limit}; --max-pixels (max_pixels=) raises it"


@contextlib.contextmanager
def _reasons(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises on damaged data into an `InputError` that names the file."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        let_handlers_raise(error)
        text = str(error)
        cut = any(word in text.lower() for word in ("truncated", "unexpected end", "incomplete", "not enough"))
        raise InputError(f"{name} is {'cut short' if cut else 'damaged'}: {text or type(error).__name__}") from error


def _register_heif(head: bytes, name: str) -> None:
    """Registers the plugin for HEIC (or AVIF, where Pillow was built without it) when a file needs it."""
    if head[4:8] != b"ftyp":
        return
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), 64), 4))}
    wants_avif = bool(brands & {b"avif", b"avis"})
    if not (wants_avif or brands & _HEIC_BRANDS):
        return
    Image.init()
    if ("AVIF" if wants_avif else "HEIF") in Image.OPEN:
        return
    kind = "AVIF" if wants_avif else "HEIC"
    try:
        import pillow_heif

        # Only older versions have the AVIF function.
        register = getattr(pillow_heif, "register_avif_opener" if wants_avif else "register_heif_opener")
    except (ImportError, AttributeError):
        remedy = install_command("heif") + (", or Pillow 11.3 or later" if wants_avif else "")
        raise UnavailableError(f"{name} is a {kind} image, which needs an optional package: {remedy}") from None
    register()
