# SPDX-License-Identifier: Apache-2.0
"""Results with more than 8 bits a channel. The engine works on 8 bits; the colors of the clip are put back here.

Where the engine left a pixel's color as it was, the result has that of the clip, with all its bits. Where it changed
it, at edges, the same change is made to the deep color. So colors are deep and alpha has 8 bits.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av.filter
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from .. import background as backgrounds
from ..image import Array
from .tone_map import HLG, PQ, from_sdr

DeepArray = NDArray[np.uint16]

_FULL = 257  # 8 bits to 16: 255 becomes 65535


class DeepFinisher:
    """Makes deep cutouts and composites from the engine's cutouts. Use one per clip, in one thread.

    Args:
        output: "cutout" or "composite".
        transfer: The clip's, a number of H.273. For PQ and HLG, backgrounds are converted from SDR.
    """

    def __init__(self, output: str, transfer: int) -> None:
        self._output, self._transfer = output, transfer
        self._blur: _Blur | None = None
        self._given: Any = None
        self._converted: Any = None

    def finish(self, cutout: Array, pixels: Array, deep: DeepArray, background: Any) -> DeepArray:
        """Returns the result, (H, W, 4) with straight alpha or (H, W, 3), full range.

        Args:
            cutout: (H, W, 4) uint8 from the engine.
            pixels: (H, W, 3 or 4) uint8, what the engine was given.
            deep: (H, W, 3) uint16, the same frame.
            background: A color, an image (H, W, 3) uint8 or a text for a blur; ignored for a cutout.
        """
        change = cutout[..., :3].astype(np.int32) - pixels[..., :3]
        color = np.clip(deep + _FULL * change, 0, 65535)
        alpha = cutout[..., 3:]
        if self._output == "cutout":
            return np.concatenate([color.astype(np.uint16), alpha.astype(np.uint16) * np.uint16(_FULL)], axis=2)
        behind = self._behind(background, deep, alpha)
        weight = alpha.astype(np.uint32)
        return ((color.astype(np.uint32) * weight + behind * (255 - weight) + 127) // 255).astype(np.uint16)

    def _behind(self, background: Any, deep: DeepArray, alpha: Array) -> NDArray[Any]:
        if isinstance(background, str):
            if self._blur is None:
                sigma = backgrounds.parse(background, deep.shape[0], deep.shape[1], "rgb").blur_sigma
                self._blur = _Blur(deep.shape[1], deep.shape[0], sigma)
            return self._blur.blur(deep, alpha)
        if background is not self._given or self._converted is None:
            self._given = background
            shallow = np.asarray(background, np.uint8)
            if self._transfer in (PQ, HLG):
                self._converted = (from_sdr(shallow / 255, self._transfer) * 65535).round().astype(np.uint32)
            else:
                self._converted = shallow.astype(np.uint32) * _FULL
        converted: NDArray[Any] = self._converted
        return converted


class _Blur:
    """Blurs the surroundings of a subject with FFmpeg's filter gblur: a pixel counts as much as it is transparent."""

    def __init__(self, width: int, height: int, sigma: float) -> None:
        self._graph = graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(width=width, height=height, format=VideoFormat("rgba64le"), time_base=Fraction(1, 25)),
            graph.add("gblur", sigma=f"{min(sigma, 1024):g}", steps="3"),
            graph.add("format", "rgba64le"),
            graph.add("buffersink"),
        ).configure()

    def blur(self, deep: DeepArray, alpha: Array) -> NDArray[Any]:
        weight = (255 - alpha.astype(np.uint32)) * _FULL
        weighted = (deep * weight.astype(np.uint64) // 65535).astype(np.uint16)
        frame = VideoFrame.from_ndarray(np.concatenate([weighted, weight.astype(np.uint16)], axis=2), "rgba64le")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        self._graph.vpush(frame)
        blurred = self._graph.vpull().to_ndarray().astype(np.float32)
        color = blurred[..., :3] / np.maximum(blurred[..., 3:], 1) * 65535
        behind: NDArray[Any] = np.clip(color, 0, 65535).round().astype(np.uint32)
        return behind
