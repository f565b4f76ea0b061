# SPDX-License-Identifier: Apache-2.0
"""The sinks: pipes that are slow, stuck or closed, the virtual camera and the window (fakes), recordings."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.live.parts import (
    BLOCK,
    HEIGHT,
    TIMEOUT_S,
    WIDTH,
    Kept,
    NumberedSource,
    Running,
    SlowMatter,
    both_numbers,
    coded,
    our_threads,
    until,
)

from rmbg_trt.errors import Error, InputError, UnavailableError
from rmbg_trt.live import (
    LiveMatter,
    LiveOptions,
    Matted,
    RawFrames,
    Recorder,
    Show,
    Status,
    VirtualCamera,
    Window,
    raw_frames,
)
from rmbg_trt.live.keys import KEYS, action_of
from rmbg_trt.live.latency import Spread
from rmbg_trt.live.look import checkerboard, fitted, put_over
from rmbg_trt.live.overlay import lines_of, with_words

STATUS = Status(12.34, Spread(9, 80.4, 95.6, 120.0), 7)
pipes = pytest.mark.skipif(os.name == "nt", reason="pipes cannot be waited for there")


def show(height: int, width: int) -> Show:
    return Show((height, width), 25.0, lambda: STATUS)


def matted(kind: Any, made: Any, number: int = 0) -> Matted:
    frame = np.full((*made.shape[:2], 3), 200, np.uint8)
    return Matted(number, time.monotonic(), kind, frame, made, kind)


CUTOUT = np.zeros((4, 6, 4), np.uint8)
CUTOUT[:, :3] = 10, 20, 30, 255


# ---- raw frames ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "made", "format", "left", "right"),
    [
        ("cutout", CUTOUT, "bgra", [30, 20, 10, 255], [0, 0, 0, 0]),
        ("cutout", CUTOUT, "rgb24", [10, 20, 30], [0, 177, 64]),
        ("composite", CUTOUT[..., :3], "bgra", [30, 20, 10, 255], [0, 0, 0, 255]),
        ("composite", CUTOUT[..., :3], "rgb24", [10, 20, 30], [0, 0, 0]),
        ("alpha", CUTOUT[..., 3], "rgb24", [255, 255, 255], [0, 0, 0]),
        ("alpha", CUTOUT[..., 3], "bgra", [255, 255, 255, 255], [255, 255, 255, 0]),
    ],
)
def test_raw_frames(kind: Any, made: Any, format: Any, left: list[int], right: list[int], tmp_path: Path) -> None:
    file, said = tmp_path / "raw", list[str]()
    with file.open("wb") as stream:
        sink = RawFrames(stream.fileno(), format, said.append)
        sink.start(show(4, 6))
        for number in range(2):
            sink.write(matted(kind, np.ascontiguousarray(made), number))
        sink.finish()
    pixels = np.frombuffer(file.read_bytes(), np.uint8).reshape(2, 4, 6, len(left))
    assert pixels[1, 3, [0, 5]].tolist() == [left, right]
    assert said == [f"stdout: {format}, 6x4, {len(left)} bytes a pixel"]


@pipes
def test_a_slow_reader_gets_whole_frames_and_the_rest_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """So slow that ten frames are matted for each that it reads."""
    monkeypatch.setattr(raw_frames, "_GRACE_S", TIMEOUT_S)
    reading, writing = os.pipe()
    frames: list[bytes] = []
    stdout, kept = RawFrames(writing, "rgb24"), Kept()
    stdout.patience_s = TIMEOUT_S
    run = Running(NumberedSource(1000), SlowMatter(), stdout, kept, backgrounds=[(0, 0, 0)])
    with open(reading, "rb", buffering=0) as stream:  # noqa: PTH123
        for _ in range(12):
            frames.append(read_whole(stream, coded(0).nbytes))
            count = len(kept.matted)
            run.until(lambda count=count: len(kept.matted) >= count + 10)
        before = run.live.report().sinks["stdout"]
        rest = threading.Thread(target=lambda: frames.append(stream.read()))  # or the last one would be cut off
        rest.start()
        report = run.end()
        os.close(writing)
        rest.join(TIMEOUT_S)
    size = coded(0).nbytes
    data = b"".join(frames)
    assert len(data) == size * report.sinks["stdout"].written
    numbers = [both_numbers(frame) for frame in np.frombuffer(data, np.uint8).reshape(-1, *coded(0).shape)]
    assert all(frame == alpha for frame, alpha in numbers)
    assert [frame for frame, _ in numbers] == sorted({frame for frame, _ in numbers})
    assert {frame for frame, _ in numbers} <= set(kept.numbers)
    assert before.dropped > 12 * 10 - 12 - 10  # but for what it has read, and what the pipe holds
    assert report.sinks["stdout"].written + report.sinks["stdout"].dropped == report.matted


def read_whole(stream: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        assert more, "the pipe ends"
        data += more
    return data


@pipes
def test_a_reader_that_is_stuck_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_frames, "_GRACE_S", 0.2)
    reading, writing = os.pipe()
    kept = Kept()
    run = Running(NumberedSource(1000), SlowMatter(), RawFrames(writing, "bgra"), kept)
    run.until(lambda: len(kept.matted) > 20)
    assert run.end().errors == []
    assert list(our_threads()) == []
    assert os.get_blocking(writing)
    os.close(reading)
    os.close(writing)


@pipes
def test_a_reader_that_goes_ends_the_run_without_an_error() -> None:
    reading, writing = os.pipe()
    run = Running(NumberedSource(200), SlowMatter(), RawFrames(writing, "bgra"))
    run.until(lambda: run.live.report().sinks["stdout"].written)
    os.close(reading)
    assert run.result().errors == []
    os.close(writing)


# ---- the virtual camera ----------------------------------------------------------------------------------------------


class FakeVirtual:
    def __init__(self, width: int, height: int, fps: float, device: str | None) -> None:
        if device == "/dev/none":
            raise RuntimeError("'v4l2loopback' backend: Device /dev/none does not exist.")
        self.size, self.fps, self.device = (height, width), fps, device
        self.sent: list[Any] = []
        self.closed = 0

    def send(self, frame: Any) -> None:
        assert frame.shape == (*self.size, 3)
        assert frame.flags["C_CONTIGUOUS"]
        self.sent.append(frame)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch) -> list[FakeVirtual]:
    made: list[FakeVirtual] = []

    def camera(**options: Any) -> FakeVirtual:
        made.append(FakeVirtual(**options))
        return made[-1]

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=camera))
    return made


def test_a_virtual_camera(virtual: list[FakeVirtual]) -> None:
    sink = VirtualCamera("/dev/video9")
    sink.start(show(3, 5))
    sink.write(matted("cutout", np.ascontiguousarray(np.pad(CUTOUT, ((0, 0), (0, 0), (0, 0)))[:3, :5])))
    sink.finish()
    (camera,) = virtual
    assert (camera.size, camera.fps, camera.device, camera.closed) == ((4, 6), 25.0, "/dev/video9", 1)
    assert camera.sent[0][3, [0, 5]].tolist() == [[10, 20, 30], [0, 177, 64]]


def test_no_virtual_camera(virtual: list[FakeVirtual]) -> None:
    with pytest.raises(UnavailableError, match=r"no virtual camera \(.*does not exist\.\); (install|OBS)"):
        LiveMatter(NumberedSource(50), SlowMatter(), [VirtualCamera("/dev/none")]).run(seconds=TIMEOUT_S)


def test_without_pyvirtualcam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(UnavailableError, match=r'pyvirtualcam is not installed: pip install "rmbg-trt\[camera\]"'):
        VirtualCamera()


# ---- the window ------------------------------------------------------------------------------------------------------


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmbg_trt.live.window.check_display", lambda: None)


def test_the_window_shows_what_is_made_and_obeys_its_keys(fake_cv2: Any, display: None) -> None:
    window, kept = Window(), Kept()
    live = LiveMatter(NumberedSource(100), SlowMatter(), [window, kept], LiveOptions(overlay=False))
    steps: list[tuple[str, Any]] = []

    def press() -> None:
        for key, name in (("m", "mirror"), ("O", "overlay"), ("a", "alpha_view"), ("h", "help"), (" ", "paused")):
            until(lambda: fake_cv2.keys == "" and len(fake_cv2.shown) > 3)
            fake_cv2.keys = key
            until(lambda name=name: getattr(live.switches, name))
            steps.append((key, threading.current_thread()))
        count = len(fake_cv2.shown)
        fake_cv2.keys = "xho"  # while it is paused the words still change
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
    assert (fake_cv2.shown[0][BLOCK:, -BLOCK:] != 255).any()  # the checkerboard, as no number is so large
    assert fake_cv2.window_size == (WIDTH, HEIGHT)


def test_a_window_that_is_closed_by_hand_ends_the_run(fake_cv2: Any, display: None) -> None:
    run = Running(NumberedSource(100), SlowMatter(), Window())
    run.until(lambda: len(fake_cv2.shown) > 3)
    fake_cv2.close_by_hand()
    assert run.result().errors == []


def test_every_key_does_something() -> None:
    for key in KEYS:
        assert callable(getattr(LiveMatter, key.action))
        assert [action_of(character) for character in key.characters] == [key.action] * len(key.characters)
    assert (action_of("R"), action_of("x"), action_of("")) == ("toggle_recording", None, None)
    characters = "".join(key.characters for key in KEYS)
    assert len(set(characters)) == len(characters)


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays are asked for on Linux only")


@linux
@pytest.mark.parametrize(
    ("display_", "message"),
    [(None, "there is no display"), (":9731", "does not answer"), ("nonsense", "names no display")],
)
def test_no_display(display_: str | None, message: str, fake_cv2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if display_ is not None:
        monkeypatch.setenv("DISPLAY", display_)
    with pytest.raises(UnavailableError, match=f"{message}.*--no-preview"):
        Window()


@linux
def test_a_display_that_answers(fake_cv2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0/tmp/.X11-unix/X9732")
        server.listen()
        for name in (":9732", ":9732.0", "unix:9732"):
            monkeypatch.setenv("DISPLAY", name)
            Window()


def test_an_opencv_without_windows(fake_cv2: Any, display: None) -> None:
    fake_cv2.gui = "NONE"
    with pytest.raises(UnavailableError, match=r"this OpenCV has no windows; .*--no-preview"):
        Window()


# ---- words on the picture --------------------------------------------------------------------------------------------


def test_the_words() -> None:
    assert lines_of(STATUS) == ["12.3 fps   latency 80 ms, 95 % 96 ms   dropped 7"]
    noted = Status(1, Spread(), 0, ("paused",), overlay=True, help=True)
    assert lines_of(noted)[1:3] == ["paused", "q, Esc  quit"]
    assert lines_of(Status(1, Spread(), 0, ("paused",), overlay=False)) == []


@pytest.mark.parametrize("size", [(720, 1280), (31, 47), (5, 3)])
def test_words_are_put_on_a_copy_and_only_at_the_top_left(size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 90, np.uint8)
    made = with_words(picture, ["12.3 fps", "more"])
    assert (picture == 90).all()
    assert made.shape == picture.shape
    assert (made != 90).any()
    if size[0] == 720:
        assert (made[:100, :300] > 200).any()
        assert (made[200:] == 90).all()
    assert with_words(picture, []) is picture


# ---- looks -----------------------------------------------------------------------------------------------------------


def test_a_cutout_over_something_is_the_formula() -> None:
    generator = np.random.default_rng(2)
    cutout, back = (generator.integers(0, 256, (9, 7, channels), np.uint8) for channels in (4, 3))
    share = cutout[..., 3:] / 255
    expected = cutout[..., :3] * share + back * (1 - share)
    assert np.abs(put_over(cutout, back, back) - expected).max() <= 0.51 + 1e-9
    assert (checkerboard(40, 40)[0, 0] != checkerboard(40, 40)[0, 20]).all()


@pytest.mark.parametrize(
    ("size", "target", "inner"),
    [((10, 20), (20, 40), (0, 20, 0, 40)), ((10, 20), (40, 40), (10, 30, 0, 40)), ((30, 10), (15, 15), (0, 15, 5, 10))],
)
def test_fitting(size: tuple[int, int], target: tuple[int, int], inner: tuple[int, int, int, int]) -> None:
    made = fitted(np.full((*size, 3), 77, np.uint8), target)
    top, bottom, left, right = inner
    assert made.shape == (*target, 3)
    assert (made[top:bottom, left:right] == 77).all()
    assert made.sum() == 77 * 3 * (bottom - top) * (right - left)


# ---- recordings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("a.mp4", "cutout", "has no transparency"),
        ("a.gif", "cutout", "ends in '.gif'"),
        ("%06d.png", "cutout", "a recording is one file"),
        ("there.mov", "cutout", "is there already"),
    ],
)
def test_recordings_that_cannot_be(name: str, kind: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "there.mov").write_text("x")
    with pytest.raises(InputError, match=message):
        Recorder(tmp_path / name, kind)
    Recorder(tmp_path / "there.mov", "cutout", overwrite=True)


def test_a_folder_that_cannot_be_written_is_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Error, match="could not be written"):
        Recorder(tmp_path / "file" / "a.mov", "cutout")


def test_a_recording_that_fails_leaves_nothing_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rmbg_trt.video.sink import FileSink

    write, count = FileSink.write, 0

    def full(self: Any, *frame: Any) -> None:
        nonlocal count
        count += 1
        if count > 5:
            raise __import__("av").FFmpegError(28, "No space left on device")
        write(self, *frame)

    monkeypatch.setattr(FileSink, "write", full)
    recorder, kept = Recorder(tmp_path / "a.mov", "cutout"), Kept()
    run = Running(NumberedSource(200), SlowMatter(), recorder, kept)
    run.until(lambda: run.live.report().errors)
    time.sleep(0.25)  # in which the run could end
    count = len(kept.matted)
    run.until(lambda: len(kept.matted) > count + 10)
    report = run.end()
    assert report.errors == [f"{recorder.name}: {recorder.name} could not be written: No space left on device"]
    assert list(tmp_path.iterdir()) == []
