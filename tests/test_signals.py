# SPDX-License-Identifier: Apache-2.0
"""Exceptions of signal handlers come out as they are, and a command that is ended removes its unfinished files."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import fakes, small_models
from tests.fakes import TIMEOUT_S, Gate, is_tag, join

from rmbg_trt import Engine, NetworkError
from rmbg_trt.image import read_image
from rmbg_trt.signals import raised_by_handler

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs POSIX signals")


class TimeLimitError(Exception):
    """As Celery's: raised by its handler of SIGUSR1."""


def raises(number: int, frame: object) -> None:
    raise TimeLimitError


class Handler:
    def __call__(self, number: int, frame: object) -> None:
        raises(number, frame)

    def method(self, number: int, frame: object) -> None:
        raises(number, frame)


@pytest.fixture
def handle() -> Iterator[Callable[[Any], None]]:
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler) and None
    signal.signal(signal.SIGUSR1, before)


def once(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise TimeLimitError


HANDLERS = {
    "function": raises,
    "object": Handler(),
    "method": Handler().method,
    "partial": functools.partial(raises),
    "lambda": lambda number, frame: raises(number, frame),
    "any arguments": lambda *arguments: raises(*arguments),
    "once": once,
}


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_an_exception_of_a_handler_comes_out_of_a_frame(
    fake_engine: Callable[..., Engine], handle: Callable[[Any], None], handler: Any
) -> None:
    gate = Gate()
    engine = fake_engine(gate, stretch="none")

    for call in (engine.run, lambda frame: engine.submit(frame).result()):
        handle(handler)
        thread = gate.signal_inside(signal.SIGUSR1)
        with pytest.raises(TimeLimitError):
            call(fakes.tagged(1))
        join(thread)
    gate.open.set()
    assert is_tag(engine.run(fakes.tagged(2)), 2)


def test_a_failure_of_the_network_is_one_whatever_the_handlers(
    fake_engine: Callable[..., Engine], handle: Callable[[Any], None]
) -> None:
    handle(raises)

    def fails(_: object) -> float:
        raise TimeLimitError("its own")

    with pytest.raises(NetworkError, match="its own"):
        fake_engine(fails).run(fakes.tagged(1))


@pytest.mark.parametrize("runtime", ["native", "openvino"])
def test_an_exception_of_a_handler_comes_out_of_a_runtime(
    tmp_path: Path, handle: Callable[[Any], None], runtime: str
) -> None:
    """A timer interrupts frames at many moments, most of them while the network runs."""
    if runtime == "openvino":
        pytest.importorskip("openvino")
    frame = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    model = small_models.matte(tmp_path / "model.onnx", 256, 256)
    with Engine(model, device="cpu", runtime=runtime) as engine:
        expected = engine.run(frame)
        before = signal.signal(signal.SIGALRM, raises)

        def run_until(seconds: float) -> None:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            while True:
                engine.run(frame)

        try:
            for i in range(100):
                with pytest.raises(TimeLimitError):
                    run_until(0.002 + 0.00037 * (i % 20))
        finally:
            signal.signal(signal.SIGALRM, before)
        assert np.array_equal(engine.run(frame), expected)


def test_an_exception_of_a_handler_comes_out_of_opening_a_file(
    tmp_path: Path, handle: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(1)

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    model = small_models.matte(tmp_path / "model.onnx", 32, 32)
    handle(raises)
    with monkeypatch.context() as patched:
        patched.setattr(Image, "open", interrupted)
        with pytest.raises(TimeLimitError):
            read_image(tmp_path / "a.png")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", interrupted)
        with pytest.raises(TimeLimitError):
            Engine(model, device="cpu", runtime="native")


def test_a_direct_call_of_a_handler_is_no_signal() -> None:
    with pytest.raises(TimeLimitError) as raised:
        raises(signal.SIGUSR1, None)
    assert not raised_by_handler(raised.tb)


_WRITES = """
import sys, time
import rmbg_trt.cli
from rmbg_trt.files import atomic_file, atomic_folder, atomic_path

def write():
    with atomic_file("a.png") as a, atomic_path("b.mp4") as b, atomic_folder("c") as c:
        a.write(b"half"), b.write_bytes(b"half"), (c / "d.png").write_bytes(b"half")
        print("ready", flush=True)
        while not wait():
            time.sleep(0.01)  # not once for long: a signal right before a sleep does not end it

def wait():
    return len(sys.argv) > 1 and input() == ""

rmbg_trt.cli.app = write
rmbg_trt.cli.main()
"""


@contextlib.contextmanager
def _ready(script: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A script in a process of its own, once it has printed "ready"."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        **options,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_command_that_is_ended_removes_its_unfinished_files(tmp_path: Path, name: str) -> None:
    number = getattr(signal, name)
    with _ready(
        _WRITES,
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert len(list(tmp_path.iterdir())) == 3
        process.send_signal(number)
        code = process.wait(TIMEOUT_S)
    assert code in ((-number,) if name == "SIGINT" else (128 + number,))
    assert list(tmp_path.iterdir()) == []


_FINALIZER = """
import sys, time
import rmbg_trt.cli

class Slow:
    def __del__(self):
        print("ready", flush=True)
        for _ in range(100):
            time.sleep(0.01)

def slow():
    slow = Slow()
    del slow
    while True:
        time.sleep(0.01)

rmbg_trt.cli.app = slow
rmbg_trt.cli.main()
"""


_WRAPS = """
import time
import rmbg_trt.cli

def wraps():
    try:
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
    except BaseException as error:
        raise RuntimeError("of a library") from error

rmbg_trt.cli.app = wraps
rmbg_trt.cli.main()
"""


@pytest.mark.parametrize("script", [_FINALIZER, _WRAPS], ids=["ignored", "wrapped"])
def test_an_exception_that_gets_lost_ends_the_command_all_the_same(script: str) -> None:
    with _ready(script, stderr=subprocess.PIPE) as process:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, said) == (128 + signal.SIGTERM, b"")


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    with _ready(
        _WRITES,
        "until enter",
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    ) as process:
        process.send_signal(signal.SIGHUP)
        process.communicate(b"\n", TIMEOUT_S)
    assert process.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.mp4", "c"]
