# SPDX-License-Identifier: Apache-2.0
"""The doctor's advice; and the trial run on fake engines that work, fail and answer wrongly, and once for real."""

from __future__ import annotations

import dataclasses
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmbg_trt import doctor, models
from rmbg_trt.doctor.report import check_alpha, driver_needed, trial_frame
from rmbg_trt.errors import UnavailableError

NO_GPU = doctor.Nvidia(None, (), None, None, None)
GPU = doctor.Nvidia("580.95.05", (doctor.Gpu("NVIDIA H200", 143771, "9.0"),), None, None, None)
NO_CUDA = doctor.Core("1", "g", False, None, "", (), None)
CUDA = doctor.Core("1", "g", True, "13.0", "90", ("NVIDIA H200",), None)
CACHE = doctor.Cache("/cache", True, 0, {})
OPENVINO = doctor.Package("OpenVINO", "", True, "1", "get-openvino")
NO_OPENVINO = dataclasses.replace(OPENVINO, installed=False)
TENSORRT = doctor.Package("TensorRT", "", True, "1", "get-tensorrt")
NO_TENSORRT = dataclasses.replace(TENSORRT, installed=False)


@pytest.mark.parametrize(
    ("nvidia", "core", "packages", "expected"),
    [
        (NO_GPU, NO_CUDA, (OPENVINO, NO_TENSORRT), []),
        (GPU, CUDA, (OPENVINO, TENSORRT), []),
        (GPU, CUDA, (OPENVINO, NO_TENSORRT), ["To use the GPU: get-tensorrt"]),
        (GPU, NO_CUDA, (OPENVINO, TENSORRT), ["CMAKE_ARGS=-DRMBG_CUDA=ON"]),
        (NO_GPU, NO_CUDA, (NO_OPENVINO, TENSORRT), []),
        (
            dataclasses.replace(GPU, driver="550.54.15"),
            dataclasses.replace(CUDA, devices=(), problem="driver too old"),
            (OPENVINO, TENSORRT),
            [r"driver 550\.54\.15 is too old for this build \(CUDA 13\.0\): install 580 or newer"],
        ),
        (
            GPU,
            dataclasses.replace(CUDA, devices=(), problem="no permission"),
            (OPENVINO, TENSORRT),
            ["cannot use the GPU: no permission"],
        ),
        (
            dataclasses.replace(NO_GPU, problem="NVML mismatch"),
            NO_CUDA,
            (OPENVINO, TENSORRT),
            ["does not answer: NVML mismatch"],
        ),
    ],
)
def test_advice(
    nvidia: doctor.Nvidia,
    core: doctor.Core,
    packages: tuple[doctor.Package, ...],
    expected: list[str],
) -> None:
    advice = doctor.advise(nvidia, core, packages, CACHE)
    assert len(advice) == len(expected)
    for line, pattern in zip(advice, expected, strict=True):
        assert re.search(pattern, line)


@pytest.mark.parametrize(("cuda", "driver"), [("12.9", 525), ("13.0", 580), ("11.8", None), (None, None), ("", None)])
def test_the_driver_needed(cuda: str | None, driver: int | None) -> None:
    assert driver_needed(cuda) == driver


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMBG_TRT_HOME", str(tmp_path / "home"))


@dataclasses.dataclass(frozen=True)
class Info:
    device: str = "cpu"
    reason: str = "because"


def right_alpha(frame: Any) -> Any:
    """The ball of `trial_frame`, found by its color."""
    return np.where(frame[..., 2] > 100, 255, 0).astype(np.uint8)


def engine_module(monkeypatch: pytest.MonkeyPatch, run: Any, made: list[Any]) -> None:
    class Engine:
        info = Info()

        def __init__(self, model: Any) -> None:
            made.append(model)

        def __enter__(self) -> Engine:
            return self

        def __exit__(self, *_: object) -> None:
            made.append("closed")

        def run(self, frame: Any) -> Any:
            return run(frame)

    module = types.ModuleType("rmbg_trt.engine")
    module.Engine = Engine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rmbg_trt.engine", module)


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "model.onnx").write_bytes(b"x")
    return str(tmp_path / "model.onnx")


def test_the_trial_frame_has_an_object() -> None:
    frame = trial_frame(101, 203)
    assert (frame.shape, frame.dtype) == ((101, 203, 3), np.uint8)
    assert frame[50, 101, 2] > 200  # BGR: the ball is orange
    assert frame[50, 101, 0] < 80
    assert frame[:10].max() < 100
    assert check_alpha(right_alpha(trial_frame()), trial_frame()) == ""


def test_a_trial_that_works(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    made: list[Any] = []
    engine_module(monkeypatch, right_alpha, made)
    trial = doctor.trial_run(model)
    assert made == [model, "closed"]
    assert (trial.ok, trial.reason, trial.info) == (True, "because", {"device": "cpu", "reason": "because"})
    assert trial.start_ms is not None
    assert trial.frame_ms is not None
    assert 0 < trial.frame_ms < 5000


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [
        (
            lambda frame: right_alpha(frame)[:, 1:],
            r"got an alpha of shape \(480, 639\), uint8; expected \(480, 640\), uint8",
        ),
        (lambda frame: right_alpha(frame).astype(np.float32), "float32"),
        (lambda frame: 255 - right_alpha(frame), "0 of 255 on the object, 255 on the background"),
        (lambda frame: np.zeros(frame.shape[:2], np.uint8), "0 of 255 on the object"),
        (lambda frame: np.full(frame.shape[:2], 255, np.uint8), "255 on the background"),
    ],
)
def test_a_trial_with_a_wrong_alpha_fails(alpha: Any, reason: str, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    engine_module(monkeypatch, alpha, [])
    trial = doctor.trial_run(model)
    assert not trial.ok
    assert re.search(reason, trial.reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnavailableError("no runtime: install one"), "no runtime: install one"),
        (ImportError("No module named 'x'"), "the installation of rmbg-trt is incomplete (No module named 'x')"),
        (MemoryError("too big"), "unexpected MemoryError: too big"),
    ],
)
def test_a_trial_that_raises_is_a_result(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    def run(frame: Any) -> Any:
        raise error

    made: list[Any] = []
    engine_module(monkeypatch, run, made)
    trial = doctor.trial_run(model)
    assert not trial.ok
    assert reason in trial.reason
    assert made[-1] == "closed"


def test_a_trial_without_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    engine_module(monkeypatch, right_alpha, [])
    monkeypatch.setenv("RMBG_TRT_OFFLINE", "1")
    trial = doctor.trial_run("u2netp")
    assert not trial.ok
    assert "RMBG_TRT_OFFLINE" in trial.reason


def test_ctrl_c_ends_a_trial(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    def run(frame: Any) -> Any:
        raise KeyboardInterrupt

    engine_module(monkeypatch, run, [])
    with pytest.raises(KeyboardInterrupt):
        doctor.trial_run(model)


@pytest.mark.weights
@pytest.mark.network
@pytest.mark.slow
def test_the_real_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rmbg_trt._core")
    monkeypatch.delenv("RMBG_TRT_HOME")  # the user's cache keeps the weights from run to run
    try:
        models.resolve("u2netp")
    except UnavailableError as error:
        pytest.skip(f"no weights: {error}")
    trial = doctor.trial_run("u2netp")
    assert trial.ok, trial.reason
    assert trial.info is not None
    assert trial.info["input_size"] == (320, 320)
