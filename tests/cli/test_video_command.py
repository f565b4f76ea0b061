# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt video``: its options with a fake engine, its messages and exit codes, and Ctrl-C in a real process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.testing
from tests.video import restless
from tests.video.clips import decode, kinds, left_over, make_clip, pictures, smooth, times

from rmbg_trt import Engine, models
from rmbg_trt.cli import app
from rmbg_trt.install import install_command


@pytest.fixture
def restless_engine(fake_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's engines have the network of `restless`, and the command's stretch and slots."""

    def engine(model: Any, *, stretch: Any, slots: int, **_: Any) -> Engine:
        return fake_engine(restless.predict, size=restless.SIZE, slots=slots, color="rgb", stretch=stretch)

    monkeypatch.setattr("rmbg_trt.cli.options.Engine", engine)
    monkeypatch.setattr(models, "resolve", lambda name, progress=None: Path(name))


def command(*arguments: object) -> Any:
    result = typer.testing.CliRunner().invoke(app, ["video", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def said(result: Any) -> str:
    return re.sub(r"\s+", " ", result.stderr)


def test_a_clip(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 5, audio=True)
    result = command(clip, "-o", tmp_path / "o.mov")
    assert result.exit_code == 0
    assert "on cpu (a test), fake 1, fp32" in result.stderr.splitlines()[0]
    assert re.search(r"o.mov: 5 frames in [\d.]+ s, [\d.]+ fps, [\d.]+x realtime", said(result))
    assert decode(tmp_path / "o.mov")[0].format.name == "yuva444p12le"
    assert kinds(tmp_path / "o.mov") == ["video", "audio"]
    assert (asked[0]["stretch"], asked[0]["color"], asked[0]["slots"]) == ("none", "rgb", 2)


def test_engine_options(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2)
    engine = "--model my.onnx --device cpu --runtime r --precision fp32 --size 320x480 --filter area --stretch minmax"
    assert command(clip, "-o", tmp_path / "o.mkv", *engine.split(), "--slots", 3).exit_code == 0
    assert asked == [
        {"model": Path("my.onnx"), "device": "cpu", "runtime": "r", "precision": "fp32", "calibration": None,
         "size": (320, 480), "filter": "area", "stretch": "minmax", "slots": 3, "color": "rgb"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("", {}),
        ("--refine --decontaminate --stabilize --stretch none --slots 4", {}),
        ("--no-refine", {"refine": False}),
        ("--no-decontaminate", {"decontaminate": False}),
        ("--no-stabilize", {"stabilize": False}),
        ("--no-refine --no-decontaminate --no-stabilize", restless.PLAIN),
        ("--stretch running", {"stretch": "running"}),
        ("--stretch running --no-stabilize", {"stretch": "running", "stabilize": False}),
        ("--stretch 0.2,0.7", {"stretch": (0.2, 0.7)}),
        ("--stretch minmax", {"stretch": "minmax"}),
    ],
)
@pytest.mark.usefixtures("restless_engine")
def test_refine_decontaminate_stabilize_and_stretch(
    fake_engine: Callable[..., Engine], tmp_path: Path, flags: str, options: dict[str, Any]
) -> None:
    frames = restless.frames(5)
    result = command(restless.clip(tmp_path / "a.mkv", frames), "-o", tmp_path / "o.mkv", *flags.split())
    assert result.exit_code == 0, result.stderr
    found = pictures(tmp_path / "o.mkv", "rgba")
    assert restless.same(found, restless.expected(fake_engine, frames, **options))
    assert restless.same(found, restless.expected(fake_engine, frames)) == (options == {})


@pytest.mark.usefixtures("restless_engine")
def test_clips_do_not_affect_each_other(fake_engine: Callable[..., Engine], tmp_path: Path) -> None:
    parts = {"a": restless.frames(5), "b": restless.frames(5, first=5)}
    clips = [restless.clip(tmp_path / f"{name}.mkv", frames) for name, frames in parts.items()]
    assert command(*clips, "-o", tmp_path / "out", "--format", "mkv").exit_code == 0
    both = restless.clip(tmp_path / "both.mkv", [*parts["a"], *parts["b"]])
    assert command(both, "-o", tmp_path / "half.mkv", "--start", "0.2").exit_code == 0
    fresh = {name: restless.expected(fake_engine, frames) for name, frames in parts.items()}
    for name, wanted in fresh.items():
        assert restless.same(pictures(tmp_path / "out" / f"{name}_cutout.mkv", "rgba"), wanted)
    assert restless.same(pictures(tmp_path / "half.mkv", "rgba"), fresh["b"])
    whole = restless.expected(fake_engine, [*parts["a"], *parts["b"]])
    assert not restless.same(whole[5:], fresh["b"])  # or this would show nothing


def test_video_options(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 30, audio=True)
    options = "--background navy --start 0:0.4 --duration .4 --fps 50 --height 24 --crf 30 --no-audio --codec hevc"
    assert command(clip, "-o", tmp_path / "o.mp4", *options.split()).exit_code == 0
    frames = decode(tmp_path / "o.mp4")
    assert times(tmp_path / "o.mp4") == [Fraction(n, 50) for n in range(20)]
    assert (frames[0].height, frames[0].width) == (24, 32)
    assert kinds(tmp_path / "o.mp4") == ["video"]


def test_several_clips_into_a_folder(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / f"{name}.mp4", 2) for name in "ab"]
    (tmp_path / "c.mp4").write_text("no video")
    result = command(*clips, tmp_path / "c.mp4", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "c.mp4 cannot be read as a video" in said(result)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["a_cutout.mov", "b_cutout.mov"]
    again = command(*clips, "-o", tmp_path / "out")
    assert again.exit_code == 0
    assert said(again).count("already exists; --overwrite replaces it") == 2
    assert len(asked) == 1
    assert command(*clips, "-o", tmp_path / "png", "--format", "png", "--output", "alpha").exit_code == 0
    assert (tmp_path / "png" / "b_alpha" / "000002.png").exists()
    assert command(clips[0], "-o", f"{tmp_path}/new/", "--background", "red").exit_code == 0
    assert (tmp_path / "new" / "a_composite.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.mp4", "-o", "o.mov"], "no.mp4 does not exist"),
        ([".", "-o", "o.mov"], "is a folder; give the video files"),
        (["a.mp4", "-o", "a.mp4", "--background", "red"], "is the input itself"),
        (["a.mp4", "-o", "o.mp4"], "no transparency; write a cutout to mov, webm"),
        (["a.mp4", "-o", "o.gif"], "'.gif'; expected .mp4"),
        (["a.mp4", "-o", "there.mov"], "already exists; use overwrite to replace it"),
        (["a.mp4", "b.mp4", "-o", "o.mov"], "is one file, for 2 clips"),
        (["a.mp4", "sub/a.mp4", "-o", "out"], "would both become"),
        (["a.mp4", "-o", "o.mov", "--format", "mkv"], "contradict"),
        (["a.mp4", "-o", "o.mov", "--start", "soon"], "--start is 'soon'"),
        (["a.mp4", "-o", "o.mov", "--fps", "many"], "the frame rate is 'many'"),
        (["a.mp4", "-o", "o.mov", "--size", "big"], "--size is 'big'"),
        (["a.mp4", "-o", "o.mov", "--stretch", "wide"], "--stretch is 'wide'; expected none, minmax, running, or LOW"),
        (["a.mp4", "-o", "o.mov", "--stretch", "0.9,0.1"], "--stretch is '0.9,0.1'"),
        (["a.mp4", "-o", "o.mov", "--stretch", "0,0.5,1"], "--stretch is '0,0.5,1'"),
        (["a.mp4", "-o", "o.mov", "--stretch", "nan,1"], "--stretch is 'nan,1'"),
        (["a.mp4", "-o", "o.mp4", "--output", "composite"], "needs a background"),
        (["a.mp4", "-o", "o.mp4", "--background", "nowhere"], "no image or video of that name"),
    ],
)
def test_usage(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(Path("a.mp4"), 2)
    make_clip(Path("b.mp4"), 2)
    Path("sub").mkdir()
    make_clip(Path("sub/a.mp4"), 2)
    Path("there.mov").touch()
    result = command(*arguments)
    assert result.exit_code == 2
    assert message in said(result)
    assert asked == []
    assert left_over(tmp_path) == []


def test_a_clip_that_cannot_be_read_is_a_failed_job(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    result = command(tmp_path / "a.mp4", "-o", tmp_path / "o.mov")
    assert result.exit_code == 1
    assert "cannot be read as a video" in said(result)
    assert asked == [], "it is found before the model is loaded"
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".mov"] == []


def test_a_clip_that_ends_early_is_written_and_is_a_failed_job(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    noise = [np.random.default_rng(n).integers(0, 256, (48, 64, 3), np.uint8) for n in range(30)]
    clip = make_clip(tmp_path / "a.mkv", noise, rate=5)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    result = command(clip, "-o", tmp_path / "o.mkv")
    assert result.exit_code == 1
    assert re.search(r"the file ends \d\.\d s early", said(result))
    assert len(decode(tmp_path / "o.mkv")) > 5


def test_dropped_streams_are_reported(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    result = command(make_clip(tmp_path / "a.mp4", 2, audio=True), "-o", tmp_path / "o.webm")
    assert result.exit_code == 0
    assert ".webm cannot hold audio stream 1 (aac)" in said(result)


def test_missing_pyav(tmp_path: Path, in_python: Callable[..., str]) -> None:
    script = (
        "import sys; sys.modules['av'] = None\n"
        "from rmbg_trt.cli import app\n"
        "import typer.testing\n"
        "result = typer.testing.CliRunner().invoke(app, ['video', 'a.mp4', '-o', 'o.mov'])\n"
        "print(result.exit_code, result.stderr)"
    )
    assert re.sub(r"\s+", " ", in_python(script)) == f"1 Error: PyAV is not installed: {install_command('video')}"


def test_rmbg_trt_and_its_command_line_need_no_pyav(in_python: Callable[..., str]) -> None:
    script = "import sys, rmbg_trt, rmbg_trt.cli; rmbg_trt.Engine; print('av' in sys.modules)"
    assert in_python(script) == "False"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child is a matter of consoles there")
def test_ctrl_c_leaves_nothing(tmp_path: Path, small_model: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", [smooth(n % 30) for n in range(400)])
    script = (
        "import time, rmbg_trt.video.sink as sink\n"
        "write = sink.FileSink.write\n"
        "def slow(self, *frame):\n"
        "    time.sleep(0.2)\n"
        "    write(self, *frame)\n"
        "sink.FileSink.write = slow\n"
        "from rmbg_trt.cli import main\n"
        "main()"
    )
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "video", str(clip), "-o", str(out / "o.mov"), "--model", str(small_model)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not left_over(tmp_path) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    assert left_over(tmp_path), process.communicate()[1]
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Interrupted." in errors
    assert list(out.iterdir()) == []
