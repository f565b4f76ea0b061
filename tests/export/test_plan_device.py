# SPDX-License-Identifier: Apache-2.0
"""Which GPU a plan is built on and verified on: the vendor's modules are stand-ins that note what was current."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests import small_models
from tests.export import fake_tensorrt
from tests.runtimes import fake_gpu

from rmbg_trt import _core
from rmbg_trt.errors import InputError, ModelError, UnavailableError
from rmbg_trt.export import Options, checks, export, job
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.predict import plan_predict, why_no_gpu
from rmbg_trt.export.to_tensorrt import PlanOptions, build_plan
from rmbg_trt.recipe import read_sidecar
from rmbg_trt.runtimes import tensorrt as tensorrt_runtime
from rmbg_trt.runtimes.devices import Gpu, current_gpu, find_gpu, make_current, usable_gpus

H200, L4 = Gpu(0, "NVIDIA H200", "9.0"), Gpu(1, "NVIDIA L4", "8.9")
SHAPE = InputShape(height=(32, 32, 32), width=(64, 64, 64))


@pytest.fixture
def current(monkeypatch: pytest.MonkeyPatch) -> fake_gpu.Current:
    """A machine with two GPUs, and what is current in this thread."""
    return fake_gpu.use_gpus(monkeypatch, fake_gpu.H200, fake_gpu.L4)


@pytest.fixture(params=["10.13.0.35", "11.4.0"])
def trt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, current: fake_gpu.Current) -> Any:
    module = fake_tensorrt.make(request.param)
    module.current = lambda: current.device
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch, current: fake_gpu.Current) -> list[int]:
    """PyTorch with CUDA for these GPUs; memory is the host's. Gives the GPUs that streams were made for."""
    streams: list[int] = []

    class Device(str):
        index = 0

        def __new__(cls, kind: str, index: int = 0) -> Device:
            assert kind == "cuda"
            made = super().__new__(cls, "cpu")
            made.index = index
            return made

    @contextlib.contextmanager
    def use(device: Device) -> Iterator[None]:
        before = current.change(device.index)
        yield
        current.change(before)

    def stream(device: Device) -> Any:
        streams.append(device.index)
        return SimpleNamespace(cuda_stream=0x57)

    monkeypatch.setattr(torch, "device", Device)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for name, stand_in in {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "device": use,
        "Stream": stream,
        "stream": lambda _: contextlib.nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return streams


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_models.matte(tmp_path / "small.onnx", 32, 64)


@pytest.mark.parametrize(("of_caller", "gpu"), [(0, L4), (1, H200), (1, L4)])
def test_the_builder_is_on_the_gpu_asked_for(
    trt: Any, current: fake_gpu.Current, model: Path, of_caller: int, gpu: Gpu
) -> None:
    current.change(of_caller)
    plan = build_plan(model.read_bytes(), tensorrt_runtime.load("tensorrt"), PlanOptions(SHAPE, gpu=gpu))
    assert trt.used == [("Builder", gpu.index), ("build", gpu.index)]
    assert plan.gpu == gpu
    assert current.device == of_caller


def test_a_failed_build_leaves_the_callers_gpu(trt: Any, current: fake_gpu.Current, model: Path) -> None:
    trt.says = [(fake_tensorrt.Severity.ERROR, "no")]
    with pytest.raises(ModelError, match="could not build"):
        build_plan(model.read_bytes(), tensorrt_runtime.load("tensorrt"), PlanOptions(SHAPE, gpu=L4))
    assert current.device == 0


def test_rtx_builds_on_none(trt: Any, monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    def touched(device: int) -> int:
        raise AssertionError(f"cuda:{device} is made current")

    monkeypatch.setitem(sys.modules, "tensorrt_rtx", trt)
    monkeypatch.setattr(_core, "set_cuda_device", touched)
    plan = build_plan(model.read_bytes(), tensorrt_runtime.load("tensorrt_rtx"), PlanOptions(SHAPE, gpu=L4))
    assert plan.gpu is None


def test_a_profile_that_is_refused(trt: Any, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fake_tensorrt.Config, "add_optimization_profile", lambda self, profile: -1)
    wide = small_models.matte(tmp_path / "open.onnx", "height", "width")
    with pytest.raises(ModelError, match="could not build a plan for"):
        build_plan(wide.read_bytes(), tensorrt_runtime.load("tensorrt"), PlanOptions(SHAPE, gpu=L4))


@pytest.mark.parametrize("gpu", [H200, L4])
def test_a_plan_is_tried_on_the_gpu_asked_for(trt: Any, cuda: list[int], current: fake_gpu.Current, gpu: Gpu) -> None:
    current.change(1 - gpu.index)
    predict = plan_predict(tensorrt_runtime.load("tensorrt"), fake_tensorrt.PLAN, gpu)
    x = np.random.default_rng(0).random((1, 3, 32, 64), np.float32)
    np.testing.assert_allclose(predict(x)[0, 0], x[0].mean(0), atol=1e-3)
    assert trt.used == [(call, gpu.index) for call in ("deserialize", "context", "execute")]
    assert cuda == [gpu.index]
    assert current.device == 1 - gpu.index


def test_an_input_that_the_plan_refuses(trt: Any, cuda: list[int]) -> None:
    predict = plan_predict(tensorrt_runtime.load("tensorrt"), fake_tensorrt.PLAN, L4)
    with pytest.raises(ModelError, match=r"refuses an input of \(1, 3, 96, 64\)"):
        predict(np.zeros((1, 3, 96, 64), np.float32))
    assert [call for call, _ in trt.used] == ["deserialize", "context"]


def test_why_a_plan_cannot_be_tried(cuda: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [why_no_gpu(gpu) for gpu in (H200, L4)] == [None, None]
    assert why_no_gpu(None) == "there is no usable GPU here"
    assert why_no_gpu(Gpu(2, "NVIDIA T4", "7.5")) == "PyTorch sees 2 GPUs, and not cuda:2, NVIDIA T4"
    monkeypatch.setattr(torch.version, "cuda", None)
    assert why_no_gpu(H200) == "this PyTorch has no CUDA"


# The whole export.


@pytest.mark.parametrize(("device", "gpu"), [("cuda:1", L4), ("cuda", H200), ("auto", H200)])
def test_an_export_stays_on_one_gpu(
    trt: Any, cuda: list[int], current: fake_gpu.Current, model: Path, device: str, gpu: Gpu
) -> None:
    out = model.with_name("x.plan")
    current.change(1 - gpu.index)
    options = Options(precision="fp32", runtime="tensorrt", device=device, force=True)  # the stand-in predicts nonsense
    report = export(str(model), out, options)
    assert {index for _, index in trt.used} == {gpu.index}
    assert {call for call, _ in trt.used} == {"Builder", "build", "deserialize", "context", "execute"}
    assert report.checks.comparisons[-1].what == "fp32 and the plan on the GPU"
    sidecar = read_sidecar(out)
    assert sidecar is not None
    assert (sidecar.gpu, sidecar.compute_capability) == (gpu.name, gpu.compute_capability)
    assert current.device == 1 - gpu.index


def test_rtx_is_verified_on_the_gpu_asked_for(
    current: fake_gpu.Current, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(checks, "why_no_gpu", lambda gpu: asked.append(gpu) or "it is pretended")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", fake_tensorrt.make("1.7"))
    report = export(str(model), model.with_name("x.plan"), Options("fp32", runtime="tensorrt_rtx", device="cuda:1"))
    assert asked == [L4]
    assert report.checks.notes == ["the plan itself was not run: it is pretended"]
    assert report.plan is not None
    assert report.plan.gpu is None


@pytest.mark.parametrize("runtime", ["tensorrt", "tensorrt_rtx", "auto"])
def test_a_gpu_that_is_not_there_is_told_at_once(
    current: fake_gpu.Current, model: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    def work(*_: Any) -> Any:
        raise AssertionError("work has begun")

    monkeypatch.setattr(job, "open_source", work)
    monkeypatch.setattr(tensorrt_runtime, "load", work)
    words = r"device='cuda:7': no such GPU \(cuda:0 is NVIDIA H200, cuda:1 is NVIDIA L4\)"
    with pytest.raises(UnavailableError, match=words):
        export(str(model), model.with_name("x.plan"), Options(runtime=runtime, device="cuda:7"))
    assert [path.name for path in model.parent.iterdir()] == ["small.onnx"]


@pytest.mark.parametrize("device", ["cpu", "gpu", "cuda:", "cuda:-1", "1"])
def test_devices_that_are_none(device: str) -> None:
    with pytest.raises(InputError, match=f"device is '{device}'"):
        Options(device=device)


def test_onnx_needs_no_gpu(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.setattr(job, "find_gpu", None)
    assert export(str(model), model.with_name("x.onnx"), Options("fp32", onnx_only=True)).written


# The GPUs.


def test_the_cores_gpus(current: fake_gpu.Current) -> None:
    assert usable_gpus() == [H200, L4]
    assert (find_gpu("auto"), find_gpu("cuda"), find_gpu("cuda:1")) == (H200, H200, L4)
    with current_gpu(1):
        assert current.device == 1
    assert current.device == 0
    with contextlib.suppress(ZeroDivisionError), current_gpu(1):
        raise ZeroDivisionError
    assert current.device == 0


def test_no_gpu_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpu.use_gpus(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_gpu("auto") is None
    with pytest.raises(UnavailableError, match=r"device='cuda': no such GPU \(there is no usable one\)"):
        find_gpu("cuda")


def test_gpus_that_only_torch_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gpu.use_gpus(monkeypatch)
    set_to: list[int] = []
    stand_ins: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_device_name": lambda index: (H200, L4)[index].name,
        "get_device_capability": lambda index: ((9, 0), (8, 9))[index],
        "current_device": lambda: 0,
        "set_device": set_to.append,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    assert usable_gpus() == [H200, L4]
    assert make_current(1) == 0
    assert set_to == [1]
