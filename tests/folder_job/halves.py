# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rmbg_trt import FrameOptions


class Halves:
    """An engine whose alpha is 255 in the left half and 0 in the right one."""

    def __init__(self, inside: Callable[[Any], object] = lambda frame: None) -> None:
        self.inside = inside
        self.calls: list[FrameOptions] = []

    def run(self, frame: Any, *, options: FrameOptions) -> Any:
        self.calls.append(options)
        self.inside(frame)
        alpha = np.zeros(frame.shape[:2], np.uint8)
        alpha[:, : frame.shape[1] // 2] = 255
        return alpha if options.output == "alpha" else np.dstack([frame[..., :3], alpha])
