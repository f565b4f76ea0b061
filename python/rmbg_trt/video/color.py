# SPDX-License-Identifier: Apache-2.0
"""Converts decoded frames to upright RGB arrays, and arrays to frames for an encoder, with matrix and range as stored.

Source: Recommendation ITU-T H.273 for the numbers. A missing one is guessed from the size, as players do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ..image import Array
from .tone_map import HLG, PQ, SWSCALE_WHITE, ToneMapper, peak_of

BT709, UNSPECIFIED, BT601_625, BT601_525, BT2020, BT2020_CONSTANT = 1, 2, 5, 6, 9, 10  # matrices of H.273
LIMITED, FULL = 1, 2
_SWSCALE_MATRIX = {BT709: 1, 4: 4, BT601_625: 5, BT601_525: 5, 7: 7, BT2020: 9}  # H.273 to swscale's own numbers

# Without accurate rounding, swscale's fast paths are off by up to 4 and wrap around near white.
_FLAGS = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_SCALING_FLAGS = _FLAGS ^ Interpolation.BILINEAR | Interpolation.AREA


Pixel = TypeVar("Pixel", np.uint8, np.uint16)


@dataclass(frozen=True)
class Color:
    """The colour space of YUV frames, in numbers of H.273.

    Attributes:
        matrix: YUV matrix.
        range: `LIMITED` (luma 16..235) or `FULL` (0..255).
        primaries: As stored; 2 is "unspecified".
        transfer: As stored; 2 is "unspecified".
    """

    matrix: int
    range: int
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def hdr(self) -> bool:
        """Whether the transfer is PQ or HLG; such frames look flat when shown as SDR."""
        return self.transfer in (PQ, HLG)


def color_of(frame: VideoFrame) -> Color:
    """Returns the colour space of a decoded frame; for RGB the one in which it will be encoded.

    A missing matrix, or one that swscale does not know, becomes BT.709 for HD (720 lines or more, or 1280 columns),
    otherwise BT.601. A missing range is limited, unless the pixel format is a full-range one.
    """
    matrix = BT2020 if frame.colorspace == BT2020_CONSTANT else frame.colorspace
    if matrix not in _SWSCALE_MATRIX:
        lines = min(frame.width, frame.height)  # a phone's clip may be stored as landscape or portrait
        matrix = BT709 if lines >= 720 or max(frame.width, frame.height) >= 1280 else BT601_525
        matrix = BT601_625 if matrix == BT601_525 and lines == 576 else matrix
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    range_ = FULL if full and not frame.format.is_rgb else LIMITED
    return Color(matrix, range_, frame.color_primaries, frame.color_trc)


class Reader:
    """Converts decoded frames to RGB arrays. Use one per stream: it holds the scaler.

    Args:
        tone_map: Convert HDR frames to SDR.
    """

    def __init__(self, *, tone_map: bool = False) -> None:
        self._scaler, self._deep_scaler = VideoReformatter(), VideoReformatter()
        self._tone_map = tone_map
        self._mapper: ToneMapper | None = None

    def read(self, frame: VideoFrame, size: tuple[int, int] | None = None) -> Array:
        """Converts a frame, in the orientation in which it is stored.

        Args:
            frame: Of any pixel format; deeper channels are rounded to 8 bits.
            size: (height, width) to scale to; None keeps the size.

        Returns:
            (H, W, 3) RGB, or (H, W, 4) with straight alpha if the frame has it; uint8; rows may be padded.
        """
        height, width = size or (frame.height, frame.width)
        scaled = (height, width) != (frame.height, frame.width)
        if not frame.format.is_rgb and not frame.format.name.startswith("gray"):
            color = color_of(frame)
            frame.colorspace, frame.color_range = color.matrix, color.range
        has_alpha = any(component.is_alpha for component in frame.format.components)
        if self._tone_map and frame.color_trc in (PQ, HLG):
            frame = self._to_sdr(frame, "rgba64le" if has_alpha else "rgb48le", width, height)
            scaled = False
        converted = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format="rgba" if has_alpha else "rgb24",
            dst_color_range=FULL,
            interpolation=int(_SCALING_FLAGS if scaled else _FLAGS),
        )
        plane = converted.planes[0]
        rows: Array = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)  # keeps the frame
        channels = 4 if has_alpha else 3
        return rows[:, : width * channels].reshape(height, width, channels)

    def read_deep(self, frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint16]:
        """Converts a frame that `read` has seen to (H, W, 3) RGB, uint16, full range; rows may be padded."""
        height, width = size
        deep = self._deep(frame, "rgb48le", width, height)
        plane = deep.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint16).reshape(height, plane.line_size // 2)
        pixels = rows[:, : 3 * width].reshape(height, width, 3)
        if frame.format.is_rgb:
            return pixels
        pixels = np.minimum(pixels, SWSCALE_WHITE)
        return pixels + (pixels >> 8)

    def _to_sdr(self, frame: VideoFrame, pixel_format: str, width: int, height: int) -> VideoFrame:
        if self._mapper is None:
            self._mapper = ToneMapper(frame.color_trc, peak_of(frame))
        return self._mapper.map(self._deep(frame, pixel_format, width, height))

    def _deep(self, frame: VideoFrame, pixel_format: str, width: int, height: int) -> VideoFrame:
        flags = int(_FLAGS if (width, height) == (frame.width, frame.height) else _SCALING_FLAGS)
        return self._deep_scaler.reformat(
            frame, width=width, height=height, format=pixel_format, dst_color_range=FULL, interpolation=flags
        )


class Writer:
    """Converts arrays to frames for an encoder. Use one per stream: it holds the scaler."""

    def __init__(self, pixel_format: str, color: Color) -> None:
        self._format, self._color = pixel_format, color
        self._scaler = VideoReformatter()

    def write(self, pixels: NDArray[Any]) -> VideoFrame:
        """Converts pixels to a frame of the encoder's pixel format.

        Args:
            pixels: alpha (H, W), uint8; or (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16. They must not be changed
                afterwards: if the encoder takes them as they are, they are not copied.
        """
        pixels = np.ascontiguousarray(pixels)
        source = "gray" if pixels.ndim == 2 else "rgba" if pixels.shape[2] == 4 else "rgb24"
        if pixels.dtype == np.uint16:
            if not self._format.startswith("gbr"):
                pixels = pixels.copy()
                pixels[..., :3] -= ((pixels[..., :3].astype(np.uint32) + 128) // 257).astype(np.uint16)
            frame = VideoFrame.from_ndarray(pixels, "rgba64le" if source == "rgba" else "rgb48le")
        else:
            frame = VideoFrame.from_numpy_buffer(pixels, source)
        frame.color_range = FULL
        if self._format == source:
            return frame
        is_rgb = self._format.startswith(("bgr", "gbr"))
        converted = self._scaler.reformat(
            frame,
            format=self._format,
            dst_colorspace=None if is_rgb else _SWSCALE_MATRIX[self._color.matrix],
            dst_color_range=FULL if is_rgb else self._color.range,
            interpolation=int(_FLAGS),
        )
        if not is_rgb:
            converted.colorspace = self._color.matrix
            converted.color_primaries, converted.color_trc = self._color.primaries, self._color.transfer
        if self._format == "yuva420p":  # swscale adds one to every number from 128 on
            plane = converted.planes[3]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            rows[: converted.height, : converted.width] = pixels[..., 3]
        return converted


@dataclass(frozen=True)
class Orientation:
    """How to turn a stored frame upright: first swap its axes, then mirror it."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, pixels: NDArray[Pixel]) -> NDArray[Pixel]:
        """Returns the frame (H, W, C) upright; C-contiguous if anything was done."""
        if self == Orientation():
            return pixels
        swapped = pixels.swapaxes(0, 1) if self.swap else pixels
        return np.ascontiguousarray(swapped[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1])


def orientation_of(frame: VideoFrame) -> Orientation:
    """Returns what the display matrix of a frame asks for, to the nearest quarter turn.

    The matrix maps (x, y) to (a x + c y, b x + d y). Which two of a, b, c, d are not zero, and their signs, say it all.
    """
    if SideData.DISPLAYMATRIX not in frame.side_data:
        return Orientation()
    side_data: Any = frame.side_data  # typed as a dict of one key
    a, b, _, c, d = np.frombuffer(side_data[SideData.DISPLAYMATRIX], np.int32)[:5].tolist()
    swap = abs(b) + abs(c) > abs(a) + abs(d)
    return Orientation(swap, flip_rows=(b if swap else d) < 0, flip_columns=(c if swap else a) < 0)
