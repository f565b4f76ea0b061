# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N801, N802, N818 (the names are those of OpenCV)
"""What tests of live matting share: quick retries, an HTTP server, and a fake OpenCV with a camera and windows."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.live.http_server import Server, serving
from tests.live.parts import our_threads

from rmbg_trt.live import capture


@pytest.fixture(autouse=True)
def quick_retries_and_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(capture, "_FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(capture, "_LONGEST_RETRY_S", 0.04)
    yield
    assert list(our_threads()) == []


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as http_server:
        yield http_server


class FakeCapture:
    def __init__(self, cv2: FakeCv2, device: Any) -> None:
        self.cv2, self.device = cv2, device
        self.properties: dict[str, float] = {}
        self.gone = self.released = False
        cv2.captures.append(self)

    def isOpened(self) -> bool:
        return self.cv2.present

    def set(self, which: str, value: float) -> bool:
        self.properties[which] = value
        return True

    def get(self, which: str) -> float:
        return self.properties.get(which, 0.0)

    def getBackendName(self) -> str:
        return "FAKE"

    def read(self) -> tuple[bool, Any]:
        time.sleep(0.01)
        if self.gone:
            return False, None
        return True, np.full((24, 32, 3), (1, 2, 3), np.uint8)

    def release(self) -> None:
        self.released = True


class FakeCv2:
    CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT, CAP_PROP_FPS, CAP_PROP_BUFFERSIZE = "width", "height", "fps", "buffer"
    COLOR_BGR2RGB = COLOR_RGB2BGR = "swap"
    COLOR_GRAY2RGB = "gray"
    WINDOW_NORMAL, WINDOW_KEEPRATIO, WINDOW_GUI_NORMAL, WND_PROP_VISIBLE = 0, 0, 16, 4

    class error(Exception):
        pass

    def __init__(self) -> None:
        self.present = True
        self.captures: list[FakeCapture] = []
        self.gui = "QT5"
        self.window: str | None = None
        self.closed_by_hand = False
        self.window_size = (0, 0)
        self.shown: list[Any] = []
        self.keys = ""
        self.destroyed = 0

    def VideoCapture(self, device: Any) -> FakeCapture:
        return FakeCapture(self, device)

    def cvtColor(self, pixels: Any, code: str) -> Any:
        assert code == "swap"
        return np.ascontiguousarray(pixels[..., ::-1])

    def getBuildInformation(self) -> str:
        return f"\n  Media I/O:\n  GUI:                           {self.gui}\n"

    def namedWindow(self, title: str, flags: int) -> None:
        self.window = title

    def resizeWindow(self, title: str, width: int, height: int) -> None:
        self.window_size = width, height

    def imshow(self, title: str, pixels: Any) -> None:
        assert title == self.window or self.closed_by_hand
        self.shown.append(pixels)

    def waitKey(self, delay: int) -> int:
        assert delay == 1  # 0 would wait forever
        if not self.keys:  # without writing to it, or a key pressed right now would be lost
            return -1
        key, self.keys = self.keys[:1], self.keys[1:]
        return ord(key)

    def close_by_hand(self) -> None:
        self.closed_by_hand = True
        self.window = None

    def getWindowProperty(self, title: str, which: int) -> float:
        return 1.0 if self.window == title else -1.0

    def destroyWindow(self, title: str) -> None:
        if self.window != title:
            raise self.error("NULL window")
        self.window = None
        self.destroyed += 1


@pytest.fixture
def fake_cv2(monkeypatch: pytest.MonkeyPatch) -> Any:
    cv2 = FakeCv2()
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    return cv2
