# SPDX-License-Identifier: Apache-2.0
"""Where frames come from: files in real time, streams over HTTP from this machine, and OpenCV's cameras (a fake)."""

from __future__ import annotations

import http.server
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from tests.live.parts import TIMEOUT_S, Kept, Patient, Running, SlowMatter
from tests.video.clips import make_clip, smooth

from rmbg_trt.errors import Error, InputError, UnavailableError
from rmbg_trt.live import Camera, Clip, LiveMatter, LiveOptions, Stream, capture, source_of

NEVER = threading.Event()


def opaque(frame: Any) -> Any:
    return np.full(frame.shape[:2], 255, np.uint8)


def pictures_of(source: Any) -> list[Any]:
    source.open()
    made = [picture() for picture in iter(lambda: source.read(NEVER), None)]
    source.close()
    return made


# ---- which is which --------------------------------------------------------------------------------------------------


def test_what_a_user_may_say(tmp_path: Path, fake_cv2: ModuleType) -> None:
    clip = make_clip(tmp_path / "7.mp4", 2)
    assert isinstance(source_of(clip), Clip)
    for camera in (0, "1", "/dev/video2"):
        assert isinstance(source_of(camera), Camera)
    for url in ("rtsp://host/live", "HTTP://host/a.mjpeg", "udp://@239.0.0.1:5000"):
        assert isinstance(source_of(url), Stream)
    with pytest.raises(InputError, match="is not there; expected a file, a camera's number"):
        source_of("nothing.mp4")
    with pytest.raises(InputError, match="is a folder"):
        source_of(tmp_path)


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_played_in_real_time_with_its_own_times(tmp_path: Path) -> None:
    pts = [0, 2, 3, 10, 12, 20]  # hundredths: a variable rate
    clip = Clip(make_clip(tmp_path / "a.mkv", 6, rate=100, pts=pts))
    begin = time.monotonic()
    clip.open()
    came = []
    while clip.read(NEVER) is not None:
        came.append(time.monotonic() - begin)
    clip.close()
    assert (np.array(came) >= np.divide(pts, 100)).all()


