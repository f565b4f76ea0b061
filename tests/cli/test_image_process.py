# SPDX-License-Identifier: Apache-2.0
"""``rmbg-trt image`` in real processes, with a real engine: pipes, signals, a full disk, a watched folder."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rmbg_trt
from rmbg_trt import models

TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def bright_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose alpha is the brightness: it needs no weights, and its answer is known."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("openvino")
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["mean"]), helper.make_node("Sigmoid", ["mean"], ["y"])],
        "bright",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 64, 64])],
        [numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("model") / "bright.onnx"
    onnx.save(model, str(path))
    return path


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(bright_model: Path) -> Iterator[Start]:
    """Starts the command in a process of its own, with the model above."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object, model: object = bright_model) -> subprocess.Popen[bytes]:
        call = [sys.executable, "-c", "from rmbg_trt.cli import main; main()", "image", *map(str, arguments)]
        call += ["--model", str(model), "--runtime", "openvino", "--device", "cpu"]
        source = str(Path(rmbg_trt.__file__).parents[1])
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "",
            "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]),
        }
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(call, stdin=pipe, stdout=pipe, stderr=pipe, env=environment))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def noisy_folder(folder: Path, count: int) -> Path:
    """Pictures that take a while to write: noise, bright on the left, dark on the right."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 56, (400, 400, 3), np.uint8)
    pixels[:, :200] += 200
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", compress_level=1)
    for i in range(count):
        (folder / f"{i:03}.png").write_bytes(data.getvalue())
    return folder


def whole_images(folder: Path) -> list[str]:
    """The pictures in a folder, each decoded to its end; a half file raises."""
    done = sorted(folder.glob("[!.]*"))
    for path in done:
        with Image.open(path) as image:
            image.load()
            assert image.size == (400, 400)
    return [path.name for path in done]


def test_a_real_engine_through_a_pipe(start: Start, tmp_path: Path) -> None:
    source = noisy_folder(tmp_path / "in", 1) / "000.png"
    process = start("-", "--output", "alpha")
    image, errors = process.communicate(source.read_bytes(), timeout=TIMEOUT_S)
    assert process.returncode == 0
    alpha = np.asarray(Image.open(io.BytesIO(image))).astype(int)
    assert alpha.shape == (400, 400)
    assert alpha[:, :180].min() > 180
    assert alpha[:, 220:].max() < 75
    assert b"64x64 on cpu" in errors.splitlines()[0]


SHELL = pytest.mark.skipif(not Path("/dev/fd").exists() or not shutil.which("bash"), reason="needs bash")


@pytest.fixture
def in_bash(bright_model: Path, tmp_path: Path) -> Callable[[str], tuple[int, bytes, str]]:
    """Runs a line of bash in which $RMBG is the command: exit code, stdout and what it said besides its first line."""
    image = Image.new("RGB", (40, 30), (200, 100, 50))
    image.save(tmp_path / "a.png")

    def run(line: str) -> tuple[int, bytes, str]:
        rmbg = f"{sys.executable} -c 'from rmbg_trt.cli import main; main()' image --model {bright_model}"
        source = str(Path(rmbg_trt.__file__).parents[1])
        path = os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            ["bash", "-c", line.replace("$RMBG", f"{rmbg} --runtime openvino --device cpu")],
            cwd=tmp_path, capture_output=True, timeout=TIMEOUT_S, env={**os.environ, "PYTHONPATH": path}, check=False,
        )  # fmt: skip
        errors = [line for line in done.stderr.decode().splitlines() if " on cpu (" not in line]
        return done.returncode, done.stdout, "\n".join(errors)

    return run


@SHELL
@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    ["$RMBG <(cat a.png) -o o.png", "cat a.png | $RMBG /dev/stdin -o o.png", "$RMBG /dev/stdin -o o.png < a.png"],
)
def test_pipes_by_any_name(in_bash: Callable[[str], tuple[int, bytes, str]], tmp_path: Path, line: str) -> None:
    assert in_bash(line) == (0, b"", "")
    assert Image.open(tmp_path / "o.png").size == (40, 30)


@SHELL
@pytest.mark.slow
@pytest.mark.parametrize("line", ["$RMBG <(cat a.png)", "$RMBG a.png -o /dev/stdout"])
def test_a_pipe_without_a_target_goes_to_stdout(in_bash: Callable[[str], tuple[int, bytes, str]], line: str) -> None:
    code, image, errors = in_bash(line)
    assert (code, errors) == (0, "")
    assert Image.open(io.BytesIO(image)).size == (40, 30)


@SHELL
@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("$RMBG - -o o.png <&-", 2, "stdin is closed"),
        ("$RMBG - -o o.png < /dev/zero --max-pixels 1000", 1, "stdin has more than 67,116,864 bytes, too many for"),
        ("$RMBG /dev/zero -o o.png", 1, "/dev/zero is not an image"),
        ("$RMBG <(cat a.png) <(cat a.png) -o out", 2, "is a pipe or a device; give it alone"),
        ("$RMBG <(true) -o o.png", 1, "is empty"),
        ("$RMBG a.png -o o.png --background <(true)", 2, "is empty"),
    ],
)
def test_pipes_that_cannot_work_end_in_one_line(
    in_bash: Callable[[str], tuple[int, bytes, str]], line: str, code: int, reason: str
) -> None:
    ended, output, errors = in_bash(line)
    assert (ended, output) == (code, b"")
    assert reason in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_a_folder_does_not_hold_the_rest_up(start: Start, tmp_path: Path) -> None:
    os.mkfifo(noisy_folder(tmp_path / "in", 2) / "pipe.jpg")
    _, errors = (process := start(tmp_path / "in", "-o", tmp_path / "out")).communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    assert whole_images(tmp_path / "out") == ["000.png", "001.png"]
    assert b"is skipped" in errors


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_signal_ends_the_wait_for_a_pipe(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    process = start(tmp_path / "pipe.jpg", "-o", tmp_path / "o.png")
    time.sleep(3)  # by then it waits, and it says nothing before: the image is opened before the model
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.jpg"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_whole_files_and_the_job_resumes(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    count = 150
    job = (noisy_folder(tmp_path / "in", count), "-o", tmp_path / "out", "--jobs", 3)
    process = start(*job)
    wait_for(lambda: len(list((tmp_path / "out").glob("*.png"))) >= 3, process)
    process.send_signal(number)
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, output) == (128 + number, b"")
    found = re.search(r"Interrupted: (\d+) done, (\d+) left\.", errors.decode())
    assert found, errors
    done = whole_images(tmp_path / "out")
    assert 3 <= len(done) < count
    assert (int(found[1]), int(found[2])) == (len(done), count - len(done))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == done  # no temporary file either
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in done}
    again = start(*job)
    _, errors = again.communicate(timeout=TIMEOUT_S)
    assert again.returncode == 0
    assert f"{count - len(done)} done in {tmp_path / 'out'}, {len(done)} skipped, 0 failed" in errors.decode()
    assert len(whole_images(tmp_path / "out")) == count
    assert times == {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in done}


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_killed_job_leaves_no_half_file(start: Start, tmp_path: Path) -> None:
    process = start(noisy_folder(tmp_path / "in", 150), "-o", tmp_path / "out")
    wait_for(lambda: len(list((tmp_path / "out").glob("*.png"))) >= 3, process)
    process.kill()
    process.wait()
    assert 3 <= len(whole_images(tmp_path / "out")) < 150


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_watching_until_ctrl_c(start: Start, tmp_path: Path) -> None:
    folder = noisy_folder(tmp_path / "in", 2)
    process = start(folder, "-o", tmp_path / "out", "--watch")
    wait_for(lambda: len(list((tmp_path / "out").glob("*.png"))) == 2, process)
    data = (folder / "000.png").read_bytes()
    with (folder / "late.png").open("wb") as late:
        for part in (data[:1000], data[1000:2000], data[2000:]):  # it grows for longer than one look
            late.write(part)
            late.flush()
            time.sleep(0.6)
    wait_for((tmp_path / "out" / "late.png").exists, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    assert "Stopped: 3 done, 0 failed" in errors.decode()
    assert whole_images(tmp_path / "out") == ["000.png", "001.png", "late.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_disk_that_fills_up_fails_each_image_clearly(start: Start, tmp_path: Path) -> None:
    import resource

    folder = noisy_folder(tmp_path / "in", 2)
    Image.new("RGB", (400, 400), "white").save(folder / "small.png")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # the process inherits it
    try:
        process = start(folder, "-o", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert errors.decode().count("could not be written: File too large") == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.png"]


@pytest.mark.parametrize("side", [8, 400])  # one that stays in Python's buffer until the end, and one that does not
def test_a_reader_that_goes_away_is_no_traceback(start: Start, tmp_path: Path, side: int) -> None:
    source = tmp_path / "a.png"
    Image.new("RGB", (side, side), (200, 100, 50)).save(source)
    process = start(source, "-o", "-")
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    errors = process.stderr.read().decode()
    assert process.wait(TIMEOUT_S) == 1
    assert "stdout could not be written" in errors
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


@pytest.mark.weights
def test_a_photograph_with_the_official_weights(start: Start, tmp_path: Path) -> None:
    data = pytest.importorskip("skimage.data")
    try:
        weights = models.resolve("u2netp")
    except rmbg_trt.UnavailableError as error:
        pytest.skip(f"the weights cannot be had: {error}")
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    process = start(tmp_path / "astronaut.png", "-o", tmp_path / "out.png", model=weights)
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    cutout = np.asarray(Image.open(tmp_path / "out.png"))
    assert cutout.shape == (512, 512, 4)
    assert cutout[150, 220, 3] > 250  # her face
    assert cutout[20, 470].tolist() == [0, 0, 0, 0]  # the shuttle's corner behind her
    np.testing.assert_array_equal(cutout[150, 220, :3], data.astronaut()[150, 220])
