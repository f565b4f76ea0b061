# SPDX-License-Identifier: Apache-2.0
"""A window that never returns: the command ends all the same, and recordings are complete."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.live.parts import TIMEOUT_S, until
from tests.video.clips import make_clip, pictures

from rmbg_trt.live import WindowWatchdog

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="Windows sends signals through consoles")]

# `namedWindow` or `waitKey` waits for a lock that it holds itself, outside Python: signal handlers never run.
HANGS = """
import ctypes, sys
from tests.live.conftest import FakeCv2
from rmbg_trt.live import watchdog, window

def hang(*_):
    lock, libc = ctypes.create_string_buffer(128), ctypes.CDLL(None)
    libc.pthread_mutex_lock(lock)
    libc.pthread_mutex_lock(lock)

cv2 = FakeCv2()
setattr(cv2, sys.argv.pop(1), hang)
sys.modules["cv2"] = cv2
window.check_display = lambda: None
limits = watchdog.WindowWatchdog.__init__.__kwdefaults__
limits.update(start_limit_s=float(sys.argv.pop(1)), end_limit_s=0.5)
from rmbg_trt.cli import main
main()
"""


def started(call: str, start_limit_s: float, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", HANGS, call, start_limit_s, "camera", *arguments]
    return subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    ("call", "start_limit_s", "arguments"),
    [("namedWindow", 1.0, []), ("namedWindow", 1e6, ["--duration", "1"]), ("destroyWindow", 1e6, ["--duration", "2"])],
)
def test_a_window_that_hangs_ends_the_command(
    call: str, start_limit_s: float, arguments: list[str], small_model: Path, tmp_path: Path
) -> None:
    clip, target = make_clip(tmp_path / "a.mp4", 12), tmp_path / "out" / "o.mov"
    process = started(call, start_limit_s, clip, "--loop", "--record", target, "--model", small_model, *arguments)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, errors
    assert b"the window does not respond; --no-preview" in errors
    recorded = re.search(rb"o.mov: (\d+) frames", errors.replace(b"\n", b" "))
    assert recorded is not None, errors
    assert len(pictures(target)) == int(recorded[1]) > 0
    assert [path.name for path in target.parent.iterdir()] == ["o.mov"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_command_whose_window_hangs(number: signal.Signals, small_model: Path, tmp_path: Path) -> None:
    clip, out = make_clip(tmp_path / "a.mp4", 12), tmp_path / "out"
    process = started("waitKey", 1e6, clip, "--loop", "--record", out / "o.mov", "--model", small_model)
    until(lambda: list(out.glob(".rmbg-*.part.mov")) or process.poll() is not None)
    time.sleep(0.2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, errors
    assert [path.name for path in out.iterdir()] == ["o.mov"]


def test_a_window_that_works_is_left_alone() -> None:
    live: Any = SimpleNamespace(window_busy_since=None, window_shown=True, ending=False)
    hung = threading.Event()
    live.finish_without_windows = lambda: None
    previous = signal.set_wakeup_fd(-1)
    with WindowWatchdog(live, hung.set, seconds=0.0, start_limit_s=0.0, end_limit_s=0.0):
        time.sleep(0.6)  # over its limit, but not in a call of a window
        assert not hung.is_set()
        live.window_busy_since = time.monotonic()
        assert hung.wait(TIMEOUT_S)
    assert signal.set_wakeup_fd(previous) == -1
