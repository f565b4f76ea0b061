# SPDX-License-Identifier: Apache-2.0
"""The end of the interpreter, with threads of all kinds still at work: the process ends in order, with exit code 0."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests import small_models

WHOLE = """
import sys, threading, time
import numpy as np
from rmbg_trt import Engine, VideoMatter, _core

engine = Engine(sys.argv[1], device="cpu", runtime=sys.argv[2], slots=2)
frame = np.zeros((700, 900, 3), np.uint8)
engine.run(frame)

def work(call):
    while True:
        try:
            call()
        except Exception:
            pass  # the engine is closed: go on, as a server's thread does

def start(call, daemon=True):
    threading.Thread(target=work, args=(call,), daemon=daemon).start()

"""

STATES = {
    "in run": "for _ in range(4): start(lambda: engine.run(frame))",
    "in a blurred background": "start(lambda: engine.run(frame, output='composite', background='blur:20'))",
    "in result": "start(lambda: engine.submit(frame).result())",
    "in map": "start(lambda: list(engine.map([frame] * 20)))",
    "in close": "start(engine.close); start(lambda: engine.run(frame))",
    "in an operation of the core": "start(lambda: _core.gaussian_blur(frame, 9.0))",
    "in a video": "matter = VideoMatter(engine, refine=False); start(lambda: matter.submit(frame).result())",
    "tickets that nobody waits for": "tickets = [engine.submit(frame) for _ in range(9)]",
    "a generator half way": "results = engine.map(frame for _ in iter(int, 1)); next(results); next(results)",
    "an engine in a cycle": "engine.itself = engine; engine.submit(frame); del engine",
}


def end(script: str, model: Path, runtime: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WHOLE + script, str(model), runtime]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["native", "openvino"])
@pytest.mark.parametrize("state", STATES)
def test_exit(tmp_path: Path, state: str, runtime: str) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    model = small_models.matte(tmp_path / "model.onnx", 96, 96)
    for delay in ("0.05", "0.013"):
        done = end(f"{STATES[state]}\ntime.sleep({delay})", model, runtime)
        assert (done.returncode, done.stderr) == (0, "")


def test_exit_by_an_exception(tmp_path: Path) -> None:
    model = small_models.matte(tmp_path / "model.onnx", 96, 96)
    done = end(f"{STATES['in run']}\ntime.sleep(0.02)\nraise SystemExit(3)", model, "native")
    assert (done.returncode, done.stderr) == (3, "")
