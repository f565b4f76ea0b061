# SPDX-License-Identifier: Apache-2.0
"""Devices and the options of a model: which GPU is meant, which options go together, and kinds of model files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.fake_gpu import H200, L4

from rmbg_trt.errors import InputError, ModelError, UnavailableError
from rmbg_trt.runtimes.devices import RUNTIMES, check_device, check_options, file_kind, gpu_index


@pytest.mark.parametrize(
    ("device", "index"), [("cpu", None), ("auto", 0), ("cuda", 0), ("cuda:0", 0), ("cuda:1", 1), ("cuda:01", 1)]
)
def test_which_gpu(machine: Callable[..., Any], device: str, index: int | None) -> None:
    machine(H200, L4)
    assert check_device(device) == ""
    assert gpu_index(device) == index


def test_no_gpu(machine: Callable[..., Any]) -> None:
    machine()
    assert gpu_index("auto") is None
    assert check_device("auto") == "CPU because there is no usable GPU (no driver)"
    with pytest.raises(UnavailableError, match=r"'cuda': no such GPU \(no driver\)"):
        gpu_index("cuda")


def test_a_gpu_that_is_one_too_many(machine: Callable[..., Any]) -> None:
    machine(H200, L4)
    with pytest.raises(UnavailableError, match=r"'cuda:2': no such GPU \(there are 2 CUDA devices\)"):
        gpu_index("cuda:2")


@pytest.mark.parametrize(
    "device", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1:2", "CUDA", "cuda:²", "", None, 0, b"cpu"]
)
def test_devices_that_are_none(device: Any) -> None:
    with pytest.raises(InputError, match=f"device is {re.escape(repr(device))}; expected 'auto', 'cpu', 'cuda' or"):
        check_options(device, "auto", "auto")


@pytest.mark.parametrize(
    ("device", "runtime", "precision", "words"),
    [
        ("cuda", "openvino", "auto", "'openvino' runs on the CPU; with device='cuda' use 'tensorrt', .* or 'torch'"),
        ("cuda:1", "native", "auto", "'native' runs on the CPU; with device='cuda:1'"),
        ("cpu", "tensorrt", "auto", "'tensorrt' runs on a GPU; with device='cpu' use 'native' or 'openvino'"),
        ("cpu", "tensorrt_rtx", "fp32", "'tensorrt_rtx' runs on a GPU"),
        ("cpu", "torch", "auto", "'torch' runs on a GPU"),
        ("cpu", "auto", "fp16", "'fp16' is for the GPU; on the CPU use 'fp32', 'bf16' or 'int8'"),
        ("auto", "openvino", "fp16", "'fp16' is for the GPU"),
        ("cuda", "auto", "bf16", "'bf16' is for the CPU; on a GPU use 'fp16' or 'fp32'"),
        ("auto", "torch", "bf16", "'bf16' is for the CPU"),
        ("auto", "auto", "fp8", "precision is 'fp8'; expected one of auto, fp32, bf16, fp16"),
        ("auto", "onnx", "auto", "runtime is 'onnx'; expected auto, native, openvino, tensorrt, tensorrt_rtx or torch"),
    ],
)
def test_what_does_not_go_together(device: str, runtime: str, precision: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_options(device, runtime, precision)


@pytest.mark.parametrize("runtime", ["auto", *RUNTIMES])
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_what_goes_together(runtime: str, precision: str) -> None:
    check_options("auto", runtime, precision)
    check_options("cpu" if runtime in ("native", "openvino") else "cuda:7", runtime, precision)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.onnx", b"\x08\x08", "onnx"),
        ("a", b"", "onnx"),
        ("a.onnx", b"ftrt", "tensorrt"),
        ("a.engine", b"vtrt...", "tensorrt_rtx"),
        ("a.PTH", b"PK", "checkpoint"),
        ("a.pt", b"PK", "checkpoint"),
        ("a.ckpt", b"PK", "checkpoint"),
        ("a.safetensors", b"", "checkpoint"),
        ("a.xml", b"<?xml", "openvino"),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert file_kind(tmp_path / name) == kind


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        file_kind(tmp_path / "gone.plan")
