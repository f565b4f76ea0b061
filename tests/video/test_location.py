# SPDX-License-Identifier: Apache-2.0
"""Where clips come from: files with odd names, URLs, standard input and named pipes, sequences and animated images."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.live.http_server import Server, serving
from tests.video.clips import decode, make_clip, pictures, smooth, times, worst

from rmbg_trt import Engine
from rmbg_trt.errors import Error, InputError
from rmbg_trt.video import VideoJob, location, matte_video
from rmbg_trt.video.location import Location

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as http_server:
        yield http_server


@pytest.mark.skipif(os.name == "nt", reason="Windows allows no colon in names")
def test_a_colon_is_no_protocol(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(Path("a.mp4"), 3).rename("2024-01-01T12:30:00.mp4")
    for target in ("http:o.mkv", "o:1.mov"):
        assert matte_video("2024-01-01T12:30:00.mp4", target, engine=engine).frames == 3
        assert len(decode(tmp_path / target)) == 3


@pytest.mark.parametrize(
    ("text", "kind", "name", "stem"),
    [
        ("-", "pipe", "standard input", "stdin"),
        ("http://me:secret@host:81/a/b.mp4?x=1", "url", "http://host:81/a/b.mp4?x=1", "b"),
        ("rtsp://host", "url", "rtsp://host", "url"),
        ("https://host/c.mp4?" + "k" * 999, "url", "https://host/c.mp4?" + "k" * 999, "c"),
        ("n" * 999, "file", "n" * 999, "n" * 999),
        ("in/f_%03d.png", "sequence", "in/f_%03d.png", "f"),
        ("in/%d.png", "sequence", "in/%d.png", "sequence"),
        ("talk 100%.mp4", "file", "talk 100%.mp4", "talk 100%"),
        ("C:/a.mp4", "file", "C:/a.mp4", "a"),
    ],
)
def test_kinds(text: str, kind: str, name: str, stem: str) -> None:
    found = Location.of(text)
    assert (found.kind, found.name, found.stem) == (kind, name, stem)


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("n" * 999, "a\0b.mp4"):
        with pytest.raises(InputError, match="does not exist"):
            VideoJob(name, tmp_path / "o.mov")


def test_a_file_whose_name_looks_like_a_pattern(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "f_%03d.mp4", 3)
    assert matte_video(clip, tmp_path / "o.mkv", engine=engine).frames == 3


# ---- sequences -------------------------------------------------------------------------------------------------------


def sequence(folder: Path, numbers: list[int], pattern: str = "f_%03d.png") -> Path:
    folder.mkdir()
    for number in numbers:
        Image.fromarray(smooth(number)).save(folder / (pattern % number))
    (folder / "other_001.png").write_bytes(b"another sequence")
    return folder / pattern


@pytest.mark.parametrize(("pattern", "first"), [("f_%03d.png", 0), ("f_%03d.png", 998), ("%d.png", 8)])
def test_a_sequence_of_images(engine: Engine, tmp_path: Path, pattern: str, first: int) -> None:
    """From its first number on, also where a number has more digits than the pattern."""
    numbers = list(range(first, first + 4))
    images = sequence(tmp_path / "50% of it", numbers, pattern)
    matte_video(images, tmp_path / "o.mkv", engine=engine, background="red", codec="ffv1")
    for number, frame in zip(numbers, pictures(tmp_path / "o.mkv"), strict=True):
        assert worst(frame[:, :20], smooth(number)[:, :20]) <= 1
    assert times(tmp_path / "o.mkv") == [Fraction(n, 25) for n in range(4)]
    matte_video(images, tmp_path / "p.mov", engine=engine, fps=Fraction(24))
    assert times(tmp_path / "p.mov") == [Fraction(n, 24) for n in range(4)]


def test_a_sequence_with_a_gap_is_refused(tmp_path: Path) -> None:
    images = sequence(tmp_path / "a", [3, 4, 6])
    with pytest.raises(InputError, match=r"f_%03d.png: number 5 is missing between 3 and 6"):
        VideoJob(images, tmp_path / "o.mov")
    with pytest.raises(InputError, match="does not exist, and there is no image of such a name"):
        VideoJob(tmp_path / "a" / "g_%03d.png", tmp_path / "o.mov")


def test_a_sequence_does_not_replace_itself(engine: Engine, tmp_path: Path) -> None:
    images = sequence(tmp_path / "a", [1, 2])
    (tmp_path / "a" / "other_001.png").unlink()
    with pytest.raises(InputError, match="holds the input itself"):
        matte_video(images, images, engine=engine, overwrite=True)


# ---- servers and pipes -----------------------------------------------------------------------------------------------


def test_a_url(engine: Engine, server: Server, tmp_path: Path) -> None:
    server.file = make_clip(tmp_path / "a.mp4", 5).read_bytes()
    assert matte_video(server.url("/file.mp4"), tmp_path / "o.mkv", engine=engine).frames == 5
    with pytest.raises(InputError, match=r"http://127.*/nothing.mp4 cannot be opened .*check the address") as caught:
        matte_video(server.url("/nothing.mp4"), tmp_path / "p.mkv", engine=engine)
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_a_server_that_falls_silent(
    engine: Engine, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came is written, and the result says that it is not complete."""
    monkeypatch.setattr(location, "READ_TIMEOUT_S", 0.5)
    server.frames, server.silent = 40, True
    result = matte_video(server.url("/mjpeg"), tmp_path / "o.mkv", engine=engine)
    assert 0 < result.frames <= 40
    assert result.broken_off == "no answer within the time limit"
    assert not result.complete


