# SPDX-License-Identifier: Apache-2.0
"""Results as a camera that other programs (meetings, OBS) can choose, by pyvirtualcam."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..errors import UnavailableError
from .extras import virtual_cameras
from .look import GREEN, Matted
from .sink import Show, Sink


class VirtualCamera(Sink):
    """A virtual camera. It is opaque: cutouts are put over green, for a program that keys.

    Args:
        device: Its name, or its path on Linux; None: the first that there is.

    Raises:
        UnavailableError: pyvirtualcam is not installed.
    """

    name = "virtual camera"

    def __init__(self, device: str | None = None) -> None:
        self._package = virtual_cameras()
        self._device = device
        self._camera: Any = None

    def start(self, show: Show) -> None:
        """See `Sink.start`."""
        height, width = (side + side % 2 for side in show.size)  # backends have no odd sides
        try:
            self._camera = self._package.Camera(width=width, height=height, fps=show.rate, device=self._device)
        except RuntimeError as error:
            raise UnavailableError(
                f"no virtual camera ({error}); {_ADVICE.get(sys.platform, _ADVICE['linux'])}"
            ) from error

    def write(self, matted: Matted) -> None:
        """See `Sink.write`."""
        pixels = matted.opaque(GREEN)
        height, width = pixels.shape[:2]
        if height % 2 or width % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._camera.send(np.ascontiguousarray(pixels))

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None


_ADVICE = {
    "linux": "install v4l2loopback and load it: sudo modprobe v4l2loopback exclusive_caps=1 card_label=rmbg-trt",
    "darwin": "install OBS, start its virtual camera once, and stop it again",
    "win32": "install OBS, which brings one",
}
