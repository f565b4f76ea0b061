# SPDX-License-Identifier: Apache-2.0
"""The static metadata of HDR clips (the mastering display and the brightest pixels), read from frames for encoders.

Sources: SMPTE ST 2086 and CTA-861.3; AVMasteringDisplayMetadata and AVContentLightMetadata of FFmpeg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.video.frame import VideoFrame


@dataclass(frozen=True)
class HdrMetadata:
    """Static metadata of an HDR clip.

    Attributes:
        display: The mastering display: x and y of red, green, blue and white, then its least and largest luminance in
            cd/m2; None if it is not stated.
        light: The brightest pixel and the brightest average of a frame, in cd/m2; None if they are not stated.
    """

    display: tuple[float, ...] | None = None
    light: tuple[int, int] | None = None

    @classmethod
    def of(cls, frame: VideoFrame) -> HdrMetadata:
        """Reads the metadata of a frame."""
        side_data: Any = frame.side_data  # typed as a dict of one key
        display, light = None, None
        if SideData.MASTERING_DISPLAY_METADATA in side_data:  # ten rationals, then what is present
            numbers = np.frombuffer(side_data[SideData.MASTERING_DISPLAY_METADATA], np.int32)
            if numbers[20] and numbers[21] and (numbers[1:20:2] > 0).all():
                display = tuple((numbers[0:20:2] / numbers[1:20:2]).tolist())
        if SideData.CONTENT_LIGHT_LEVEL in side_data:
            largest, average = np.frombuffer(side_data[SideData.CONTENT_LIGHT_LEVEL], np.uint32)[:2].tolist()
            light = largest, average
        return cls(display, light)

    def options(self, encoder: str) -> dict[str, str]:
        """The options that make an encoder write it: for libx265 and libsvtav1; none for others."""
        if encoder == "libx265":  # in units of 0.00002, and 0.0001 cd/m2
            parts = [f"master-display={self._display(50000, 10000)}"] if self.display else []
            parts += [f"max-cll={self.light[0]},{self.light[1]}"] if self.light else []
            return {"x265-params": ":".join(parts)} if parts else {}
        if encoder == "libsvtav1":
            parts = [f"mastering-display={self._display(1, 1)}"] if self.display else []
            parts += [f"content-light={self.light[0]},{self.light[1]}"] if self.light else []
            return {"svtav1-params": ":".join(parts)} if parts else {}
        return {}

    def _display(self, per_unit: int, per_nit: int) -> str:
        assert self.display is not None
        red, green, blue, white = (self.display[index : index + 2] for index in range(0, 8, 2))
        darkest, brightest = self.display[8:]

        def pair(values: tuple[float, ...], scale: int) -> str:
            return "(" + ",".join(f"{value * scale:.0f}" if scale > 1 else f"{value:.5f}" for value in values) + ")"

        points = "".join(
            name + pair(at, per_unit) for name, at in (("G", green), ("B", blue), ("R", red), ("WP", white))
        )
        return points + "L" + pair((brightest, darkest), per_nit)
