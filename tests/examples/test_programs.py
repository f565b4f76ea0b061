# SPDX-License-Identifier: Apache-2.0
"""Each program in examples/ does what its first lines say."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.examples.conftest import ROOT

Example = Callable[..., int]
MakeClip = Callable[..., Path]
SMALL = ("--model", "u2netp")

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("u2netp_path")]


def frames_of(clip: Path) -> list[np.ndarray]:
    import av

    with av.open(str(clip)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def test_cut_out_image(example: Example, astronaut: Path, tmp_path: Path) -> None:
    assert example("cut_out_image.py", astronaut, tmp_path / "cutout.png", *SMALL) == 0
    cutout = Image.open(tmp_path / "cutout.png")
    assert (cutout.mode, cutout.size) == ("RGBA", (512, 512))
    assert cutout.getpixel((225, 110))[3] > 250  # her face
    assert cutout.getpixel((500, 10))[3] < 5  # the wall


@pytest.mark.parametrize("program", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_help_makes_nothing(
    example: Example, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert example(program, "--help") == 0
    assert f"usage: {program}" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert program in (ROOT / "examples" / "README.md").read_text(encoding="utf-8")


def test_sample_data(example: Example, tmp_path: Path) -> None:
    pytest.importorskip("av")
    assert example("sample_data.py", tmp_path / "clip.mp4") == 0
    assert len(frames_of(tmp_path / "clip.mp4")) == 50
    assert example("sample_data.py", tmp_path / "pairs") == 0
    assert len(list((tmp_path / "pairs" / "masks").iterdir())) == 24


@pytest.mark.parametrize("background", ["blur", "#2b5797", "an image"])
def test_cut_out_image_with_a_background(example: Example, astronaut: Path, tmp_path: Path, background: str) -> None:
    if background == "an image":
        background = str(tmp_path / "blue.png")
        Image.new("RGB", (30, 20), "#2b5797").save(background)
    target = tmp_path / "result.png"
    assert example("cut_out_image.py", astronaut, target, "--background", background, *SMALL) == 0
    result, photograph = np.asarray(Image.open(target)).astype(int), np.asarray(Image.open(astronaut)).astype(int)
    face, wall = (slice(90, 130), slice(200, 250)), (slice(0, 60), slice(400, 512))
    assert np.abs(result[face] - photograph[face]).max() <= 2
    if background == "blur":
        assert 0 < np.abs(result[wall] - photograph[wall]).mean() < 40
    else:
        assert np.abs(result[5:40, 480:] - (0x2B, 0x57, 0x97)).max() <= 2


def test_a_photograph_that_is_stored_rotated(example: Example, astronaut: Path, tmp_path: Path) -> None:
    photograph = Image.open(astronaut).crop((0, 0, 400, 512))
    orientation = Image.Exif()
    orientation[0x0112] = 6  # to be turned by a quarter
    photograph.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=orientation)
    assert example("cut_out_image.py", tmp_path / "phone.jpg", tmp_path / "cutout.png", *SMALL) == 0
    assert Image.open(tmp_path / "cutout.png").size == (400, 512)


def test_cut_out_folder(example: Example, astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "photographs", tmp_path / "cutouts"
    (source / "trip").mkdir(parents=True)
    shutil.copy(astronaut, source / "trip")
    assert example("cut_out_folder.py", source, target, *SMALL) == 0
    assert Image.open(target / "trip" / "astronaut.png").mode == "RGBA"

    (source / "damaged.jpg").write_bytes(astronaut.read_bytes()[:2000])
    assert example("cut_out_folder.py", source, target, *SMALL) == 1
    printed = capsys.readouterr().out
    assert "1 images to do, 1 are done already" in printed
    assert f"{source / 'damaged.jpg'} -> " in printed


def test_video_background(
    example: Example, make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 12)
    target = tmp_path / "result.mp4"
    assert example("video_background.py", clip, target, "--background", "#00ff00", *SMALL) == 0
    results, frames = frames_of(target), frames_of(clip)
    assert len(results) == len(frames) == 12
    green = [((frame[..., 1] > 200) & (frame[..., 0] < 60)).mean() for frame in results]
    assert 0.2 < min(green) <= max(green) < 0.8
    assert f"wrote {target}: 12 frames" in capsys.readouterr().out


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What OpenCV's window shows. The user presses q at the third frame."""
    cv2 = pytest.importorskip("cv2")
    shown: list[np.ndarray] = []
    monkeypatch.setattr(cv2, "imshow", lambda title, frame: shown.append(frame.copy()))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: ord("q") if len(shown) == 3 else -1)
    return shown


def test_webcam_shows_frames_until_q(
    example: Example, make_clip: MakeClip, tmp_path: Path, window: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 12)
    assert example("webcam.py", clip, "--background", "#0000ff") == 0
    assert "3 frames" in capsys.readouterr().out
    assert [frame.shape for frame in window] == [(240, 320, 3)] * 3
    assert tuple(window[2][5, 310]) == (255, 0, 0)  # blue, in OpenCV's order


def test_webcam_records_to_the_end_of_a_clip(example: Example, make_clip: MakeClip, tmp_path: Path) -> None:
    clip, target = make_clip(tmp_path / "clip.mp4", 12), tmp_path / "result.mp4"
    assert example("webcam.py", clip, "--background", "#0000ff", "--record", target) == 0
    frames = frames_of(target)
    assert len(frames) == 12
    assert np.abs(frames[-1][5:15, 300:].astype(int) - (0, 0, 255)).max() < 30


def test_webcam_ends_cleanly_on_ctrl_c(make_clip: MakeClip, tmp_path: Path) -> None:
    clip, target = make_clip(tmp_path / "clip.mp4", 150), tmp_path / "result.mp4"
    command = [sys.executable, str(ROOT / "examples" / "webcam.py"), str(clip), "--record", str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not target.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "stopped" in printed
    assert 0 < len(frames_of(target)) < 150


def test_webcam_without_a_camera(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cv2")
    assert example("webcam.py", "there-is-no-such-file.mp4") == 1
    assert "cannot open 'there-is-no-such-file.mp4'" in capsys.readouterr().err


def test_gpu_arrays_without_a_gpu(
    example: Example, astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.conftest import no_gpu

    if no_gpu() is None:
        pytest.skip("there is a GPU here; tests/gpu/test_gpu_arrays_example.py runs the example on it")
    assert example("gpu_arrays.py", astronaut, "pycuda", tmp_path / "alpha.png") == 1
    assert "this example needs a GPU: device='cuda'" in capsys.readouterr().err
    assert not (tmp_path / "alpha.png").exists()


@pytest.mark.slow
def test_train_export_run(example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightning")
    work = tmp_path / "work"
    arguments = (work, "--size", 64, "--epochs", 2, "--count", 12)
    assert example("train_export_run.py", *arguments) == 0
    assert "verified: True" in capsys.readouterr().out
    assert (work / "model.onnx").stat().st_size > 4_000_000
    cutout = Image.open(work / "cutout.png")
    assert (cutout.mode, cutout.size) == ("RGBA", (224, 224))
    assert example("train_export_run.py", *arguments) == 2  # the folder is taken