class Clock:
    """In the place of `time`, and of the event that ends a run: it goes on when somebody waits, or by hand."""

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
        (0.2, [0, 2, 3, 23, 23, 23]),  # what is late is made up for
        (2.0, [0, 2, 3, 203, 205, 213]),  # and what is very late is not
    ],
)
def test_the_pace_of_a_file_is_exact(
    late_s: float, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: Any = Clock()
    monkeypatch.setattr("rmbg_trt.live.clip.time", clock)
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
    assert [picture.shape for picture in pictures_of(Clip(turned))] == [(64, 48, 3)]
    straight = make_clip(tmp_path / "b.mp4", [smooth(3, 48, 64)])
    assert np.abs(pictures_of(Clip(straight))[0].astype(int) - smooth(3, 48, 64)).max() <= 3
    rgba = make_clip(tmp_path / "c.mkv", [smooth(1, 47, 63)], codec="ffv1", pixel_format="bgra")
    (odd,) = pictures_of(Clip(rgba))
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
    """A good head, and nothing in the place of the pictures."""
    data = make_clip(path, 3).read_bytes()
    begin, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    path.write_bytes(data[:begin] + bytes(end - begin) + data[end:])
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (sound_only, "contains no video, only audio"),
        (cut_off, "cannot be read as a video"),
        (no_frames, "holds no frame that can be decoded"),
        (lambda path: path.write_text("words") and path, "cannot be read as a video"),
    ],
)
def test_files_that_are_no_good(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    kept = Kept()
    with pytest.raises(Error, match=message):
        LiveMatter(Clip(make(tmp_path / "a.mp4")), SlowMatter(alpha=opaque), [kept], LiveOptions(loop=True)).run()
    assert kept.matted == []
    assert kept.finished == 1


def test_a_file_that_changes_its_size(tmp_path: Path) -> None:
    parts = [make_clip(tmp_path / f"{side}.ts", [smooth(0, side, 64)] * 6, rate=50) for side in (48, 32)]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    kept, said, matter = Kept(), list[str](), SlowMatter(alpha=opaque)
    source = Patient(Clip(both), lambda number: matter.finished >= number)
    LiveMatter(source, matter, [kept], tell=said.append).run()
    assert {each.result.shape for each in kept.matted} == {(48, 64, 4)}
    assert len(kept.matted) == 12
    assert "changed from 64x48 to 64x32" in said[0]


# ---- streams ---------------------------------------------------------------------------------------------------------


class Server(http.server.ThreadingHTTPServer):
    """Serves a file, and Motion JPEG without an end, or with one after so many frames."""

    daemon_threads = True
    file = b""
    frames = 1 << 30
    visits = 0
    silent = False


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.visits += 1
        if self.path.startswith("/nothing"):
            self.send_error(404)
            return
        self.send_response(200)
        if self.path.startswith("/file"):
            self.send_header("Content-Length", str(len(self.server.file)))
            self.end_headers()
            self.wfile.write(self.server.file)
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(self.server.frames):
            stream = io.BytesIO()
            Image.fromarray(smooth(number % 20)).save(stream, "JPEG", quality=95)
            data = stream.getvalue()
            try:
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                self.wfile.write(f"Content-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(0.03)
        while self.server.silent:
            time.sleep(0.05)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.silent = False
    made.frames = 0
    made.shutdown()
    made.server_close()


def address(server: Server, path: str) -> str:
    return f"http://somebody:secret@127.0.0.1:{server.server_port}{path}"


def test_motion_jpeg_whose_server_ends_is_found_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_WAIT_S", 0.05)
    server.frames = 10
    kept = Kept()
    matter = SlowMatter(alpha=opaque)
    run = Running(Stream(address(server, "/live"), timeout_s=TIMEOUT_S), matter, kept, reconnect=5)
    run.until(lambda: run.live.report().reconnects >= 1 and matter.resets and matter.finished > matter.resets[0])
    run.end()
    assert server.visits >= 2
    assert kept.matted[0].frame.shape == (48, 64, 3)
    assert "secret" not in " ".join(run.said)
    assert "127.0.0.1" in run.said[0]


def test_a_finished_recording_over_http_is_played_in_real_time_and_ends(server: Server, tmp_path: Path) -> None:
    server.file = make_clip(tmp_path / "a.mkv", 20, rate=50).read_bytes()
    stream = Stream(address(server, "/file.mkv"), timeout_s=TIMEOUT_S)
    begin = time.monotonic()
    assert len(pictures_of(stream)) == 20
    assert time.monotonic() - begin >= 19 / 50
    assert not stream.live


def test_a_stream_that_is_not_there(server: Server) -> None:
    for url in (address(server, "/nothing"), "rtsp://127.0.0.1:9/live", "http://127.0.0.1:9/a"):
        begin = time.monotonic()
        with pytest.raises(Error, match=r"cannot be opened \(.+\); check the address") as caught:
            LiveMatter(Stream(url), SlowMatter(), []).run()
        assert "secret" not in str(caught.value)
        assert time.monotonic() - begin < TIMEOUT_S


def test_a_server_that_falls_silent_is_lost_in_time(server: Server) -> None:
    server.frames, server.silent = 8, True
    stream = Stream(address(server, "/live"), timeout_s=0.3)
    stream.open()
    last = time.monotonic()

    def read_all() -> None:
        nonlocal last
        while stream.read(NEVER) is not None:
            last = time.monotonic()

    with pytest.raises(Error):
        read_all()
    assert time.monotonic() - last < 4.5  # not the usual 5 s
    stream.close()


def test_sound_alone_is_no_stream(server: Server, tmp_path: Path) -> None:
    server.file = sound_only(tmp_path / "a.mp4").read_bytes()
    with pytest.raises(InputError, match="holds no video"):
        Stream(address(server, "/file.mp4")).open()


# ---- cameras ---------------------------------------------------------------------------------------------------------


def test_a_camera(fake_cv2: Any) -> None:
    camera = source_of(3, width=1280, height=720, fps=60)
    camera.open()
    (capture_,) = fake_cv2.captures
    assert capture_.device == 3
    assert capture_.properties == {"width": 1280, "height": 720, "fps": 60, "buffer": 1}
    picture = camera.read(NEVER)
    assert picture is not None
    assert picture()[0, 0].tolist() == [3, 2, 1]  # OpenCV gives (1, 2, 3)
    assert (camera.name, camera.live, camera.rate) == ("camera 3", True, 60)
    capture_.gone = True
    assert camera.read(NEVER) is None
    camera.close()
    camera.close()
    assert capture_.released


def test_a_camera_that_is_not_there(fake_cv2: Any) -> None:
    fake_cv2.present = False
    with pytest.raises(Error, match=r"^camera 0 cannot be opened; "):
        LiveMatter(source_of(0), SlowMatter(), []).run()


def test_a_camera_that_is_unplugged_and_plugged_in(fake_cv2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_FIRST_WAIT_S", 0.02)
    kept = Kept()
    run = Running(source_of(0), SlowMatter(alpha=opaque), kept)
    run.until(lambda: len(kept.matted) > 3)
    fake_cv2.present = False
    fake_cv2.captures[0].gone = True
    run.until(lambda: run.live.status().notes[:1] == ("looking for the source",))
    count = len(kept.matted)
    fake_cv2.present = True
    run.until(lambda: len(kept.matted) > count + 3)
    assert run.end().reconnects == 1


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(UnavailableError, match=r'OpenCV is not installed: pip install "rmbg-trt\[camera\]"'):
        source_of(0)


def test_opencvs_own_reader_gives_what_we_take_it_to_give(tmp_path: Path) -> None:
    """The real one, with a file in the camera's place, as there is no camera here."""
    clip = make_clip(tmp_path / "a.avi", [smooth(n) for n in range(3)], codec="mpeg4", options={"qscale": "1"})
    made = pictures_of(Camera(str(clip)))
    assert len(made) == 3
    assert np.abs(made[0].astype(int) - smooth(0)).mean() < 6
    with pytest.raises(Error, match="cannot be opened"):
        Camera(str(tmp_path / "none.avi")).open()
