# SPDX-License-Identifier: Apache-2.0
"""Animated WebP and AVIF as video: FFmpeg does not decode the one and loses the alpha of the other; Pillow does."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageSequence

from ..errors import InputError

_MILLISECOND = Fraction(1, 1000)
_DEFAULT_MS = 100  # for a frame whose duration is 0, as browsers do


def is_animation(path: Path) -> bool:
    """Whether an image file is an animated GIF, PNG, WebP or AVIF."""
    try:
        with Image.open(path) as image:
            return image.format in ("GIF", "PNG", "WEBP", "AVIF") and getattr(image, "is_animated", False)
    except (OSError, SyntaxError, ValueError):
        return False


def needs_pillow(path: Path) -> bool:
    """Whether a file is an animated WebP or AVIF, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(32)
    return (head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)) or head[4:12] == b"ftypavis"


def as_video(path: Path) -> io.BytesIO:
    """Returns a QuickTime file in memory: the frames as PNG with alpha, and their times in milliseconds.

    Raises:
        InputError: The image is damaged.
    """
    data = io.BytesIO()
    try:
        with Image.open(path) as image, av.open(data, "w", format="mov") as out:
            stream = out.add_stream("png", rate=25, options={"compression_level": "1"})
            stream.width, stream.height, stream.pix_fmt = *image.size, "rgba"
            stream.codec_context.time_base = _MILLISECOND
            pts = 0
            for picture in ImageSequence.Iterator(image):
                frame = av.VideoFrame.from_ndarray(np.asarray(picture.convert("RGBA")), "rgba")
                frame.pts, frame.time_base = pts, _MILLISECOND
                frame.duration = round(picture.info.get("duration") or _DEFAULT_MS)
                pts += frame.duration
                for packet in stream.encode(frame):  # at once, as PNG has no delay
                    packet.duration = frame.duration
                    out.mux(packet)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise InputError(f"{path} is damaged ({error})") from error
    data.seek(0)
    return data
