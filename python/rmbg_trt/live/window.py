# SPDX-License-Identifier: Apache-2.0
"""The preview: a window of OpenCV, with words on the picture and keys. Windows belong to the main thread."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
from typing import Any

from ..errors import UnavailableError
from ..image import Array
from .extras import opencv
from .look import Matted, checkerboard, gray
from .overlay import lines_of, with_words
from .sink import Show, Sink, Status

_LARGEST_WIDTH = 1280  # at first; the window can be drawn larger
_WITHOUT = "--no-preview (in Python: no Window) runs without a window"


class Window(Sink):
    """A window. Cutouts are shown on a checkerboard.

    Raises:
        UnavailableError: There is no display, or OpenCV is not installed or has no windows.
    """

    name = "preview"
    main_thread = True

    def __init__(self, title: str = "rmbg-trt") -> None:
        check_display()
        self._cv2: Any = opencv()
        _check_windows(self._cv2)
        self._title = title
        self._show: Show | None = None
        self._last: Matted | None = None

    def start(self, show: Show) -> None:
        """See `Sink.start`."""
        cv2 = self._cv2
        try:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise UnavailableError(f"a window cannot be opened ({error}); {_WITHOUT}") from error
        height, width = show.size
        scale = min(1.0, _LARGEST_WIDTH / width)
        cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
        self._show = show

    def write(self, matted: Matted) -> None:
        """See `Sink.write`."""
        self._last = matted
        self.refresh()

    def refresh(self) -> None:
        """Draws the last result again, with the words of now."""
        if self._last is None or self._show is None:
            return
        status = self._show.status()
        pixels = with_words(_picture(self._last, status), lines_of(status))
        self._cv2.imshow(self._title, self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2BGR))

    def key(self) -> str:
        """The key that was pressed, "" if none; "q" if the window was closed. This is what draws the window, too."""
        if self._show is None:
            return ""
        code = self._cv2.waitKey(1)
        if self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) < 1:
            return "q"
        return "" if code < 0 else chr(code & 0xFF)

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._show is not None:
            self._show = None
            with contextlib.suppress(self._cv2.error):  # it was closed by hand
                self._cv2.destroyWindow(self._title)
                self._cv2.waitKey(1)


def _picture(matted: Matted, status: Status) -> Array:
    if status.alpha_view and matted.alpha is not None:
        return gray(matted.alpha)
    return matted.opaque(checkerboard(*matted.frame.shape[:2]))


def check_display() -> None:
    """Finds out whether windows can be shown: where they cannot, OpenCV's own answer is to abort the program.

    Raises:
        UnavailableError: There is no display; the message says how to do without.
    """
    if not sys.platform.startswith("linux"):
        return
    display = os.environ.get("DISPLAY", "")
    if not display:
        raise UnavailableError(f"there is no display (DISPLAY is not set); {_WITHOUT}")
    match = re.fullmatch(r"(?:.*/)?([^:/]*):(\d+)(?:\.\d+)?", display)
    if match is None:
        raise UnavailableError(f"DISPLAY is {display!r}, which names no display; {_WITHOUT}")
    host, number = match[1], int(match[2])
    if not any(_answers(*address) for address in _addresses(host, number)):
        raise UnavailableError(f"the display {display} does not answer; {_WITHOUT}")


def _addresses(host: str, number: int) -> list[tuple[int, Any]]:
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        return [(socket.AF_UNIX, path), (socket.AF_UNIX, f"\0{path}")]
    return [(socket.AF_INET, (host, 6000 + number)), (socket.AF_INET6, (host, 6000 + number))]


def _answers(family: int, address: Any) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            connection.connect(address)
    except OSError:
        return False
    return True


def _check_windows(cv2: Any) -> None:
    """The headless package of OpenCV, which many others bring along, has no windows."""
    found = re.search(r"^\s*GUI:\s*(\S+)", cv2.getBuildInformation(), re.MULTILINE)
    if found is not None and found[1] == "NONE":
        raise UnavailableError(
            "this OpenCV has no windows; opencv-python-headless and opencv-python exclude each other: "
            f"pip uninstall opencv-python-headless, then pip install --force-reinstall opencv-python; or {_WITHOUT}"
        )
