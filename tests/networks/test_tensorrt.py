# SPDX-License-Identifier: Apache-2.0
"""Plans as networks: with stand-ins for TensorRT 10 and RTX, and the names checked against the real TensorRT-RTX."""

from __future__ import annotations

import dataclasses
import gc
import json
import logging
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes import fake_gpu
from tests.runtimes.fake_gpu import H200, L4, STREAM, Array

from rmbg_trt.errors import InputError, ModelError, NetworkError, UnavailableError
from rmbg_trt.install import install_command
from rmbg_trt.networks import tensorrt as tensorrt_network
from rmbg_trt.recipe import Sidecar, Tensor, sidecar_path, write_sidecar
from rmbg_trt.runtimes.request import Request
from rmbg_trt.runtimes.tensorrt import load
from rmbg_trt.runtimes.tensorrt_plan import ContextMaker

REQUEST = Request("auto", None, 2, device_index=0)
OPEN = {
    "inputs": {"input": ["HALF", [-1, 3, -1, -1]]},
    "outputs": {"matte": ["FLOAT", [-1, 1, -1, -1]]},
    "profile": [[1, 3, 32, 64], [2, 3, 320, 480], [4, 3, 640, 960]],
}


@pytest.fixture(params=["10.0.1", "11.4.0"])
def trt(request: pytest.FixtureRequest, machine: Callable[..., Any]) -> Any:
    module = fake_gpu.make("tensorrt", request.param)
    machine(H200, L4, tensorrt=module)
    return module


