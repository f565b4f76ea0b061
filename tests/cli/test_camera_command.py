# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt camera``: options with a fake engine, messages, exit codes, and signals to a real process."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer.testing
from tests.live.parts import TIMEOUT_S, until
from tests.video import restless
from tests.video.clips import make_clip, pictures, smooth

from rmbg_trt import Engine, models
from rmbg_trt.cli import app
from rmbg_trt.live.pacer import Pacer


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return make_clip(folder / "a.mp4", 12, rate=25)


def command(*arguments: object) -> Any:
    result = typer.testing.CliRunner().invoke(app, ["camera", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def said(result: Any) -> str:
    return re.sub(r"\s+", " ", result.stderr)


def test_a_file_into_a_recording(asked: list[dict[str, Any]], clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "o.mp4"
    options = "--background blur --background navy --mirror --width 32 --no-preview --slots 2 --size 64 --filter area"
    result = command(clip, "--record", target, *options.split())
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert asked == [
        {"model": "u2netp", "device": "auto", "runtime": "auto", "precision": "auto", "calibration": None, "size": 64,
         "filter": "area", "stretch": "none", "slots": 2, "color": "rgb"}
    ]  # fmt: skip
    told = re.search(r"12 frames in [\d.]+ s: (\d+) matted \([\d.]+ fps\), (\d+) dropped; latency \d+ ms", said(result))
    assert told is not None, said(result)
    found = pictures(target)
    assert len(found) == int(told[1]) == 12 - int(told[2])
    assert found[0].shape == (24, 32, 3)
    mirrored = smooth()[::2, ::-2].astype(int)
    assert np.abs(found[0].astype(int) - mirrored).mean() < 6


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("", {}),
        ("--no-refine", {"refine": False}),
        ("--no-decontaminate", {"decontaminate": False}),
        ("--no-stabilize", {"stabilize": False}),
        ("--stretch running", {"stretch": "running"}),
        ("--stretch 0.2,0.7 --slots 2", {"stretch": (0.2, 0.7)}),
    ],
)
def test_refinement_decontamination_stabilization_and_stretch(
    fake_engine: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    flags: str,
    options: dict[str, Any],
) -> None:
    done, read = itertools.count(), itertools.count()
    matted = 0

    def predict(tensor: Any) -> Any:
        nonlocal matted
        made = restless.predict(tensor)
        matted = next(done) + 1
        return made

    def wait_for_the_network(pacer: Any, time_s: Any, stop: Any) -> None:
        """Replaces the clock, so that no frame is dropped however slow the machine is."""
        before = next(read)
        until(lambda: matted >= before)

    def engine(model: Any, *, stretch: Any, slots: int, **_: Any) -> Engine:
        return fake_engine(predict, size=restless.SIZE, slots=slots, color="rgb", stretch=stretch)

    monkeypatch.setattr(Pacer, "wait", wait_for_the_network)
    monkeypatch.setattr("rmbg_trt.cli.options.Engine", engine)
    monkeypatch.setattr(models, "resolve", lambda name, progress=None: Path(name))
    clip = restless.clip(tmp_path / "a.mkv", restless.frames(10))
    result = command(clip, "--no-preview", "--record", tmp_path / "o.mkv", *flags.split())
    assert result.exit_code == 0, result.stderr
    found = pictures(tmp_path / "o.mkv", "rgba")
    assert restless.same(found, restless.expected(fake_engine, restless.frames(10), **options))
    assert restless.same(found, restless.expected(fake_engine, restless.frames(10))) == (options == {})


def test_a_looping_file_stops_after_the_duration(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that advances by a tenth of a second with each frame of the clip."""
    frames = 0

    def wait(pacer: Any, time_s: Any, stop: threading.Event) -> None:
        nonlocal frames
        frames += 1
        stop.wait(0.005)

    clock = SimpleNamespace(monotonic=lambda: 1000 + frames / 10)
    monkeypatch.setattr(Pacer, "wait", wait)
    for module in ("capture", "live_matter"):
        monkeypatch.setattr(f"rmbg_trt.live.{module}.time", clock)
    clip = make_clip(tmp_path / "short.mp4", 2)
    result = command(clip, "--no-preview", "--loop", "--duration", "0.8", "--fps", "5", "--record", tmp_path / "o.mov")
    assert result.exit_code == 0
    found = re.search(r"(\d+) frames in ([\d.]+) s: (\d+) matted", said(result))
    assert found is not None, said(result)
    assert int(found[1]) >= 8
    assert float(found[2]) >= 0.8
    assert 1 <= int(found[3]) <= int(found[1]) / 2 + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4", "--no-preview"], "none.mp4 does not exist"),
        (["CLIP", "--no-preview", "--background", "no such thing"], "is not a colour"),
        (["CLIP", "--no-preview", "--output", "composite"], "a composite needs a background"),
        (["CLIP", "--no-preview", "--record", "a.mp4"], "has no transparency"),
        (["CLIP", "--no-preview", "--reconnect", "often"], "--reconnect is 'often'"),
        (["CLIP", "--no-preview", "--fps", "0"], "the frame rate is '0'"),
        (["CLIP", "--no-preview", "--size", "big"], "--size is 'big'"),
        (["CLIP", "--no-preview", "--stretch", "1,0"], "--stretch is '1,0'; expected none, minmax, running, or LOW"),
        (["CLIP", "--no-preview"], "nothing takes the frames; leave out --no-preview, or give --record FILE"),
        (["CLIP", "--no-preview", "--duration", "soon"], "--duration is 'soon'"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, asked: list[dict[str, Any]], clip: Path) -> None:
    result = command(*[clip if each == "CLIP" else each for each in arguments])
    assert result.exit_code == 2
    assert message in said(result)
    assert asked == []


def test_a_recording_is_only_overwritten_on_request(asked: list[dict[str, Any]], clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "o.mov"
    target.write_text("mine")
    assert command(clip, "--no-preview", "--record", target).exit_code == 2
    assert target.read_text() == "mine"
    assert command(clip, "--no-preview", "--record", target, "--overwrite").exit_code == 0
    assert len(pictures(target)) > 0


def test_a_bad_file_fails(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("words")
    result = command(bad, "--no-preview", "--record", tmp_path / "o.mov")
    assert result.exit_code == 1
    assert asked == [], "the source is opened before the model"
    assert "cannot be read as a video" in said(result)


def test_a_camera_that_cannot_be_opened(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        CAP_PROP_FRAME_WIDTH = CAP_PROP_FRAME_HEIGHT = CAP_PROP_FPS = 0

        def VideoCapture(self, device: int) -> Any:  # noqa: N802
            return self

        def isOpened(self) -> bool:  # noqa: N802
            return False

    monkeypatch.setitem(sys.modules, "cv2", Nothing())
    result = command("--no-preview", "--record", tmp_path / "o.mov")
    assert result.exit_code == 1
    assert asked == []
    assert "camera 0 cannot be opened" in said(result)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux checks for a display")
def test_no_display(asked: list[dict[str, Any]], clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    result = command(clip)
    assert result.exit_code == 1
    assert "there is no display (DISPLAY is not set); --no-preview" in said(result)
    assert asked == []


def test_the_help_has_an_example() -> None:
    text = typer.testing.CliRunner().invoke(app, ["camera", "--help"]).stdout
    assert "rmbg-trt camera --background blur --virtual-camera" in re.sub(r"\s+", " ", text)


def test_importing_the_command_line_loads_no_heavy_package(in_python: Callable[..., str]) -> None:
    heavy = ("av", "cv2", "pyvirtualcam", "numpy")
    script = f"import sys, rmbg_trt.cli; print([name for name in {heavy} if name in sys.modules])"
    assert in_python(script) == "[]"


# ---- a real process --------------------------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name == "nt", reason="Windows sends signals through consoles")


def started(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    script = "from rmbg_trt.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", script, "camera", *map(str, arguments)], stderr=subprocess.PIPE, **options
    )


@pytest.mark.slow
@posix
def test_stdout_holds_frames_and_nothing_else(clip: Path, small_model: Path) -> None:
    process = started(clip, "--no-preview", "--stdout", "bgra", "--model", small_model, stdout=subprocess.PIPE)
    out, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    frames = len(out) / (48 * 64 * 4)
    assert frames == int(frames) >= 1
    assert np.abs(np.frombuffer(out, np.uint8)[:3].astype(int) - smooth()[0, 0, ::-1]).max() <= 6
    assert b"stdout: bgra, 64x48, 4 bytes per pixel" in errors


@pytest.mark.slow
@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_it_with_a_complete_recording(
    number: signal.Signals, code: int, clip: Path, small_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(clip, "--no-preview", "--loop", "--record", out / "o.mov", "--model", small_model)
    until(lambda: list(out.glob(".rmbg-*.part.mov")) or process.poll() is not None)
    time.sleep(0.2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code, errors
    assert [each.name for each in out.iterdir()] == ["o.mov"]
    count = re.search(rb"o.mov: (\d+) frames", errors.replace(b"\n", b" "))
    assert count is not None, errors
    assert len(pictures(out / "o.mov")) == int(count[1]) > 0


@posix
def test_a_reader_that_closes_the_pipe_ends_it_without_an_error(clip: Path, small_model: Path) -> None:
    process = started(
        clip, "--no-preview", "--loop", "--stdout", "rgb24", "--model", small_model, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert len(process.stdout.read(48 * 64 * 3)) == 48 * 64 * 3
    process.stdout.close()
    assert process.wait(timeout=TIMEOUT_S) == 0
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
