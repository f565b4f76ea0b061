# SPDX-License-Identifier: Apache-2.0
"""The colour of video: which matrix and range a frame has, from YUV to upright RGB, and back to the same YUV.

Source: Recommendation ITU-T H.273 for the numbers; what is not said is taken as players take it, from the size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from ..image import Array

RGB, BT709, UNSPECIFIED, BT601_625, BT601_525, BT2020, BT2020_CONSTANT = 0, 1, 2, 5, 6, 9, 10  # matrices of H.273
LIMITED, FULL = 1, 2
_PQ, _HLG = 16, 18
_SWSCALE_MATRIX = {BT709: 1, 4: 4, BT601_625: 5, BT601_525: 5, 7: 7, BT2020: 9}  # H.273 to swscale's own numbers

# Without accurate rounding, swscale's fast paths are off by up to 4 and wrap around near white.
_FLAGS = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
_SCALING_FLAGS = _FLAGS ^ Interpolation.BILINEAR | Interpolation.AREA


@dataclass(frozen=True)
class Color:
    """How YUV numbers mean colours; numbers as in H.273.

    Attributes:
        matrix: Of the luma.
        range: `LIMITED` (16..235) or `FULL` (0..255).
        primaries: As found; 2 is "not said".
        transfer: As found; 2 is "not said".
    """

    matrix: int
    range: int
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def hdr(self) -> bool:
        """Whether the numbers are those of HDR (PQ or HLG), which look flat when taken for ordinary ones."""
        return self.transfer in (_PQ, _HLG)


def color_of(frame: VideoFrame) -> Color:
    """The colour of a decoded frame; of an RGB frame the one that suits its size, as YUV is what it will be.

    A matrix that is not said, or is none that can be calculated with, is that of BT.709 for HD (720 lines or more, or
    1280 columns), else of BT.601. A range that is not said is limited, unless the pixel format says full.
    """
    matrix = BT2020 if frame.colorspace == BT2020_CONSTANT else frame.colorspace
    if matrix not in _SWSCALE_MATRIX:
        lines = min(frame.width, frame.height)  # of a phone's clip, which may be stored lying or standing
        matrix = BT709 if lines >= 720 or max(frame.width, frame.height) >= 1280 else BT601_525
        matrix = BT601_625 if matrix == BT601_525 and lines == 576 else matrix
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    range_ = FULL if full and not frame.format.is_rgb else LIMITED
    return Color(matrix, range_, frame.color_primaries, frame.color_trc)


def has_alpha(frame: VideoFrame) -> bool:
    """Whether the frame has an alpha channel."""
    return any(component.is_alpha for component in frame.format.components)


class Reader:
    """Makes RGB arrays of decoded frames. Keep one for each stream: it holds the scaler."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def read(self, frame: VideoFrame, size: tuple[int, int] | None = None) -> Array:
        """The picture of a frame, not turned.

        Args:
            frame: Of any pixel format; deeper channels are rounded to 8 bit.
            size: (height, width) to scale to; None leaves it.

        Returns:
            (H, W, 3) RGB, or (H, W, 4) with straight alpha where the frame has it; uint8; rows may be padded.
        """
        height, width = size or (frame.height, frame.width)
        scaled = (height, width) != (frame.height, frame.width)
        if not frame.format.is_rgb and not frame.format.name.startswith("gray"):
            color = color_of(frame)
            frame.colorspace, frame.color_range = color.matrix, color.range
        made = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format="rgba" if has_alpha(frame) else "rgb24",
            dst_color_range=FULL,
            interpolation=int(_SCALING_FLAGS if scaled else _FLAGS),
        )
        plane = made.planes[0]
        rows: Array = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)  # keeps the frame
        channels = 4 if made.format.name == "rgba" else 3
        return rows[:, : width * channels].reshape(height, width, channels)


class Writer:
    """Makes frames for an encoder of arrays. Keep one for each stream: it holds the scaler."""

    def __init__(self, pixel_format: str, color: Color) -> None:
        self._format, self._color = pixel_format, color
        self._scaler = VideoReformatter()

    def write(self, pixels: Array) -> VideoFrame:
        """A frame of the encoder's pixel format.

        Args:
            pixels: alpha (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; uint8. It is not copied where the encoder takes it
                as it is, so it must not be changed afterwards.
        """
        pixels = np.ascontiguousarray(pixels)
        source = "gray" if pixels.ndim == 2 else "rgba" if pixels.shape[2] == 4 else "rgb24"
        frame = VideoFrame.from_numpy_buffer(pixels, source)
        frame.color_range = FULL
        if self._format == source:
            return frame
        is_rgb = self._format in ("bgra", "bgr0")
        made = self._scaler.reformat(
            frame,
            format=self._format,
            dst_colorspace=None if is_rgb else _SWSCALE_MATRIX[self._color.matrix],
            dst_color_range=FULL if is_rgb else self._color.range,
            interpolation=int(_FLAGS),
        )
        if not is_rgb:
            made.colorspace = self._color.matrix
            made.color_primaries, made.color_trc = self._color.primaries, self._color.transfer
        if self._format == "yuva420p":  # swscale adds one to every number from 128 on
            plane = made.planes[3]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            rows[: made.height, : made.width] = pixels[..., 3]
        return made


@dataclass(frozen=True)
class Turn:
    """How a stored picture is brought upright: first its axes are swapped, or not, then they are mirrored, or not."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def __call__(self, pixels: Array) -> Array:
        """The picture (H, W, C) upright; C-contiguous if anything was done."""
        if self == Turn():
            return pixels
        turned = pixels.swapaxes(0, 1) if self.swap else pixels
        return np.ascontiguousarray(turned[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1])


def turn_of(frame: VideoFrame) -> Turn:
    """What the display matrix of a frame asks for, to the nearest quarter turn.

    The matrix takes (x, y) to (a x + c y, b x + d y), of which a picture keeps the signs and which two are not zero.
    """
    if SideData.DISPLAYMATRIX not in frame.side_data:
        return Turn()
    side_data: Any = frame.side_data  # typed as a dict of one key
    a, b, _, c, d = np.frombuffer(side_data[SideData.DISPLAYMATRIX], np.int32)[:5].tolist()
    swap = abs(b) + abs(c) > abs(a) + abs(d)
    return Turn(swap, flip_rows=(b if swap else d) < 0, flip_columns=(c if swap else a) < 0)
