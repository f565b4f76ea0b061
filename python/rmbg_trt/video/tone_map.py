# SPDX-License-Identifier: Apache-2.0
"""Converts HDR frames (PQ, HLG) to SDR, through a three-dimensional table that FFmpeg applies; and SDR colors to HDR.

Sources: Recommendation ITU-R BT.2100 for PQ, HLG and its system gamma; Report ITU-R BT.2390, section 5.4, for the curve
that compresses highlights; Report ITU-R BT.2408 for the white of 203 cd/m2; BT.2087 for the primaries; BT.1886.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import av.filter
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from .hdr_metadata import HdrMetadata

Floats = NDArray[np.float64]

PQ, HLG = 16, 18  # transfers of H.273
SWSCALE_WHITE = 65280  # what swscale makes of white in YUV in RGB of 16 bits, and takes for it
_TABLE_SIZE = 65
_WHITE_NITS = 203.0  # becomes the white of SDR
_HLG_PEAK_NITS, _DEFAULT_PEAK_NITS = 1000.0, 1000.0
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


def pq_to_nits(code: Floats) -> Floats:
    """PQ code values 0..1 as cd/m2, 0..10000."""
    root = np.clip(code, 0, 1) ** (1 / _M2)
    return np.asarray(10000 * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1))


def nits_to_pq(nits: Floats) -> Floats:
    """The inverse of `pq_to_nits`."""
    power = (np.clip(nits, 0, 10000) / 10000) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def hlg_to_nits(code: Floats) -> Floats:
    """HLG code values (..., 3), 0..1, as cd/m2 of a display with a peak of 1000 cd/m2."""
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - _HLG_C) / _HLG_A) + _HLG_B) / 12)
    luma = (scene @ _LUMA_2020)[..., None]
    return np.asarray(_HLG_PEAK_NITS * np.maximum(luma, 1e-9) ** 0.2 * scene)


def compressed(nits: Floats, peak_nits: float) -> Floats:
    """Maps 0..``peak_nits`` to 0..203: equal up to a knee, then smoothly less (the EETF of BT.2390)."""
    top = nits_to_pq(np.array(peak_nits))
    largest = nits_to_pq(np.array(_WHITE_NITS)) / top
    knee = 1.5 * largest - 0.5
    level = np.minimum(nits_to_pq(nits) / top, 1)
    t = np.maximum(level - knee, 0) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * largest
    return pq_to_nits(np.where(level < knee, level, curve) * top)


def to_sdr(code: Floats, transfer: int, peak_nits: float) -> Floats:
    """HDR code values (..., 3), R'G'B' with BT.2020 primaries, 0..1, as SDR code values with those of BT.709, 0..1.

    The largest of the three channels is compressed, and the others with it, so that hues stay.
    """
    nits = pq_to_nits(code) if transfer == PQ else hlg_to_nits(code)
    largest = nits.max(axis=-1, keepdims=True)
    mapped = nits * compressed(largest, max(peak_nits, 1.01 * _WHITE_NITS)) / np.maximum(largest, 1e-6)
    linear = np.clip(mapped / _WHITE_NITS @ _TO_709.T, 0, 1)
    return np.asarray(linear ** (1 / 2.4))


def from_sdr(code: Floats, transfer: int) -> Floats:
    """SDR code values (..., 3) with BT.709 primaries as HDR ones, with a white of 203 cd/m2."""
    nits = _WHITE_NITS * np.maximum(code**2.4 @ np.linalg.inv(_TO_709).T, 0)
    if transfer == PQ:
        return nits_to_pq(nits)
    luma = np.maximum((nits @ _LUMA_2020)[..., None] / _HLG_PEAK_NITS, 1e-9)
    scene = nits / _HLG_PEAK_NITS / luma ** (0.2 / 1.2)
    high = _HLG_A * np.log(np.maximum(12 * scene - _HLG_B, 1e-9)) + _HLG_C
    return np.clip(np.where(scene <= 1 / 12, np.sqrt(3 * scene), high), 0, 1)


def peak_of(frame: VideoFrame) -> float:
    """The brightest pixel of an HDR clip in cd/m2: what a frame's metadata say, else 1000."""
    if frame.color_trc == HLG:
        return _HLG_PEAK_NITS
    metadata = HdrMetadata.of(frame)
    peak = float(metadata.light[0]) if metadata.light else 0.0
    peak = peak or (metadata.display[-1] if metadata.display else 0.0)
    return float(np.clip(peak, 2 * _WHITE_NITS, 10000)) if peak else _DEFAULT_PEAK_NITS


class ToneMapper:
    """Converts frames that swscale made from YUV: RGB of 16 bits a channel, with or without alpha. Use one per stream.

    Args:
        transfer: `PQ` or `HLG`.
        peak_nits: As from `peak_of`.
    """

    def __init__(self, transfer: int, peak_nits: float) -> None:
        steps = np.minimum(np.linspace(0, 65535 / SWSCALE_WHITE, _TABLE_SIZE), 1)
        blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red changes fastest
        table = to_sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer, peak_nits)
        self._lines = f"LUT_3D_SIZE {_TABLE_SIZE}\n" + "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table)
        self._size = (0, 0)
        self._graph: Any = None

    def map(self, frame: VideoFrame) -> VideoFrame:
        """Converts a frame in the format rgb48le or rgba64le, full range."""
        if self._size != (frame.width, frame.height):
            self._open(frame)
        self._graph.vpush(frame)
        mapped: VideoFrame = self._graph.vpull()
        return mapped

    def _open(self, frame: VideoFrame) -> None:
        self._size = frame.width, frame.height
        self._graph = graph = av.filter.Graph()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "table.cube")
            path.write_text(self._lines, encoding="ascii")
            graph.link_nodes(
                graph.add_buffer(
                    width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
                ),
                graph.add("lut3d", file=str(path), interp="tetrahedral"),
                graph.add("buffersink"),
            ).configure()
