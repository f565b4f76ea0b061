# SPDX-License-Identifier: Apache-2.0
"""Raw frames into pipes that are slow, blocked or closed, recordings, and the virtual camera (a fake)."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from tests.live.parts import (
    TIMEOUT_S,
    CollectingSink,
    LiveRun,
    NumberedSource,
    SlowMatter,
    both_numbers,
    coded,
    our_threads,
)

from rmbg_trt.errors import Error, InputError, UnavailableError
from rmbg_trt.install import install_command
from rmbg_trt.live import LiveMatter, MattedFrame, RawFrames, Recorder, Status, StreamInfo, VirtualCamera, writers
from rmbg_trt.live.stats import LatencySummary
from rmbg_trt.video.sink import FileSink

pipes = pytest.mark.skipif(os.name == "nt", reason="Windows cannot poll a pipe")


def stream_info(height: int, width: int) -> StreamInfo:
    return StreamInfo((height, width), 25.0, lambda: Status(25.0, LatencySummary(), 0))


def matted(kind: Any, computed: Any, number: int = 0) -> MattedFrame:
    frame = np.full((*computed.shape[:2], 3), 200, np.uint8)
    return MattedFrame(number, time.monotonic(), kind, frame, computed, kind)


CUTOUT = np.zeros((4, 6, 4), np.uint8)
CUTOUT[:, :3] = 10, 20, 30, 255


# ---- raw frames ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "computed", "format", "left", "right"),
    [
        ("cutout", CUTOUT, "bgra", [30, 20, 10, 255], [0, 0, 0, 0]),
        ("cutout", CUTOUT, "rgb24", [10, 20, 30], [0, 177, 64]),
        ("composite", CUTOUT[..., :3], "bgra", [30, 20, 10, 255], [0, 0, 0, 255]),
        ("composite", CUTOUT[..., :3], "rgb24", [10, 20, 30], [0, 0, 0]),
        ("alpha", CUTOUT[..., 3], "rgb24", [255, 255, 255], [0, 0, 0]),
        ("alpha", CUTOUT[..., 3], "bgra", [255, 255, 255, 255], [255, 255, 255, 0]),
    ],
)
def test_raw_frames(kind: Any, computed: Any, format: Any, left: list[int], right: list[int], tmp_path: Path) -> None:
    file, messages = tmp_path / "raw", list[str]()
    with file.open("wb") as stream:
        sink = RawFrames(stream.fileno(), format, messages.append)
        sink.start(stream_info(4, 6))
        for number in range(2):
            sink.write(matted(kind, np.ascontiguousarray(computed), number))
        sink.finish()
    pixels = np.frombuffer(file.read_bytes(), np.uint8).reshape(2, 4, 6, len(left))
    assert pixels[1, 3, [0, 5]].tolist() == [left, right]
    assert messages == [f"stdout: {format}, 6x4, {len(left)} bytes per pixel"]


@pipes
def test_a_slow_reader_gets_whole_frames_and_the_others_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader is so slow that ten frames are matted for each one that it reads."""
    monkeypatch.setattr(writers, "_GRACE_S", TIMEOUT_S)
    reading, writing = os.pipe()
    frames: list[bytes] = []
    stdout, kept = RawFrames(writing, "rgb24"), CollectingSink()
    stdout.finish_timeout_s = TIMEOUT_S
    run = LiveRun(NumberedSource(1000), SlowMatter(), stdout, kept, backgrounds=[(0, 0, 0)])
    with open(reading, "rb", buffering=0) as stream:  # noqa: PTH123
        for _ in range(12):
            frames.append(read_whole(stream, coded(0).nbytes))
            count = len(kept.matted)
            run.until(lambda count=count: len(kept.matted) >= count + 10)
        before = run.live.report().sinks["stdout"]
        rest = threading.Thread(target=lambda: frames.append(stream.read()))  # or the last frame would be cut off
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
    assert before.dropped > 12 * 10 - 12 - 10  # except what it has read and what the pipe holds
    assert report.sinks["stdout"].written + report.sinks["stdout"].dropped == report.matted


def read_whole(stream: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        assert more, "the pipe ended"
        data += more
    return data


@pipes
def test_a_blocked_reader_does_not_delay_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_GRACE_S", 0.2)
    reading, writing = os.pipe()
    kept = CollectingSink()
    run = LiveRun(NumberedSource(1000), SlowMatter(), RawFrames(writing, "bgra"), kept)
    run.until(lambda: len(kept.matted) > 20)
    assert run.end().errors == []
    assert list(our_threads()) == []
    assert os.get_blocking(writing)
    os.close(reading)
    os.close(writing)


@pipes
def test_a_reader_that_closes_the_pipe_ends_the_run_without_an_error() -> None:
    reading, writing = os.pipe()
    run = LiveRun(NumberedSource(200), SlowMatter(), RawFrames(writing, "bgra"))
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
    cameras: list[FakeVirtual] = []

    def camera(**options: Any) -> FakeVirtual:
        cameras.append(FakeVirtual(**options))
        return cameras[-1]

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=camera))
    return cameras


def test_a_virtual_camera(virtual: list[FakeVirtual]) -> None:
    sink = VirtualCamera("/dev/video9")
    sink.start(stream_info(3, 5))
    sink.write(matted("cutout", np.ascontiguousarray(CUTOUT[:3, :5])))
    sink.finish()
    (camera,) = virtual
    assert (camera.size, camera.fps, camera.device, camera.closed) == ((4, 6), 25.0, "/dev/video9", 1)
    assert camera.sent[0][3, [0, 5]].tolist() == [[10, 20, 30], [0, 177, 64]]


def test_no_virtual_camera(virtual: list[FakeVirtual]) -> None:
    with pytest.raises(UnavailableError, match=r"no virtual camera \(.*does not exist\.\); (install|OBS)"):
        LiveMatter(NumberedSource(50), SlowMatter(), [VirtualCamera("/dev/none")]).run(seconds=TIMEOUT_S)


def test_without_pyvirtualcam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(
        UnavailableError, match=r"pyvirtualcam is not installed: " + re.escape(install_command("camera"))
    ):
        VirtualCamera()


# ---- recordings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("a.mp4", "cutout", "has no transparency"),
        ("a.gif", "cutout", "ends in '.gif'"),
        ("%06d.png", "cutout", "a recording is one file"),
        ("there.mov", "cutout", "already exists"),
    ],
)
def test_impossible_recordings_are_refused(name: str, kind: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "there.mov").write_text("x")
    with pytest.raises(InputError, match=message):
        Recorder(tmp_path / name, kind)
    Recorder(tmp_path / "there.mov", "cutout", overwrite=True)


def test_an_unwritable_folder_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Error, match="could not be written"):
        Recorder(tmp_path / "file" / "a.mov", "cutout")


def test_a_failing_recording_leaves_no_file_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, count = FileSink.write, 0

    def full(self: Any, *frame: Any) -> None:
        nonlocal count
        count += 1
        if count > 5:
            raise av.FFmpegError(28, "No space left on device")
        write(self, *frame)

    monkeypatch.setattr(FileSink, "write", full)
    recorder, kept = Recorder(tmp_path / "a.mov", "cutout"), CollectingSink()
    run = LiveRun(NumberedSource(200), SlowMatter(), recorder, kept)
    run.until(lambda: run.live.report().errors)
    time.sleep(0.25)  # time for the run to end
    count = len(kept.matted)
    run.until(lambda: len(kept.matted) > count + 10)
    report = run.end()
    assert report.errors == [f"{recorder.name}: {recorder.name} could not be written: No space left on device"]
    assert list(tmp_path.iterdir()) == []
