# SPDX-License-Identifier: Apache-2.0
"""Reads an image with Pillow: a path, bytes or a stream to upright 8-bit RGB, with a clear reason when it fails."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar, Union

from PIL import Image, UnidentifiedImageError

from ..errors import InputError, UnavailableError
from ..install import install_command
from ..signals import let_handlers_raise
from . import tiff
from .convert import LoadedImage, load, reasons
from .repair import reason, repair

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Source = Union[str, "os.PathLike[str]", bytes, IO[bytes]]

DEFAULT_MAX_PIXELS = 178_956_970
"""Pillow's own limit: half a gibibyte at three bytes a pixel."""

# What a folder is searched for. A file that is named explicitly may have any suffix.
INPUT_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".tga"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".heic", ".heif", ".hif", ".avif", ".mpo", ".ico"),
    )
)

_DRAWINGS = ("EPS", "WMF")  # Pillow would run Ghostscript or the system on them
_CHUNK = 1 << 20
_LARGEST_METADATA, _LARGEST_PIXEL = 64 << 20, 8  # bytes: in a file, and of RGBA with 16 bits
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}


def read_image(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS, name: str | None = None) -> LoadedImage:
    """Reads an image of any format, mode and depth as upright 8-bit RGB or RGBA.

    `convert` says how deep modes and color profiles are handled. Only the first frame of an animation, or the first
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
    return _read(source, max_pixels, name, load)


def check_image(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS, name: str | None = None) -> None:
    """Opens an image without decoding its pixels. Arguments and errors are those of `read_image`."""
    _read(source, max_pixels, name, lambda image, name: None)


def load_pil(image: Image.Image, name: str = "the image") -> LoadedImage:
    """Loads an image that Pillow has opened as `read_image` does: upright, 8-bit RGB or RGBA, with its metadata.

    Args:
        image: Of any mode, decoded or not; of an animation, the frame at which it stands.
        name: The name to use in messages.

    Raises:
        InputError: The pixels are damaged, or stored in a way that is not supported.
    """
    stream = getattr(image, "fp", None)  # Pillow closes it when the image is decoded
    try:
        return load(image, name)
    except InputError as error:
        if stream is None or stream.closed:
            raise
        return _second_try(stream, DEFAULT_MAX_PIXELS, name, load, error)


def lift_pillow_limit() -> None:
    """Removes Pillow's process-wide pixel limit, so that only ``max_pixels`` applies. For programs, not libraries."""
    Image.MAX_IMAGE_PIXELS = None


def read_pil_image(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS, name: str | None = None) -> Image.Image:
    """Reads an image as the file stores it: in its own Pillow mode and orientation. For masks, whose values matter.

    Arguments and errors are those of `read_image`.
    """
    return _read(source, max_pixels, name, _copied)


def _copied(image: Image.Image, name: str) -> Image.Image:
    with reasons(name):
        tiff.check(image, name)
        return image.copy()


def _read(source: Source, max_pixels: int, name: str | None, use: Callable[[Image.Image, str], Result]) -> Result:
    """Opens an image and uses it; tries again without what is damaged beside its pixels."""
    with _stream_of(source, max_pixels, name) as (stream, name):
        try:
            with _opened(stream, max_pixels, name) as image:
                return use(image, name)
        except InputError as error:
            return _second_try(stream, max_pixels, name, use, error)


def _second_try(
    stream: IO[bytes], max_pixels: int, name: str, use: Callable[[Image.Image, str], Result], error: InputError
) -> Result:
    """Uses a repaired copy of a file; raises the error of the first try if there is none, or it fails, too."""
    repaired = repair(stream, max_pixels)
    if repaired is None:
        raise error
    try:
        with _opened(repaired.stream, max_pixels, name) as image:
            image.info.update(repaired.info)
            used = use(image, name)
    except InputError:
        raise error from None
    log.warning("%s: %s", name, repaired.what)
    return used


@contextlib.contextmanager
def _stream_of(source: Source, max_pixels: int, name: str | None) -> Iterator[tuple[IO[bytes], str]]:
    """Yields a seekable stream of the source, and its name."""
    if isinstance(source, bytes):
        yield io.BytesIO(source), name or "the data"
        return
    if not isinstance(source, (str, os.PathLike)):
        name = name or str(getattr(source, "name", "the stream"))
        yield _buffered(source, max_pixels, name), name
        return
    name = name or os.fspath(source)
    if not os.fspath(source):
        raise InputError("the path of an image is empty")
    try:
        path = Path(source)
        if path.is_dir():
            raise InputError(f"{name} is a folder, not an image")
        with path.open("rb") as stream:
            yield stream if stream.seekable() else _buffered(stream, max_pixels, name), name
    except OSError as error:
        raise InputError(f"{name} could not be read: {error.strerror or error}") from error
    except ValueError as error:  # a null byte in the path
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name!r} is not a path: {error}") from error


def _buffered(stream: IO[bytes], max_pixels: int, name: str) -> io.BytesIO:
    """Reads a stream to its end; one without an end is given up when no image could be so large."""
    most, buffer = _LARGEST_METADATA + _LARGEST_PIXEL * max_pixels, io.BytesIO()
    while chunk := stream.read(_CHUNK):
        buffer.write(chunk)
        if buffer.tell() > most:
            raise InputError(f"{name} has more than {most:,} bytes, too many for an image of {max_pixels:,} pixels")
    buffer.seek(0)
    return buffer


@contextlib.contextmanager
def _opened(stream: IO[bytes], max_pixels: int, name: str) -> Iterator[Image.Image]:
    """Yields the image, not decoded yet, or the first one if the file has several."""
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
        if image.format in _DRAWINGS:
            raise InputError(f"{name} is a drawing ({image.format}), not an image; save it as a PNG")
        with reasons(name):
            if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photograph and its preview
                log.warning("%s has %d frames or pages; only the first is used", name, getattr(image, "n_frames", 2))
                image.seek(0)
        yield image


def _open(stream: IO[bytes], name: str) -> Image.Image:
    try:
        return Image.open(stream)
    except Image.DecompressionBombError as error:
        limit = f"{2 * (Image.MAX_IMAGE_PIXELS or 0):,} (Pillow's own, see rmbg_trt.image.lift_pillow_limit)"
        raise InputError(_too_large(name, str(error).partition("(")[2].partition(" ")[0], limit)) from error
    except UnidentifiedImageError as error:
        raise InputError(reason(stream, name)) from error
    except Exception as error:  # a damaged header: decoders raise anything
        let_handlers_raise(error)
        raise InputError(f"{name} is damaged: {error}") from error


def _too_large(name: str, pixels: str, limit: str) -> str:
    hint = "--max-pixels of rmbg-trt image (max_pixels=) raises it"
    return f"{name} has {pixels} pixels, more than the limit of {limit}; {hint}"


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
