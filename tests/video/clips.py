# SPDX-License-Identifier: Apache-2.0
"""Clips made with PyAV, and what a player would read from a file. Nothing here uses what is tested."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

Array = NDArray[np.uint8]
HEIGHT, WIDTH = 48, 64
MOMENTS = [0, 1001, 2002, 4004, 5005]  # times of frames, in ticks
EXACT = int(Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
_SWSCALE = {1: 1, 5: 5, 6: 5, 9: 9}


def smooth(number: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Array:
    """A frame that 4:2:0 hardly changes: slow gradients, a little different for each number."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([60 + x, 200 - y, 40 + (x + y) // 2 + 4 * number]).clip(16, 235).astype(np.uint8)


def cutouts(height: int = HEIGHT, width: int = WIDTH) -> list[Array]:
    """Smooth colours; an alpha with every value, sharp edges, empty and full parts."""
    alpha = np.arange(height * width, dtype=np.int64).reshape(height, width) % 256
    alpha[: height // 4] = 0
    alpha[-height // 4 :] = 255
    return [np.dstack([smooth(n, height, width), np.roll(alpha, n, 1)]).astype(np.uint8) for n in range(len(MOMENTS))]


def make_clip(
    path: Path,
    frames: Sequence[Array] | int = 6,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 25,
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    matrix: int | None = 6,
    range_: int | None = 1,
    transfer: int = 2,
    rotation: int = 0,
    hflip: bool = False,
    pixel_aspect: Fraction | None = None,
    audio: bool = False,
    subtitles: bool = False,
    options: dict[str, str] | None = None,
    muxer: str | None = None,
) -> Path:
    """Writes a clip of these RGB frames, or of that many smooth ones. ``matrix`` None writes no colour space."""
    pictures = [smooth(n) for n in range(frames)] if isinstance(frames, int) else list(frames)
    base = time_base or 1 / Fraction(rate)
    height, width = pictures[0].shape[:2]
    lossless = {"libx264": {"crf": "0"}, "libvpx-vp9": {"lossless": "1"}}.get(codec, {})
    with av.open(str(path), "w", format=muxer) as out:
        stream: Any = out.add_stream(codec, rate=Fraction(rate), options={**lossless, **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        context = stream.codec_context
        context.time_base = base
        if matrix is not None:
            context.colorspace, context.color_range, context.color_trc = matrix, range_, transfer
        if pixel_aspect:
            context.sample_aspect_ratio = stream.sample_aspect_ratio = pixel_aspect
        if rotation or hflip:
            stream.set_display_rotation(rotation, hflip=hflip)
        sound: Any = out.add_stream("aac", rate=48000) if audio else None
        words: Any = out.add_mux_stream("subrip", time_base=Fraction(1, 1000)) if subtitles else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            converted = frame.reformat(
                format=pixel_format,
                dst_colorspace=None if pixel_format[:3] in ("rgb", "bgr", "gbr") else _SWSCALE[matrix or 6],
                dst_color_range=range_ or 1,
                interpolation=EXACT,
            )
            converted.pts, converted.time_base = (pts[number] if pts else number), base
            converted.duration = 1 if time_base is None else 0
            out.mux(stream.encode(converted))
        out.mux(stream.encode(None))
        if sound is not None:
            _add_sound(out, sound, float((pts[-1] if pts else len(pictures)) * base) + 0.05)
        for number in range(2 if words is not None else 0):
            packet = av.Packet(f"line {number}".encode())
            packet.pts = packet.dts = 40 + 80 * number
            packet.duration, packet.time_base, packet.stream = 60, Fraction(1, 1000), words
            out.mux(packet)
    return path


def _add_sound(out: Any, stream: Any, length_s: float) -> None:
    generator = np.random.default_rng(5)
    for number in range(int(length_s * 48000 / 1024) + 1):
        noise = generator.uniform(-0.1, 0.1, (2, 1024)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, number * 1024, Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def decode(path: Path) -> list[Any]:
    """All frames; VP9 with its alpha, which FFmpeg's own decoder leaves out."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        if stream.codec_context.name != "vp9":
            return list(file.decode(stream))
        context = av.CodecContext.create("libvpx-vp9", "r")
        frames = []
        for packet in file.demux(stream):
            if packet.size:
                for frame in context.decode(packet):
                    frame.time_base = packet.time_base
                    frames.append(frame)
        return [*frames, *context.decode(None)]


def pictures(path: Path, pixel_format: str = "rgb24") -> list[Array]:
    """All frames as arrays."""
    return [frame.to_ndarray(format=pixel_format, interpolation=EXACT) for frame in decode(path)]


def alpha_of(frame: Any) -> Array:
    """The alpha of a frame as 8 bit, from its own plane: swscale adds one to half of the numbers."""
    if frame.format.name == "bgra":
        return np.asarray(frame.to_ndarray()[..., 3])
    bits = frame.format.components[3].bits
    plane = frame.planes[3]
    rows = np.frombuffer(memoryview(plane), np.uint8 if bits == 8 else np.uint16)
    cut = rows.reshape(frame.height, -1)[:, : frame.width]
    return (cut / (2**bits - 1) * 255).round().astype(np.uint8)


def times(path: Path) -> list[Fraction]:
    """When the frames are shown, in seconds."""
    return [frame.pts * frame.time_base for frame in decode(path)]


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Times and bytes of the packets of the first stream of this kind."""
    with av.open(str(path)) as file:
        stream = next(stream for stream in file.streams if stream.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in file.demux(stream) if p.size]


def kinds(path: Path) -> list[str]:
    with av.open(str(path)) as file:
        return [stream.type for stream in file.streams]


def left_over(folder: Path) -> list[str]:
    """Hidden files of unfinished work."""
    return [path.name for path in folder.rglob(".rmbg-*")]


def worst(one: Array, other: Array) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())
