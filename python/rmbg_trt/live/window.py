# SPDX-License-Identifier: Apache-2.0
"""The preview window (OpenCV): its keys, and the statistics and help drawn on the frame. It needs the main thread."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..errors import UnavailableError
from ..image import Array
from .display import HINT, check_display, check_opencv
from .extras import opencv
from .matted_frame import MattedFrame, checkerboard, gray
from .sink import Sink, StreamInfo
from .stats import Status

_INITIAL_WIDTH = 1280  # at most; the user can enlarge the window


@dataclass(frozen=True)
class Key:
    """A key of the window.

    Attributes:
        characters: Characters that trigger it.
        label: Its name in the help.
        action: The method of `LiveMatter` that it calls.
        description: Its description in the help.
    """

    characters: str
    label: str
    action: str
    description: str


KEYS = (
    Key("q\x1b", "q, Esc", "stop", "quit"),
    Key(" ", "space", "toggle_pause", "pause"),
    Key("m", "m", "toggle_mirror", "mirror"),
    Key("b", "b", "next_background", "next background"),
    Key("a", "a", "toggle_alpha_view", "show the alpha"),
    Key("o", "o", "toggle_overlay", "show statistics"),
    Key("r", "r", "toggle_recording", "start or stop recording"),
    Key("s", "s", "snapshot", "save a snapshot"),
    Key("h", "h", "toggle_help", "show these keys"),
)


def action_of(character: str) -> str | None:
    """Return the method of `LiveMatter` for a key, in either case; None if the key has none."""
    return next((key.action for key in KEYS if character.lower() in key.characters), None) if character else None


class Window(Sink):
    """A preview window. Cutouts are shown on a checkerboard.

    Raises:
        UnavailableError: There is no display, or OpenCV is not installed or cannot open windows here.
    """

    name = "preview"
    main_thread = True

    def __init__(self, title: str = "rmbg-trt") -> None:
        check_display()
        self._cv2: Any = opencv()
        check_opencv(self._cv2)
        self._title = title
        self._info: StreamInfo | None = None
        self._last: MattedFrame | None = None

    def start(self, info: StreamInfo) -> None:
        """See `Sink.start`."""
        cv2 = self._cv2
        try:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise UnavailableError(f"a window cannot be opened ({error}); {HINT}") from error
        height, width = info.size
        scale = min(1.0, _INITIAL_WIDTH / width)
        cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
        self._info = info

    def write(self, matted: MattedFrame) -> None:
        """See `Sink.write`."""
        self._last = matted
        self.refresh()

    def refresh(self) -> None:
        """See `Sink.refresh`; the overlay is updated."""
        if self._last is None or self._info is None:
            return
        status = self._info.status()
        pixels = draw_text(_pixels(self._last, status), overlay_lines(status))
        self._cv2.imshow(self._title, self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2BGR))

    def key(self) -> str:
        """See `Sink.key`; "q" if the window was closed. OpenCV draws the window during this call."""
        if self._info is None:
            return ""
        code = self._cv2.waitKey(1)
        if self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) < 1:
            return "q"
        return "" if code < 0 else chr(code & 0xFF)

    def finish(self) -> None:
        """See `Sink.finish`."""
        if self._info is not None:
            self._info = None
            with contextlib.suppress(self._cv2.error):  # the user closed it
                self._cv2.destroyWindow(self._title)
                self._cv2.waitKey(1)


def _pixels(matted: MattedFrame, status: Status) -> Array:
    if status.alpha_view and matted.alpha is not None:
        return gray(matted.alpha)
    return matted.opaque(checkerboard(*matted.frame.shape[:2]))


def overlay_lines(status: Status) -> list[str]:
    """The text to draw on the frame."""
    lines = []
    if status.overlay:
        latency = status.latency
        lines.append(
            f"{status.fps:.1f} fps   latency {latency.p50_ms:.0f} ms, p95 {latency.p95_ms:.0f} ms   "
            f"dropped {status.dropped}"
        )
    lines += status.notes if status.overlay or status.help else ()
    return lines + ([f"{key.label}  {key.description}" for key in KEYS] if status.help else [])


def draw_text(pixels: Array, lines: Sequence[str]) -> Array:
    """Draw lines of text at the top left of a copy of (H, W, 3), on a darkened area. No lines: returns ``pixels``."""
    if not lines:
        return pixels
    height, width = pixels.shape[:2]
    size = max(11, min(height, width) // 30)
    font, margin = _font(size), size // 2
    line_height = size + size // 3
    text_width = max(int(font.getlength(line)) for line in lines)
    bottom, right = min(height, 2 * margin + line_height * len(lines)), min(width, 2 * margin + text_width)
    drawn: Array = pixels.copy()
    area = Image.fromarray(np.ascontiguousarray(drawn[:bottom, :right]) // 3)
    draw = ImageDraw.Draw(area)
    for row, line in enumerate(lines):
        draw.text((margin, margin + row * line_height), line, font=font, fill=(255, 255, 255))
    drawn[:bottom, :right] = np.asarray(area)
    return drawn


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