@pytest.mark.slow
@posix
def test_standard_input(small_model: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", 5)
    script = "from rmbg_trt.cli import main; main()"
    command = [sys.executable, "-c", script, "video", "-", "-o", "out/", "--model", str(small_model)]
    done = subprocess.run(command, input=clip.read_bytes(), stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert len(decode(tmp_path / "out" / "stdin_cutout.mov")) == 5
    closed = subprocess.run([*command[:-4], "-o", "b.mov", *command[-2:]], stdin=subprocess.DEVNULL, cwd=tmp_path,
                            stderr=subprocess.PIPE, check=False)  # fmt: skip
    assert closed.returncode == 1
    assert b"standard input cannot be read as a video" in closed.stderr


@posix
def test_a_named_pipe(engine: Engine, tmp_path: Path) -> None:
    data = make_clip(tmp_path / "a.mkv", 5).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(data))
    writer.start()
    assert matte_video(tmp_path / "pipe", tmp_path / "o.mkv", engine=engine).frames == 5
    writer.join()


@posix
def test_a_pipe_to_which_nobody_writes(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location, "PIPE_TIMEOUT_S", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Error, match=r"pipe: nothing came for 0\.2 s"):
        matte_video(tmp_path / "pipe", tmp_path / "o.mkv", engine=engine)


# ---- animated images -------------------------------------------------------------------------------------------------

DURATIONS = [40, 80, 40, 120]


def animated(path: Path) -> list[Image.Image]:
    """Saves an animated image with a different opacity in each frame."""
    alphas = [np.full((48, 64), 255 if path.suffix == ".gif" else 80 + 40 * n, np.uint8) for n in range(4)]
    images = [Image.fromarray(np.dstack([smooth(4 * n), alpha])) for n, alpha in enumerate(alphas)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=DURATIONS, lossless=True, loop=0)
    return images


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "avif"])
def test_an_animated_image_is_a_clip(fake_engine: Callable[..., Engine], tmp_path: Path, suffix: str) -> None:
    images = animated(tmp_path / f"a.{suffix}")
    everything = fake_engine(lambda tensor: np.ones(tensor.shape[2:], np.float32), color="rgb", stretch="none")
    matte_video(tmp_path / f"a.{suffix}", tmp_path / "o.mkv", engine=everything)
    assert times(tmp_path / "o.mkv") == [Fraction(sum(DURATIONS[:n]), 1000) for n in range(4)]
    tolerance = 60 if suffix == "gif" else 12 if suffix == "avif" else 1
    for image, frame in zip(images, pictures(tmp_path / "o.mkv", "rgba"), strict=True):
        assert worst(np.asarray(image), frame) <= tolerance


def test_a_damaged_animated_image(engine: Engine, tmp_path: Path) -> None:
    animated(tmp_path / "a.webp")
    data = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "b.webp").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"b\.webp is damaged"):
        matte_video(tmp_path / "b.webp", tmp_path / "o.mkv", engine=engine)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animated_background_plays(engine: Engine, tmp_path: Path, suffix: str) -> None:
    grays = [Image.new("RGB", (64, 48), (40 + 50 * n,) * 3) for n in range(3)]
    grays[0].save(tmp_path / f"b.{suffix}", save_all=True, append_images=grays[1:], duration=100, lossless=True, loop=0)
    clip = make_clip(tmp_path / "a.mp4", 12, rate=20)
    matte_video(clip, tmp_path / "o.mkv", engine=engine, background=tmp_path / f"b.{suffix}", codec="ffv1")
    seen = [round((int(frame[5, 60, 1]) - 40) / 50) for frame in pictures(tmp_path / "o.mkv")]
    assert seen == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]


@posix
def test_ctrl_c_ends_the_wait_for_a_silent_server() -> None:
    code = "import sys; from rmbg_trt.video.location import Location as L; print(flush=True); L.of(sys.argv[1]).open()"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/clip.mp4"
        process = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        connection, _ = listening.accept()
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        connection.close()
    assert time.monotonic() - started < 10 < location.OPEN_TIMEOUT_S
    assert process.returncode == -signal.SIGINT
    assert said.endswith(b"KeyboardInterrupt\n")
