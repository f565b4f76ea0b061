# SPDX-License-Identifier: Apache-2.0
"""The advice that follows from the facts, for every kind of machine."""

from __future__ import annotations

import dataclasses
import re

import pytest

from rmbg_trt import doctor
from rmbg_trt.doctor.report import driver_needed

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
