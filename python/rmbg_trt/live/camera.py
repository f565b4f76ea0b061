# SPDX-License-Identifier: Apache-2.0
"""A camera of this machine, read with OpenCV.

OpenCV numbers cameras alike on Linux, Windows and macOS; PyAV's packages are built without any camera input.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

from ..errors import Error
from .extras import opencv
from .sources import Picture

log = logging.getLogger(__name__)


class Camera:
    """A camera. What is asked for is a wish: drivers give the nearest mode that they have.

    Args:
        device: Its number, or its path (``/dev/video2``).
        width: To ask for, in pixels.
        height: To ask for, in pixels.
        fps: To ask for, in frames a second.

    Raises:
        UnavailableError: OpenCV is not installed.
    """

    live = True

    def __init__(
        self, device: int | str = 0, *, width: int | None = None, height: int | None = None, fps: float | None = None
    ) -> None:
        self.name = f"camera {device}" if isinstance(device, int) else device
        self._device = device
        self._cv2 = opencv()
        self._wishes = {
            self._cv2.CAP_PROP_FRAME_WIDTH: width,
            self._cv2.CAP_PROP_FRAME_HEIGHT: height,
            self._cv2.CAP_PROP_FPS: fps,
        }
        self._capture: Any = None

    def open(self) -> None:
        """See `LiveSource.open`."""
        capture = self._cv2.VideoCapture(self._device)
        if not capture.isOpened():
            raise Error(f"{self.name} cannot be opened; {_advice(self._device)}")
        capture.set(self._cv2.CAP_PROP_BUFFERSIZE, 1)  # frames that wait in the driver would be old; a few obey
        for which, wish in self._wishes.items():
            if wish is not None:
                capture.set(which, wish)
        self._capture = capture
        log.info("%s: %s", self.name, capture.getBackendName())

    def read(self, stop: threading.Event) -> Picture | None:
        """See `LiveSource.read`."""
        ok, pixels = self._capture.read()
        if not ok or pixels is None or pixels.size == 0:
            return None
        code = self._cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else self._cv2.COLOR_BGR2RGB
        return lambda: self._cv2.cvtColor(pixels, code)

    def close(self) -> None:
        """See `LiveSource.close`."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    @property
    def rate(self) -> float:
        """See `LiveSource.rate`."""
        rate = float(self._capture.get(self._cv2.CAP_PROP_FPS)) if self._capture is not None else 0.0
        return rate if 1 <= rate <= 1000 else 30.0


def _advice(device: int | str) -> str:
    if sys.platform.startswith("linux"):
        return (
            "see 'v4l2-ctl --list-devices' for what there is; another program may be using it, or this user may not "
            "(group 'video')"
        )
    if sys.platform == "darwin":
        return "allow this terminal to use the camera in System Settings > Privacy, or try another number"
    return f"another program may be using it, or try another number than {device}"
