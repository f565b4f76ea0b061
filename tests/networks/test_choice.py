# SPDX-License-Identifier: Apache-2.0
"""Which device and runtime run a model: the order of preference; a requested GPU is used or an error is raised."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import small_models
from tests.runtimes import fake_gpu
from tests.runtimes.fake_gpu import H200, L4

from rmbg_trt import _core, networks
from rmbg_trt.errors import InputError, ModelError, UnavailableError
from rmbg_trt.networks import model_cache, open_network
from rmbg_trt.networks import tensorrt as tensorrt_network
from rmbg_trt.networks import torch as torch_network
from rmbg_trt.runtimes.devices import GPU_RUNTIMES
from rmbg_trt.runtimes.request import Opened, Request, UnsupportedNetworkError

Answer = Exception | None


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Answer], list[tuple[str, Request]]]:
    """What each runtime on the GPU answers, to be changed: None opens. And what was tried, in order."""
    answer: dict[str, Answer] = dict.fromkeys((*GPU_RUNTIMES, "plan"))
    tried: list[tuple[str, Request]] = []

    def opens(name: str, request: Request) -> Opened:
        tried.append((name, request))
        error = answer[name]
        if error is not None:
            raise error
        index = request.device_index
        return Opened([], name, "1", "a GPU", "fp16", f"{name} it is", f"cuda:{index}", index)

    monkeypatch.setattr(networks, "open_built", lambda path, runtime, request: opens(runtime, request))
    monkeypatch.setattr(tensorrt_network, "open", lambda path, request: opens("plan", request))
    monkeypatch.setattr(torch_network, "open", lambda path, request: opens("torch", request))
    return answer, tried


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_models.matte(tmp_path / "small.onnx", 32, 48)


def open_(path: Path, device: str = "auto", runtime: str = "auto", precision: str = "fp32") -> tuple[Opened, str]:
    request = Request(precision, None, 1)
    return open_network(path, device=device, runtime=runtime, precision=precision, request=request)


def test_auto_takes_the_gpu(machine: Callable[..., Any], answers: Any, model: Path) -> None:
    machine(H200, L4)
    opened, reason = open_(model)
    assert (opened.runtime, opened.device) == ("tensorrt", "cuda:0")
    assert reason == "cuda:0 because there is a GPU; tensorrt it is"
    [(_, request)] = answers[1]
    assert request.device_index == 0


def test_the_gpu_asked_for(machine: Callable[..., Any], answers: Any, model: Path) -> None:
    machine(H200, L4)
    opened, reason = open_(model, "cuda:1")
    assert opened.device_index == 1
    assert reason.startswith("cuda:1 because it was asked for; ")


@pytest.mark.parametrize("name", ["small.onnx", "best.pth"])
def test_order_of_the_runtimes(machine: Callable[..., Any], answers: Any, model: Path, name: str) -> None:
    machine(H200)
    model = model.rename(model.with_name(name))
    answer, tried = answers
    answer["tensorrt"] = UnavailableError("it is not installed")
    answer["tensorrt_rtx"] = UnsupportedNetworkError("it does not like it")
    opened, reason = open_(model, "cuda")
    assert [name for name, _ in tried] == ["tensorrt", "tensorrt_rtx", "torch"]
    assert opened.runtime == "torch"
    assert reason.endswith("torch it is; not tensorrt: it is not installed; not tensorrt_rtx: it does not like it")


@pytest.mark.parametrize("error", [ModelError("damaged"), InputError("size")])
def test_what_is_wrong_with_the_input_is_raised_at_once(
    machine: Callable[..., Any], answers: Any, model: Path, error: Exception
) -> None:
    machine(H200)
    answers[0]["tensorrt"] = error
    with pytest.raises(type(error), match=str(error)):
        open_(model)
    assert len(answers[1]) == 1


@pytest.mark.parametrize("runtime", ["tensorrt", "tensorrt_rtx", "torch"])
def test_only_the_runtime_asked_for_is_tried(
    machine: Callable[..., Any], answers: Any, model: Path, runtime: str
) -> None:
    machine(H200)
    assert open_(model, runtime=runtime)[0].runtime == runtime
    answers[0][runtime] = UnavailableError("it is not installed")
    for device in ("auto", "cuda"):
        with pytest.raises(UnavailableError, match=f"nothing on cuda:0 can run small.onnx: {runtime}: it is not inst"):
            open_(model, device, runtime)
    assert {name for name, _ in answers[1]} == {runtime}


def nothing_works(answer: dict[str, Answer]) -> None:
    answer.update({name: UnavailableError(f"no {name} here") for name in answer})


def test_auto_ends_on_the_cpu_and_says_so(
    machine: Callable[..., Any],
    answers: Any,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("openvino")
    nothing_works(answers[0])
    expected = open_(model, "cpu")[0].runtime
    real = _core.python_network
    machine(H200)
    monkeypatch.setattr(_core, "python_network", real)  # the CPU's networks are the real ones
    with caplog.at_level(logging.WARNING, "rmbg_trt"):
        opened, reason = open_(model)
    assert (opened.runtime, opened.device, opened.device_index) == (expected, "cpu", None)
    for name in GPU_RUNTIMES:
        assert f"{name}: no {name} here" in reason
    assert reason.startswith("CPU because nothing on the GPU can run it")
    assert "no torch here" in caplog.text


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_asked_for_is_never_left(machine: Callable[..., Any], answers: Any, model: Path, device: str) -> None:
    machine(H200)
    nothing_works(answers[0])
    with pytest.raises(UnavailableError, match=r"no tensorrt here.*no tensorrt_rtx here.*no torch here"):
        open_(model, device)


def test_fp16_never_ends_on_the_cpu(machine: Callable[..., Any], answers: Any, model: Path) -> None:
    machine(H200)
    assert open_(model, precision="fp16")[0].runtime == "tensorrt"
    nothing_works(answers[0])
    with pytest.raises(UnavailableError, match=r"^nothing on cuda:0 can run small\.onnx: .*no torch here"):
        open_(model, precision="fp16")
    machine()
    with pytest.raises(UnavailableError, match=r"precision 'fp16' needs a GPU.*no driver"):
        open_(model, precision="fp16")


def test_a_gpu_runtime_without_a_gpu(machine: Callable[..., Any], answers: Any, model: Path) -> None:
    machine()
    with pytest.raises(UnavailableError, match=r"runtime 'torch' needs a GPU, and there is none: .*\(no driver\)"):
        open_(model, runtime="torch")
    assert answers[1] == []


@pytest.mark.parametrize(("runtime", "precision"), [("openvino", "fp32"), ("auto", "bf16")])
def test_what_only_the_cpu_does_is_done_there(
    machine: Callable[..., Any],
    answers: Any,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    runtime: str,
    precision: str,
) -> None:

    machine(H200)
    cpu = Opened([], "openvino", "1", "a processor", "bf16", "")
    monkeypatch.setattr(networks, "open_fastest", lambda path, wanted, request, **_: (cpu, []))
    monkeypatch.setattr(networks, "check_foreign", lambda path, opened: None)
    opened, reason = open_(model, runtime=runtime, precision=precision)
    assert opened.device == "cpu"
    assert reason.startswith(f"CPU because {'runtime' if runtime != 'auto' else 'precision'}")
    assert answers[1] == []


# Plans and other files.


@pytest.mark.parametrize("tag", ["ftrt", "vtrt"])
def test_a_plan_goes_to_its_own_runtime(machine: Callable[..., Any], answers: Any, tmp_path: Path, tag: str) -> None:
    machine(H200)
    plan = tmp_path / "small.plan"
    plan.write_bytes(fake_gpu.plan(tag))
    runtime = {"ftrt": "tensorrt", "vtrt": "tensorrt_rtx"}[tag]
    for asked in ("auto", runtime):
        open_(plan, runtime=asked)
    assert [name for name, _ in answers[1]] == ["plan", "plan"]
    other = next(name for name in GPU_RUNTIMES if name != runtime)
    with pytest.raises(InputError, match=f"it runs with runtime='{runtime}' only"):
        open_(plan, runtime=other)
    answers[0]["plan"] = UnavailableError("it is not installed")
    for device in ("auto", "cuda"):
        with pytest.raises(UnavailableError, match=f"nothing on cuda:0 can run small.plan: {runtime}: it is not inst"):
            open_(plan, device)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_plan_without_a_gpu(machine: Callable[..., Any], tmp_path: Path, device: str) -> None:
    machine()
    plan = tmp_path / "small.plan"
    plan.write_bytes(fake_gpu.plan())
    why = "no driver" if device == "auto" else "the CPU was asked for"
    with pytest.raises(UnavailableError, match=rf"plan of TensorRT, and .*{why}.*small\.fp32\.onnx"):
        open_(plan, device)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_checkpoint_on_the_cpu(
    machine: Callable[..., Any],
    answers: Any,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    device: str,
) -> None:
    """It is converted where it ends on the CPU, and only then."""
    pytest.importorskip("openvino")
    checkpoint = tmp_path / "best.pth"
    checkpoint.touch()
    converted: list[tuple[Path, Any]] = []

    def convert(path: Path, size: Any) -> tuple[Path, bool]:
        converted.append((path, size))
        return model, True

    monkeypatch.setattr(model_cache, "convert", convert)
    real = _core.python_network
    machine(H200)
    monkeypatch.setattr(_core, "python_network", real)
    if device == "auto":
        assert open_(checkpoint)[0].runtime == "tensorrt"
        assert converted == []
        nothing_works(answers[0])
    opened, reason = open_(checkpoint, device)
    assert opened.device == "cpu"
    assert converted == [(checkpoint, None)]
    assert ("no torch here" in reason) == (device == "auto")
    assert "the checkpoint was converted to ONNX now, and kept" in reason


def test_openvinos_own_files_stay_on_the_cpu(machine: Callable[..., Any], answers: Any, tmp_path: Path) -> None:
    machine(H200)
    file = tmp_path / "small.xml"
    file.write_text("<?xml")
    with pytest.raises(UnavailableError, match="OpenVINO model, which is for the CPU"):
        open_(file, "cuda")
    with pytest.raises(InputError, match="OpenVINO model, which runs on the CPU; give its ONNX"):
        open_(file, runtime="torch")
    with pytest.raises(ModelError, match=r"small\.xml: not a readable"):
        open_(file)
    assert answers[1] == []
