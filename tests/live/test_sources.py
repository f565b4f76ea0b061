# SPDX-License-Identifier: Apache-2.0
"""Sources: files in real time, streams over HTTP from this machine, and OpenCV's cameras (a fake)."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from tests.live.http_server import Server
from tests.live.parts import TIMEOUT_S, CollectingSink, GatedSource, LiveRun, SlowMatter
from tests.video.clips import make_clip, smooth

from rmbg_trt.errors import Error, InputError, UnavailableError
from rmbg_trt.install import install_command
from rmbg_trt.live import Camera, Clip, LiveMatter, LiveOptions, Stream, capture, source_of

NEVER = threading.Event()


def opaque(frame: Any) -> Any:
    return np.full(frame.shape[:2], 255, np.uint8)


def frames_of(source: Any) -> list[Any]:
    source.open()
    frames = [read_pixels() for read_pixels in iter(lambda: source.read(NEVER), None)]
    source.close()
    return frames


def test_source_of_accepts_cameras_urls_and_files(tmp_path: Path, fake_cv2: ModuleType) -> None:
    clip = make_clip(tmp_path / "7.mp4", 2)
    assert isinstance(source_of(clip), Clip)
    for camera in (0, "1", "/dev/video2"):
        assert isinstance(source_of(camera), Camera)
    for url in ("rtsp://host/live", "HTTP://host/a.mjpeg", "udp://@239.0.0.1:5000"):
        assert isinstance(source_of(url), Stream)
    with pytest.raises(InputError, match="does not exist; expected a file, a camera number"):
        source_of("nothing.mp4")
    with pytest.raises(InputError, match="is a folder"):
        source_of(tmp_path)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_file_plays_in_real_time(tmp_path: Path) -> None:
    pts = [0, 2, 3, 10, 12, 20]  # hundredths of a second: a variable rate
    clip = Clip(make_clip(tmp_path / "a.mkv", 6, rate=100, pts=pts))
    begin = time.monotonic()
    clip.open()
    came = []
    while clip.read(NEVER) is not None:
        came.append(time.monotonic() - begin)
    clip.close()
    assert (np.array(came) >= np.divide(pts, 100)).all()


class Clock:
    """Replaces `time` and the stop event: it advances when somebody waits, or when the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False

    def is_set(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("late_s", "expected"),
    [
        (0.0, [0, 2, 3, 10, 12, 20]),
        (0.2, [0, 2, 3, 23, 23, 23]),  # a short delay is caught up
        (2.0, [0, 2, 3, 203, 205, 213]),  # a long one is not
    ],
)
def test_pacing_of_a_file(late_s: float, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Any = Clock()
    monkeypatch.setattr("rmbg_trt.live.pacer.time", clock)
    clip = Clip(make_clip(tmp_path / "a.mkv", 6, rate=100, pts=[0, 2, 3, 10, 12, 20]))
    clip.open()
    came = []
    for number in range(6):
        clock.now += late_s * (number == 3)
        assert clip.read(clock) is not None
        came.append(clock.now - 100)
    clip.close()
    assert came == pytest.approx(np.divide(expected, 100))


def test_frames_are_upright_rgb(tmp_path: Path) -> None:
    turned = make_clip(tmp_path / "a.mp4", [smooth(0, 48, 64)], rotation=90)
    assert [frame.shape for frame in frames_of(Clip(turned))] == [(64, 48, 3)]
    straight = make_clip(tmp_path / "b.mp4", [smooth(3, 48, 64)])
    assert np.abs(frames_of(Clip(straight))[0].astype(int) - smooth(3, 48, 64)).max() <= 3
    rgba = make_clip(tmp_path / "c.mkv", [smooth(1, 47, 63)], codec="ffv1", pixel_format="bgra")
    (odd,) = frames_of(Clip(rgba))
    assert odd.shape == (47, 63, 3)
    assert (odd == smooth(1, 47, 63)).all()


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def cut_off(path: Path) -> Path:
    data = make_clip(path, 10).read_bytes()
    path.write_bytes(data[: len(data) // 3])
    return path


def no_frames(path: Path) -> Path:
    """A valid header, and zeros where the frames should be."""
    data = make_clip(path, 3).read_bytes()
    begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    path.write_bytes(data[:begin] + bytes(end - begin) + data[end:])
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (sound_only, "contains no video, only audio"),
        (cut_off, "cannot be read as a video"),
        (no_frames, "has no frame that can be decoded"),
        (lambda path: path.write_text("words") and path, "cannot be read as a video"),
    ],
)
def test_bad_files_are_refused(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    kept = CollectingSink()
    with pytest.raises(Error, match=message):
        LiveMatter(Clip(make(tmp_path / "a.mp4")), SlowMatter(alpha=opaque), [kept], LiveOptions(loop=True)).run()
    assert kept.matted == []
    assert kept.finished == 1


def test_a_file_whose_frame_size_changes(tmp_path: Path) -> None:
    parts = [make_clip(tmp_path / f"{side}.ts", [smooth(0, side, 64)] * 6, rate=50) for side in (48, 32)]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    kept, messages, matter = CollectingSink(), list[str](), SlowMatter(alpha=opaque)
    source = GatedSource(Clip(both), lambda number: matter.finished >= number)
    LiveMatter(source, matter, [kept], on_message=messages.append).run()
    assert {each.result.shape for each in kept.matted} == {(48, 64, 4)}
    assert len(kept.matted) == 12
    assert "changed from 64x48 to 64x32" in messages[0]


# ---- streams ---------------------------------------------------------------------------------------------------------


def test_motion_jpeg_is_reopened_when_the_server_ends_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_RETRY_S", 0.05)
    server.frames = 10
    kept = CollectingSink()
    matter = SlowMatter(alpha=opaque)
    run = LiveRun(Stream(server.url("/live"), timeout_s=TIMEOUT_S), matter, kept, reconnect=5)
    run.until(lambda: run.live.report().reconnects >= 1 and matter.resets and matter.finished > matter.resets[0])
    run.end()
    assert server.visits >= 2
    assert kept.matted[0].frame.shape == (48, 64, 3)
    assert "secret" not in " ".join(run.messages)
    assert "127.0.0.1" in run.messages[0]


def test_a_recording_over_http_plays_in_real_time_and_ends(server: Server, tmp_path: Path) -> None:
    server.file = make_clip(tmp_path / "a.mkv", 20, rate=50).read_bytes()
    stream = Stream(server.url("/file.mkv"), timeout_s=TIMEOUT_S)
    begin = time.monotonic()
    assert len(frames_of(stream)) == 20
    assert time.monotonic() - begin >= 19 / 50
    assert not stream.live


def test_a_stream_that_cannot_be_opened(server: Server) -> None:
    for url in (server.url("/nothing"), "rtsp://127.0.0.1:9/live", "http://127.0.0.1:9/a"):
        begin = time.monotonic()
        with pytest.raises(Error, match=r"cannot be opened \(.+\); check the address") as caught:
            LiveMatter(Stream(url), SlowMatter(), []).run()
        assert "secret" not in str(caught.value)
        assert time.monotonic() - begin < TIMEOUT_S


def test_a_silent_server_times_out(server: Server) -> None:
    server.frames, server.silent = 8, True
    stream = Stream(server.url("/live"), timeout_s=0.3)
    stream.open()
    last = time.monotonic()

    def read_all() -> None:
        nonlocal last
        while stream.read(NEVER) is not None:
            last = time.monotonic()

    with pytest.raises(Error):
        read_all()
    assert time.monotonic() - last < 4.5  # not the default of 5 s
    stream.close()


def test_a_stream_without_video_is_refused(server: Server, tmp_path: Path) -> None:
    server.file = sound_only(tmp_path / "a.mp4").read_bytes()
    with pytest.raises(InputError, match="has no video stream"):
        Stream(server.url("/file.mp4")).open()


# ---- cameras ---------------------------------------------------------------------------------------------------------


def test_a_camera(fake_cv2: Any) -> None:
    camera = source_of(3, width=1280, height=720, fps=60)
    camera.open()
    (capture_,) = fake_cv2.captures
    assert capture_.device == 3
    assert capture_.properties == {"width": 1280, "height": 720, "fps": 60, "buffer": 1}
    read_pixels = camera.read(NEVER)
    assert read_pixels is not None
    assert read_pixels()[0, 0].tolist() == [3, 2, 1]  # OpenCV gives (1, 2, 3)
    assert (camera.name, camera.live, camera.rate) == ("camera 3", True, 60)
    capture_.gone = True
    assert camera.read(NEVER) is None
    camera.close()
    camera.close()
    assert capture_.released


def test_a_camera_that_cannot_be_opened(fake_cv2: Any) -> None:
    fake_cv2.present = False
    with pytest.raises(Error, match=r"^camera 0 cannot be opened; "):
        LiveMatter(source_of(0), SlowMatter(), []).run()


def test_a_camera_that_is_unplugged_and_plugged_in_again(fake_cv2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_RETRY_S", 0.02)
    kept = CollectingSink()
    run = LiveRun(source_of(0), SlowMatter(alpha=opaque), kept)
    run.until(lambda: len(kept.matted) > 3)
    fake_cv2.present = False
    fake_cv2.captures[0].gone = True
    run.until(lambda: run.live.status().notes[:1] == ("reconnecting",))
    count = len(kept.matted)
    fake_cv2.present = True
    run.until(lambda: len(kept.matted) > count + 3)
    assert run.end().reconnects == 1


def test_opencv_is_imported_before_pyav(in_python: Callable[..., str]) -> None:
    pytest.importorskip("cv2")
    script = "import sys, rmbg_trt.live; order = list(sys.modules); print(order.index('cv2') < order.index('av'))"
    assert in_python(script) == "True"


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UnavailableError, match=r"OpenCV is not installed: " + re.escape(install_command("camera"))):
        source_of(0)


def test_the_real_opencv_reads_bgr_frames(tmp_path: Path) -> None:
    """With a file in place of a camera, as there is none here."""
    clip = make_clip(tmp_path / "a.avi", [smooth(n) for n in range(3)], codec="mpeg4", options={"qscale": "1"})
    frames = frames_of(Camera(str(clip)))
    assert len(frames) == 3
    assert np.abs(frames[0].astype(int) - smooth(0)).mean() < 6
    with pytest.raises(Error, match="cannot be opened"):
        Camera(str(tmp_path / "none.avi")).open()
