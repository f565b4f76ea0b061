# SPDX-License-Identifier: Apache-2.0
"""The window, over a stand-in for OpenCV: what it shows, its keys, displays, and text on the frame."""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any

import numpy as np
import pytest
from tests.live.parts import (
    BLOCK,
    HEIGHT,
    TIMEOUT_S,
    WIDTH,
    CollectingSink,
    LiveRun,
    NumberedSource,
    SlowMatter,
    both_numbers,
    until,
)

from rmbg_trt.errors import UnavailableError
from rmbg_trt.live import LiveMatter, LiveOptions, Status, Window
from rmbg_trt.live.stats import LatencySummary
from rmbg_trt.live.window import KEYS, action_of, draw_text, overlay_lines

STATUS = Status(12.34, LatencySummary(9, 80.4, 95.6, 120.0), 7)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmbg_trt.live.window.check_display", lambda: None)


def test_the_window_shows_results_and_handles_keys(fake_cv2: Any, display: None) -> None:
    window, kept = Window(), CollectingSink()
    live = LiveMatter(NumberedSource(100), SlowMatter(), [window, kept], LiveOptions(overlay=False))
    steps: list[tuple[str, Any]] = []

    def press() -> None:
        for key, name in (("m", "mirror"), ("O", "overlay"), ("a", "alpha_view"), ("h", "help"), (" ", "paused")):
            until(lambda: fake_cv2.keys == "" and len(fake_cv2.shown) > 3)
            fake_cv2.keys = key
            until(lambda name=name: getattr(live.switches, name))
            steps.append((key, threading.current_thread()))
        count = len(fake_cv2.shown)
        fake_cv2.keys = "xho"  # the text still changes while it is paused
        until(lambda: fake_cv2.keys == "" and len(fake_cv2.shown) > count + 1)
        fake_cv2.keys = "\x1b"
        until(lambda: fake_cv2.destroyed)

    presser = threading.Thread(target=press, daemon=True)
    presser.start()
    live.run(seconds=2 * TIMEOUT_S)
    presser.join(TIMEOUT_S)
    assert not presser.is_alive()
    assert len(steps) == 5
    assert (fake_cv2.window, fake_cv2.destroyed) == (None, 1)
    first = both_numbers(np.dstack([fake_cv2.shown[0], np.zeros(fake_cv2.shown[0].shape[:2], np.uint8)]))
    assert first[0] in kept.numbers
    assert (fake_cv2.shown[0][BLOCK:, -BLOCK:] != 255).any()  # the checkerboard, as no number is that large
    assert fake_cv2.window_size == (WIDTH, HEIGHT)


def test_closing_the_window_ends_the_run(fake_cv2: Any, display: None) -> None:
    run = LiveRun(NumberedSource(100), SlowMatter(), Window())
    run.until(lambda: len(fake_cv2.shown) > 3)
    fake_cv2.close_by_hand()
    assert run.result().errors == []


def test_every_key_has_an_action() -> None:
    for key in KEYS:
        assert callable(getattr(LiveMatter, key.action))
        assert [action_of(character) for character in key.characters] == [key.action] * len(key.characters)
    assert (action_of("R"), action_of("x"), action_of("")) == ("toggle_recording", None, None)
    characters = "".join(key.characters for key in KEYS)
    assert len(set(characters)) == len(characters)


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux checks for a display")


@linux
@pytest.mark.parametrize(
    ("display_", "message"),
    [(None, "there is no display"), (":9731", "does not respond"), ("nonsense", "not a valid display")],
)
def test_no_display(display_: str | None, message: str, fake_cv2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if display_ is not None:
        monkeypatch.setenv("DISPLAY", display_)
    with pytest.raises(UnavailableError, match=f"{message}.*--no-preview"):
        Window()


@linux
def test_a_display_that_responds(fake_cv2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0/tmp/.X11-unix/X9732")
        server.listen()
        for name in (":9732", ":9732.0", "unix:9732"):
            monkeypatch.setenv("DISPLAY", name)
            Window()


def test_headless_opencv_is_refused(fake_cv2: Any, display: None) -> None:
    fake_cv2.gui = "NONE"
    with pytest.raises(UnavailableError, match=r"this OpenCV cannot open windows; .*--no-preview"):
        Window()


# ---- text on the frame -----------------------------------------------------------------------------------------------


def test_overlay_lines() -> None:
    assert overlay_lines(STATUS) == ["12.3 fps   latency 80 ms, p95 96 ms   dropped 7"]
    with_help = Status(1, LatencySummary(), 0, ("paused",), overlay=True, help=True)
    assert overlay_lines(with_help)[1:3] == ["paused", "q, Esc  quit"]
    assert overlay_lines(Status(1, LatencySummary(), 0, ("paused",), overlay=False)) == []


@pytest.mark.parametrize("size", [(720, 1280), (31, 47), (5, 3)])
def test_text_is_drawn_on_a_copy_and_only_at_the_top_left(size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 90, np.uint8)
    drawn = draw_text(pixels, ["12.3 fps", "more"])
    assert (pixels == 90).all()
    assert drawn.shape == pixels.shape
    assert (drawn != 90).any()
    if size[0] == 720:
        assert (drawn[:100, :300] > 200).any()
        assert (drawn[200:] == 90).all()
    assert draw_text(pixels, []) is pixels
