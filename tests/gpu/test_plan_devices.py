# SPDX-License-Identifier: Apache-2.0
"""Plans and the current GPU, as CUDA has it: the builder and the loader find theirs, and the caller keeps its own.

TensorRT is a stand-in that asks CUDA at each call which GPU is current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import small_models
from tests.export import fake_tensorrt
from tests.runtimes import fake_gpu

from rmbg_trt import _core
from rmbg_trt.errors import Error
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.to_tensorrt import PlanOptions, build_plan
from rmbg_trt.networks import tensorrt as tensorrt_network
from rmbg_trt.runtimes import tensorrt as tensorrt_runtime
from rmbg_trt.runtimes.devices import current_gpu, find_gpu
from rmbg_trt.runtimes.request import Request

SHAPE = InputShape(height=(32, 32, 32), width=(48, 48, 48))


def current() -> int:
    before = _core.set_cuda_device(0)
    _core.set_cuda_device(before)
    return before


@pytest.fixture(autouse=True)
def two_gpus() -> Iterator[None]:
    if len(_core.cuda_devices()) < 2:
        pytest.skip("one GPU only")
    before = current()
    yield
    _core.set_cuda_device(before)


@pytest.mark.parametrize(("of_caller", "index"), [(0, 1), (1, 0)])
def test_a_plan_is_built_on_its_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, of_caller: int, index: int
) -> None:
    module: Any = fake_tensorrt.make("10.13")
    module.current = current
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    _core.set_cuda_device(of_caller)
    model = small_models.matte(tmp_path / "small.onnx", 32, 48).read_bytes()
    gpu = find_gpu(f"cuda:{index}")
    plan = build_plan(model, tensorrt_runtime.load("tensorrt"), PlanOptions(SHAPE, gpu=gpu))
    assert module.used == [("Builder", index), ("build", index)]
    assert plan.gpu == gpu
    assert current() == of_caller


def test_a_plan_is_loaded_on_its_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = fake_gpu.make("tensorrt")
    module.current = current
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    (tmp_path / "small.plan").write_bytes(fake_gpu.plan())
    _core.set_cuda_device(0)
    opened = tensorrt_network.open(tmp_path / "small.plan", Request("auto", None, 2, device_index=1))
    assert opened.device == "cuda:1"
    assert module.used == [("deserialize", 1), ("context", 1), ("context", 1)]
    assert current() == 0


def test_a_gpu_that_is_not_there_changes_nothing() -> None:
    _core.set_cuda_device(1)
    with pytest.raises(Error, match="selecting the GPU"), current_gpu(99):
        raise AssertionError("it was made current")
    assert current() == 1
