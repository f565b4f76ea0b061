# SPDX-License-Identifier: Apache-2.0
"""The preview on a real X server (Xvfb), with the OpenCV that has windows, in processes of their own.

`make window-check` runs this. The folder of that OpenCV is in RMBG_WINDOW_OPENCV, because the tests' own OpenCV has no
windows, and both cannot be installed beside each other. RMBG_SCREENSHOTS is a folder to keep the screenshots in.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.live.parts import TIMEOUT_S, until
from tests.video.clips import make_clip

OPENCV = os.environ.get("RMBG_WINDOW_OPENCV", "")
MISSING = [
    what
    for what, there in (("Xvfb", shutil.which("Xvfb")), ("RMBG_WINDOW_OPENCV, which make window-check sets", OPENCV))
    if not there
]
if MISSING and os.environ.get("RMBG_FAIL_WITHOUT_WINDOW") == "1":
    pytest.fail(f"RMBG_FAIL_WITHOUT_WINDOW=1, and there is no {' and no '.join(MISSING)}", pytrace=False)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"NO WINDOW IS TESTED: there is no {' and no '.join(MISSING)}"),
]

COLOR = (0, 200, 60)  # nothing else on the screen has it


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], NDArray[np.uint8]]]:
    """Starts an X server; returns what takes a screenshot (H, W, 3)."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24", "-fbdir", str(tmp_path)]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        monkeypatch.setenv("DISPLAY", f":{pipe.readline().strip()}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([OPENCV, os.environ.get("PYTHONPATH", "")]))
    yield lambda: screenshot(tmp_path / "Xvfb_screen0")
    server.terminate()
    server.wait(TIMEOUT_S)


def screenshot(dump: Path) -> NDArray[np.uint8]:
    """Reads the X server's memory, which has the format of xwd: a header of 32-bit numbers, colours, rows of BGRX."""
    data = dump.read_bytes()
    header = struct.unpack(">25I", data[:100])
    width, height, pitch, colors = header[4], header[5], header[12], header[19]
    rows = np.frombuffer(data, np.uint8, height * pitch, header[0] + 12 * colors).reshape(height, pitch)
    return rows.reshape(height, -1, 4)[:, :width, 2::-1]


def python(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stderr=subprocess.PIPE)


@pytest.mark.parametrize("end", ["--duration", signal.SIGTERM])
def test_the_preview_shows_the_frames_and_ends(
    screen: Callable[[], NDArray[np.uint8]], end: str | signal.Signals, small_model: Path, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "a.mp4", [np.full((240, 320, 3), COLOR, np.uint8)] * 12)
    limit = ["--duration", "6"] if end == "--duration" else []
    process = python(
        "from rmbg_trt.cli import main; main()",
        *("camera", clip, "--loop", "--no-overlay", "--model", small_model),
        *("--background", "#{:02x}{:02x}{:02x}".format(*COLOR), *limit),
    )

    def share() -> float:
        near = np.abs(screen().astype(int) - COLOR).max(axis=2) <= 8
        return float(near.mean())

    until(lambda: share() > 0.15 or process.poll() is not None)
    if "RMBG_SCREENSHOTS" in os.environ:
        Image.fromarray(screen()).save(Path(os.environ["RMBG_SCREENSHOTS"]) / "camera_window.png")
    shown = share()
    if isinstance(end, signal.Signals):
        process.send_signal(end)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert shown > 0.15, errors  # 320 x 240 of 640 x 480 is a quarter
    assert process.returncode == 0, errors
    assert b"preview: " in errors


@pytest.mark.usefixtures("screen")
def test_a_window_is_refused_where_it_would_hang() -> None:
    process = python("import av; from rmbg_trt.live import Window; Window()")
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert b"PyAV was imported before OpenCV, and a window would hang" in errors
