# SPDX-License-Identifier: Apache-2.0
"""Models read with OpenVINO: which are accepted, at which sizes, and that the results are those of ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import reference, small_models

from rmbg_trt import Engine, InputError, ModelError


def engine_of(model: Path, **options: Any) -> Engine:
    return Engine(model, **{"runtime": "openvino", "precision": "fp32", "color": "rgb", "slots": 1, **options})


def check(model: Path, expected_size: tuple[int, int], *, oracle: Path | None = None, **options: Any) -> None:
    """Against ONNX Runtime on the same model, or on ``oracle``, the same layers made for that size."""
    rgb = reference.photograph("rocket")
    with engine_of(model, **options) as engine:
        assert engine.info.runtime == "openvino"
        assert engine.info.input_size == expected_size
        difference = engine.run(rgb).astype(int) - reference.model_alpha(oracle or model, rgb, expected_size)
    assert np.abs(difference).max() <= 1, "only truncation at a step may differ"


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (37, 51)])
def test_models_of_a_fixed_size(tmp_path: Path, size: tuple[int, int]) -> None:
    check(small_models.matte(tmp_path / "model.onnx", *size), size)


_IN_TURN = """
import gc, os, pathlib, signal, sys, time
from rmbg_trt import Engine

engines = [Engine(pathlib.Path(sys.argv[1]), device="cpu", runtime="openvino") for _ in range(3)]
while engines:
    engines.pop(0).close()
    gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process on Windows")
def test_ctrl_c_after_engines_that_went_in_the_order_they_came(tmp_path: Path) -> None:
    """OpenVINO left Python's signal handler with a stack that was gone; see `shared_core`."""
    model = small_models.matte(tmp_path / "model.onnx", 64, 64)
    command = [sys.executable, "-c", _IN_TURN, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_models_of_an_open_size(tmp_path: Path) -> None:
    model = small_models.matte(tmp_path / "model.onnx", "height", "width")
    check(model, (320, 320))
    check(model, (96, 96), size=96)
    check(model, (64, 128), size=(64, 128))
    half_open = small_models.matte(tmp_path / "half.onnx", 64, "width")
    check(half_open, (64, 320))
    check(half_open, (64, 100), size=(64, 100))


def test_a_fixed_size_is_reshaped_where_the_layers_allow_it(small_model: Path, tmp_path: Path) -> None:
    oracle = small_models.matte(tmp_path / "open.onnx", "height", "width")
    check(small_model, (64, 64), oracle=oracle, size=64)
    check(small_model, (48, 96), oracle=oracle, size=(48, 96))
    check(small_models.matte(tmp_path / "half.onnx", 64, "width"), (96, 96), oracle=oracle, size=96)


def test_a_size_that_the_layers_do_not_allow_is_refused(tmp_path: Path) -> None:
    model = small_models.rigid(tmp_path / "rigid.onnx", 48, 64)
    check(model, (48, 64))
    with pytest.raises(InputError, match=r"size 64x64 does not work with rigid.onnx \(.*leave size out"):
        engine_of(model, size=64)


def test_the_first_of_several_outputs_is_taken(tmp_path: Path) -> None:
    check(small_models.matte(tmp_path / "model.onnx", 64, 64, outputs=7), (64, 64))


def test_an_output_of_another_size(tmp_path: Path) -> None:
    check(small_models.half_size(tmp_path / "model.onnx", 64), (64, 64))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (small_models.two_inputs, "has 2 inputs \\(image, depth\\); expected one image"),
        (
            lambda path: small_models.matte(path, 32, 32, channels=4),
            "its input is .*4.*; expected \\(1, 3, height, width\\)",
        ),
        (small_models.three_maps, "its first output is .*3, 32, 32.*; expected one map"),
        (small_models.classifier, "its first output is .*10.*; expected one map"),
        (small_models.byte_input, "its input is .*u.*8.*; expected float32"),
        (small_models.flat_input, "its input is .*; expected \\(1, 3, height, width\\)"),
    ],
)
@pytest.mark.parametrize("runtime", ["openvino", "native", "auto"])
def test_other_networks_are_refused(tmp_path: Path, make: Callable[[Path], Path], words: str, runtime: str) -> None:
    model = make(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=words) as caught:
        engine_of(model, runtime=runtime)
    assert str(caught.value).startswith(str(model))