@pytest.fixture
def rtx(machine: Callable[..., Any]) -> Any:
    module = fake_gpu.make("tensorrt_rtx", "1.7")
    machine(H200, L4, tensorrt_rtx=module)
    return module


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(tag, **changes)`` writes a fake plan."""

    def do(tag: str = "ftrt", **changes: Any) -> Path:
        file = tmp_path / "small.plan"
        file.write_bytes(fake_gpu.plan(tag, **changes))
        return file

    return do


def describe(plan: Path, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "artefact": plan.name,
        "sha256": "0" * 64,
        "input": Tensor("input", (1, 3, 32, 48)),
        "output": Tensor("matte", (1, 1, 32, 48)),
        "precision": "fp16",
        "normalisation": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "source": {},
        "tools": {},
        "runtime": "tensorrt",
    }
    write_sidecar(plan, Sidecar(**{**fields, **changes}))


def test_one_engine_and_a_context_for_each_slot(trt: Any, write: Callable[..., Path]) -> None:
    opened = tensorrt_network.open(write(), Request("auto", None, 3, device_index=1))
    [engine] = trt.engines
    assert len(engine.contexts) == len(opened.networks) == 3
    assert trt.used == [("deserialize", 1), *[("context", 1)] * 3]
    assert trt.current() == 0, "and the caller's is what it was"
    assert (opened.device, opened.device_index, opened.device_name) == ("cuda:1", 1, "NVIDIA L4")
    assert (opened.runtime, opened.runtime_version) == ("tensorrt", trt.__version__)
    assert "7.5 MB of scratch memory a slot" in opened.reason
    for slot, (network, context) in enumerate(zip(opened.networks, engine.contexts, strict=True)):
        assert (network.input.shape, network.input.dtype) == ((1, 3, 32, 48), "float32")
        assert (network.output.shape, network.output.dtype) == ((1, 1, 32, 48), "float32")
        assert network.capturable
        network.bind(Array(1000 + slot), Array(2000 + slot))
        assert context.addresses == {"input": 1000 + slot, "matte": 2000 + slot}
        network.enqueue(STREAM + slot)
        assert context.streams == [STREAM + slot]


def test_dtypes_are_the_plans(trt: Any, write: Callable[..., Path]) -> None:
    outputs = {"matte": ["HALF", [1, 1, 16, 24]]}
    [network] = tensorrt_network.open(write(outputs=outputs), Request("auto", None, 1, device_index=0)).networks
    assert (network.input.dtype, network.output.dtype) == ("float32", "float16")
    assert network.output.shape == (1, 1, 16, 24)


@pytest.mark.parametrize(("size", "expected"), [(None, (320, 480)), ((32, 64), (32, 64)), ((640, 960), (640, 960))])
def test_open_lengths(
    trt: Any, write: Callable[..., Path], size: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    [network] = tensorrt_network.open(write(**OPEN), Request("auto", size, 1, device_index=0)).networks
    assert network.input.shape == (1, 3, *expected)
    assert network.output.shape == (1, 1, *expected)
    assert trt.engines[0].contexts[0].shape == (1, 3, *expected), "one image, though it was tuned for two"
    assert network.input.dtype == "float16"


@pytest.mark.parametrize("size", [(31, 64), (32, 63), (641, 960), (640, 961)])
def test_sizes_outside_the_profile(trt: Any, write: Callable[..., Path], size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=rf"size {size[0]}x{size[1]} .*small\.plan .*\(32x64 to 640x960\).*export"):
        tensorrt_network.open(write(**OPEN), Request("auto", size, 1, device_index=0))
    assert trt.engines[0].contexts == []


def test_another_size_than_the_fixed_one(trt: Any, write: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"size 64x64 .*\(32x48\)"):
        tensorrt_network.open(write(), Request("auto", (64, 64), 1, device_index=0))
    assert tensorrt_network.open(write(), Request("auto", (32, 48), 1, device_index=0)).networks


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({**OPEN, "profile": [[2, 3, 32, 64], [2, 3, 32, 64], [4, 3, 64, 64]]}, "takes batches of 2 to 4"),
        ({"inputs": {"input": ["FLOAT", [4, 3, 32, 48]]}}, "takes batches of 4, .*--batch 1"),
        ({"inputs": {}}, r"has 0 inputs \(none\); expected one"),
        ({"inputs": {name: ["FLOAT", [1, 3, 8, 8]] for name in "ab"}}, r"has 2 inputs \(a, b\)"),
        ({"outputs": {name: ["FLOAT", [1, 1, 8, 8]] for name in "ab"}}, r"2 outputs \(a, b\).*keeps the first"),
        ({"inputs": {"input": ["FLOAT", [1, 4, 32, 48]]}}, r"input is \(1, 4, 32, 48\); expected \(N, 3"),
        ({"inputs": {"input": ["FLOAT", [1, 3]]}}, r"input is \(1, 3\)"),
        ({"inputs": {"input": ["INT8", [1, 3, 32, 48]]}}, "'input' is int8; expected float32 or float16"),
        ({"outputs": {"matte": ["INT8", [1, 1, 32, 48]]}}, "'matte' is int8"),
        ({"outputs": {"matte": ["FLOAT", [1, 3, 32, 48]]}}, r"output is \(1, 3, 32, 48\); expected one map"),
        ({"outputs": {"matte": ["FLOAT", [1, 10]]}}, r"output is \(1, 10\)"),
    ],
)
def test_plans_of_other_networks(trt: Any, write: Callable[..., Path], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        tensorrt_network.open(write(**changes), REQUEST)


def test_a_map_of_three_axes(trt: Any, write: Callable[..., Path]) -> None:
    opened = tensorrt_network.open(write(outputs={"matte": ["FLOAT", [1, 32, 48]]}), REQUEST)
    assert opened.networks[0].output.shape == (1, 1, 32, 48)


def test_a_refused_run_is_an_error(trt: Any, write: Callable[..., Path]) -> None:
    opened = tensorrt_network.open(write(fails=["execute_async_v3"]), REQUEST)
    with pytest.raises(NetworkError, match=r"TensorRT 1.* refused to run: execute_async_v3 went wrong"):
        opened.networks[0].enqueue(STREAM)


def test_a_refused_address_is_an_error(trt: Any, write: Callable[..., Path]) -> None:
    opened = tensorrt_network.open(write(fails=["set_tensor_address"]), REQUEST)
    with pytest.raises(NetworkError, match="refuses the memory of 'input': set_tensor_address went wrong"):
        opened.networks[0].bind(Array(1), Array(2))


def test_a_refused_shape_is_an_error(trt: Any, write: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"refuses an input of \(1, 3, 32, 48\): set_input_shape went wrong"):
        tensorrt_network.open(write(fails=["set_input_shape"]), REQUEST)


def test_too_little_memory_for_a_context(trt: Any, write: Callable[..., Path]) -> None:
    with pytest.raises(UnavailableError, match=r"7\.5 MB.*OutOfMemory.*fewer slots"):
        tensorrt_network.open(write(fails=["create_execution_context"]), dataclasses.replace(REQUEST, device_index=1))
    assert trt.current() == 0


def test_a_damaged_plan(trt: Any, tmp_path: Path) -> None:
    (tmp_path / "small.plan").write_bytes(b"ftrt{")
    with pytest.raises(ModelError, match="the plan is damaged"):
        tensorrt_network.open(tmp_path / "small.plan", REQUEST)
    (tmp_path / "small.plan").write_bytes(b"something")
    with pytest.raises(ModelError, match=r"small\.plan is not a TensorRT plan \(9 bytes\)"):
        tensorrt_network.open(tmp_path / "small.plan", REQUEST)
    with pytest.raises(ModelError, match="cannot be read"):
        tensorrt_network.open(tmp_path / "gone.plan", REQUEST)


@pytest.mark.slow
def test_the_engine_lives_as_long_as_a_network(trt: Any, write: Callable[..., Path]) -> None:
    opened = tensorrt_network.open(write(), Request("auto", None, 1, device_index=0))
    [network] = opened.networks
    engine = weakref.ref(trt.engines.pop())
    del opened
    gc.collect()
    assert engine() is not None
    del network
    gc.collect()
    assert engine() is None, "and no longer"


def test_what_an_engine_made_goes_before_it(rtx: Any) -> None:
    gone: list[str] = []

    class Made:
        def __init__(self, name: str) -> None:
            self.name = name

        def __del__(self) -> None:
            gone.append(self.name)

        def create_runtime_config(self) -> Made:
            return Made("config")

        def create_runtime_cache(self) -> Made:
            return Made("cache")

        def set_runtime_cache(self, cache: Made) -> bool:
            return True

    for _ in range(2):  # an interpreter may lay out the first object of a class otherwise
        maker = ContextMaker(load("tensorrt_rtx"), Made("engine"), b"plan", "NVIDIA L4", dynamic=False)
        gone.clear()
        del maker
        assert gone == ["cache", "config", "engine"]


# The sidecar.


def test_precision_is_the_sidecars(trt: Any, write: Callable[..., Path]) -> None:
    plan = write()
    assert tensorrt_network.open(plan, REQUEST).precision == "unknown"
    describe(plan)
    for asked in ("auto", "fp16"):
        assert tensorrt_network.open(plan, Request(asked, None, 1, device_index=0)).precision == "fp16"
    with pytest.raises(InputError, match=r"precision is 'fp32', but small\.plan computes in fp16.*--precision fp32"):
        tensorrt_network.open(plan, Request("fp32", None, 1, device_index=0))


def test_precision_that_nobody_knows(trt: Any, write: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "rmbg_trt"):
        tensorrt_network.open(write(), Request("fp16", None, 1, device_index=0))
    assert "it is unknown whether it computes in fp16" in caplog.text


def test_forced_plans_warn(trt: Any, write: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    plan = write()
    with caplog.at_level(logging.WARNING, "rmbg_trt"):
        describe(plan)
        tensorrt_network.open(plan, REQUEST)
        assert caplog.text == ""
        describe(plan, forced=True)
        tensorrt_network.open(plan, REQUEST)
    assert "failed verification" in caplog.text


@pytest.mark.parametrize(("runtime", "words"), [("tensorrt_rtx", "TensorRT-RTX"), (None, "an ONNX file")])
def test_the_sidecar_of_another_file(trt: Any, write: Callable[..., Path], runtime: str | None, words: str) -> None:
    plan = write()
    describe(plan, runtime=runtime)
    with pytest.raises(ModelError, match=rf"small\.plan\.json describes {words}"):
        tensorrt_network.open(plan, REQUEST)


def test_another_normalisation_is_refused(trt: Any, write: Callable[..., Path]) -> None:
    plan = write()
    describe(plan, normalisation={"mean": [0.5, 0.5, 0.5], "std": [0.229, 0.224, 0.225]})
    with pytest.raises(ModelError, match=r"mean \(0\.5, 0\.5, 0\.5\)"):
        tensorrt_network.open(plan, REQUEST)


def test_a_damaged_sidecar(trt: Any, write: Callable[..., Path]) -> None:
    plan = write()
    sidecar_path(plan).write_text(json.dumps({"format": "another"}))
    with pytest.raises(ModelError, match="not a sidecar of this version"):
        tensorrt_network.open(plan, REQUEST)


# TensorRT-RTX.


def test_rtx_leaves_capturing_to_the_pipeline(rtx: Any, write: Callable[..., Path]) -> None:
    tensorrt_network.open(write("vtrt", **OPEN), REQUEST)
    config = rtx.engines[0].contexts[0].config
    assert config.cuda_graph_strategy is fake_gpu.CudaGraphStrategy.DISABLED
    assert config.dynamic_shapes_kernel_specialization_strategy.name == "EAGER"
    assert all(context.config is config for context in rtx.engines[0].contexts), "so they share its kernels"


def test_rtx_context_that_cannot_be_captured(
    rtx: Any, write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    assert tensorrt_network.open(write("vtrt"), REQUEST).networks[0].capturable
    with caplog.at_level(logging.WARNING, "rmbg_trt"):
        opened = tensorrt_network.open(write("vtrt", capturable=False), REQUEST)
    assert not opened.networks[0].capturable
    assert "cannot be captured" in opened.reason
    assert "cannot be captured" in caplog.text


def test_rtx_keeps_its_kernels(rtx: Any, write: Callable[..., Path], tmp_path: Path) -> None:
    opened = tensorrt_network.open(write("vtrt"), REQUEST)
    [file] = (tmp_path / "home" / "kernels").iterdir()
    assert file.read_bytes() == b"kernels", "what the contexts compiled"
    for _ in range(3):
        opened.networks[0].enqueue(STREAM)
    opened.networks[1].enqueue(STREAM)
    assert file.read_bytes() == b"kernels+", "what the first run compiled; later ones do not write"
    tensorrt_network.open(write("vtrt"), REQUEST)
    assert rtx.engines[1].contexts[0].config.cache.loaded == [b"kernels+"]
    tensorrt_network.open(write("vtrt"), dataclasses.replace(REQUEST, device_index=1))
    assert rtx.engines[2].contexts[0].config.cache.loaded == [], "those of another GPU are left alone"
    tensorrt_network.open(write("vtrt", memory="another plan"), REQUEST)
    assert rtx.engines[3].contexts[0].config.cache.loaded == []


def test_rtx_kernels_of_another_driver(rtx: Any, write: Callable[..., Path], tmp_path: Path) -> None:
    plan = write("vtrt")
    tensorrt_network.open(plan, REQUEST)
    [file] = (tmp_path / "home" / "kernels").iterdir()
    file.write_bytes(b"other")
    tensorrt_network.open(plan, REQUEST)
    assert file.read_bytes() == b"kernels", "they are replaced"


@pytest.mark.parametrize("call", ["serialize", "set_runtime_cache"])
def test_rtx_without_a_kernel_cache_runs(
    rtx: Any, write: Callable[..., Path], call: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rmbg_trt"):
        tensorrt_network.open(write("vtrt", fails=[call]), REQUEST).networks[0].enqueue(STREAM)
    assert rtx.engines[0].contexts[0].streams == [STREAM]
    assert "kernel" in caplog.text


def test_a_cache_that_cannot_be_written(
    rtx: Any, write: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_text("a file, where the folder should be")
    with caplog.at_level(logging.WARNING, "rmbg_trt"):
        assert tensorrt_network.open(write("vtrt"), REQUEST).networks
    assert "cannot be kept" in caplog.text


def test_plans_of_the_runtime_that_is_missing(trt: Any, write: Callable[..., Path]) -> None:
    with pytest.raises(UnavailableError, match=r"TensorRT-RTX is not installed: " + re.escape(install_command("rtx"))):
        tensorrt_network.open(write("vtrt"), REQUEST)


def test_the_stand_ins_have_no_names_of_their_own() -> None:
    bindings = pytest.importorskip("tensorrt_rtx_bindings")
    ours = {"described", "logger", "tensors", "contexts"}
    for fake, real in ((fake_gpu.RtxContext, "IExecutionContext"), (fake_gpu.RtxEngine, "ICudaEngine")):
        names = {name for name in dir(fake) if not name.startswith("_")}
        assert names - ours <= set(dir(getattr(bindings, real)))
    for name in ("CudaGraphStrategy", "DynamicShapesKernelSpecializationStrategy"):
        members = [member.name for member in getattr(fake_gpu, name)]
        assert members == list(getattr(bindings, name).__members__)
    config = {name for name in dir(bindings.IRuntimeConfig) if not name.startswith("_")}
    assert set(fake_gpu.Config.__dataclass_fields__) - {"engine", "cache"} <= config
    assert {"create_runtime_cache", "set_runtime_cache"} <= config
    assert {"serialize", "deserialize"} <= set(dir(bindings.IRuntimeCache))
