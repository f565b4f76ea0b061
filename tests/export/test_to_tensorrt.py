# SPDX-License-Identifier: Apache-2.0
"""Plans from small ONNX models: real ones by TensorRT-RTX, which needs no GPU; the calls made to TensorRT 10 and 11."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.export import fake_tensorrt
from tests.runtimes import fake_gpu

from rmbg_trt.errors import Error, InputError, ModelError, UnavailableError
from rmbg_trt.export.build_watch import TOTAL, BuildWatch
from rmbg_trt.export.options import InputShape
from rmbg_trt.export.to_tensorrt import BuiltPlan, PlanOptions, build_plan
from rmbg_trt.runtimes import tensorrt as tensorrt_runtime
from rmbg_trt.runtimes.devices import Gpu, plan_kind
from rmbg_trt.runtimes.tensorrt import TensorRt

SHAPE = InputShape(height=(48, 48, 48), width=(64, 64, 64))
RANGE = InputShape((1, 1, 3), (32, 64, 128), (32, 48, 96))
OPEN = ("batch", 3, "height", "width")
FIXED = (1, 3, 48, 64)
H200 = Gpu(0, "NVIDIA H200", "9.0")


def small_unet(shape: tuple[Any, ...] = FIXED, dtype: type = np.float32, *, channels: int = 3) -> bytes:
    """Every operator of U²-Net once or more; float32 in and out, ``dtype`` between."""
    rng = np.random.default_rng(0)

    def weights(name: str, out: int, into: int, side: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.normal(0, 0.2, (out, into, side, side)).astype(dtype), name)

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Cast", ["input"], ["x"], to=kind),
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1], name="first"),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p", "w2"], ["c2"], pads=[2, 2, 2, 2], dilations=[2, 2]),
        helper.make_node("Resize", ["c2", "", "scales"], ["up"], mode="linear"),
        helper.make_node("Concat", ["up", "r1"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w3"], ["c3"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c3", "r1"], ["sum"]),
        helper.make_node("Conv", ["sum", "w4"], ["side"]),
        helper.make_node("Cast", ["side"], ["logits"], to=TensorProto.FLOAT),
        helper.make_node("Sigmoid", ["logits"], ["matte"], name="last"),
    ]
    constants = [weights("w1", 8, channels, 3), weights("w2", 8, 8, 3), weights("w3", 8, 16, 3), weights("w4", 1, 8, 1)]
    constants.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    return _model(nodes, shape, (shape[0], 1, *shape[2:]), constants)


def _model(nodes: list[Any], shape: tuple[Any, ...], out: tuple[Any, ...], constants: Any = (), *domains: str) -> bytes:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("matte", TensorProto.FLOAT, out)],
        list(constants),
    )
    opsets = [helper.make_opsetid("", 13), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.fixture(scope="module")
def rtx() -> TensorRt:
    pytest.importorskip("tensorrt_rtx_bindings")
    return tensorrt_runtime.load("tensorrt_rtx")


@pytest.fixture(params=["10.13.0.35", "11.4.0"])
def full(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TensorRt:
    """Full TensorRT on a machine with an H200, both pretended."""
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt.make(request.param))
    fake_gpu.use_gpus(monkeypatch, fake_gpu.H200)
    return tensorrt_runtime.load("tensorrt")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "rmbg-trt-build"]


# The real TensorRT-RTX.


@pytest.fixture(scope="module")
def plan(rtx: TensorRt) -> BuiltPlan:
    return build_plan(small_unet(), rtx, PlanOptions(SHAPE))


def test_plan_and_what_is_known_of_it(rtx: TensorRt, plan: BuiltPlan) -> None:
    assert plan_kind(plan.data) == "tensorrt_rtx"
    assert int.from_bytes(plan.data[16:24], "little") == len(plan.data)  # the header's own size
    assert (plan.runtime, plan.runtime_version) == ("tensorrt_rtx", rtx.module.__version__)
    assert (plan.targets, plan.gpu) == ((), None)
    assert plan.layers >= 10
    assert 0 < plan.seconds < 60


def test_half_precision_is_the_models_own(rtx: TensorRt) -> None:
    # Weights that fill most of the file: half of their bytes must be gone.
    def size(dtype: type) -> int:
        values = np.random.default_rng(0).normal(0, 0.02, (256, 256, 3, 3)).astype(dtype)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        expand = numpy_helper.from_array(np.ones((256, 3, 1, 1), dtype), "expand")
        nodes = [
            helper.make_node("Cast", ["input"], ["x"], to=kind),
            helper.make_node("Conv", ["x", "expand"], ["wide"]),
            helper.make_node("Conv", ["wide", "w"], ["y"], pads=[1, 1, 1, 1]),
            helper.make_node("Cast", ["y"], ["matte"], to=TensorProto.FLOAT),
        ]
        model = _model(nodes, FIXED, (1, 256, 48, 64), [expand, numpy_helper.from_array(values, "w")])
        return len(build_plan(model, rtx, PlanOptions(SHAPE)).data)

    fp32, fp16 = size(np.float32), size(np.float16)
    weights = 256 * 256 * 9
    assert fp32 > 4 * weights
    assert 2 * weights < fp16 < 3 * weights


def test_small_unet_in_half_precision(rtx: TensorRt) -> None:
    assert plan_kind(build_plan(small_unet(dtype=np.float16), rtx, PlanOptions(SHAPE)).data) == "tensorrt_rtx"


def test_open_axes(rtx: TensorRt) -> None:
    assert plan_kind(build_plan(small_unet(OPEN), rtx, PlanOptions(RANGE)).data) == "tensorrt_rtx"


def test_open_axes_for_one_shape(rtx: TensorRt) -> None:
    assert plan_kind(build_plan(small_unet(OPEN), rtx, PlanOptions(SHAPE)).data) == "tensorrt_rtx"


@pytest.mark.parametrize("asked", [("8.6",), ("sm75", "SM_120"), ("86", "sm86")])
def test_targets(rtx: TensorRt, plan: BuiltPlan, asked: tuple[str, ...]) -> None:
    limited = build_plan(small_unet(), rtx, PlanOptions(SHAPE, asked))
    assert limited.targets == {("8.6",): ("sm86",), ("sm75", "SM_120"): ("sm75", "sm120")}.get(asked, ("sm86",))
    assert limited.data != plan.data


def test_unknown_target(rtx: TensorRt) -> None:
    with pytest.raises(InputError, match=r"'sm33'.*sm75, sm80"):
        build_plan(small_unet(), rtx, PlanOptions(SHAPE, ("sm33",)))


def test_targets_that_the_builder_refuses(rtx: TensorRt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtx.module.IBuilderConfig, "set_compute_capability", lambda *_: False)
    with pytest.raises(InputError, match="does not take the targets sm86, sm89: it gave no reason"):
        build_plan(small_unet(), rtx, PlanOptions(SHAPE, ("sm86", "sm89")))


def test_progress_rises_to_the_end(rtx: TensorRt) -> None:
    calls: list[tuple[str, int, int]] = []
    threads = set()

    def progress(phase: str, done: int, total: int) -> None:
        threads.add(threading.current_thread())
        calls.append((phase, done, total))

    build_plan(small_unet(), rtx, PlanOptions(SHAPE), progress=progress)
    done = [call[1] for call in calls]
    assert done == sorted(done)
    assert done[0] == 0
    assert calls[-1][1:] == (TOTAL, TOTAL)
    assert {call[2] for call in calls} == {TOTAL}
    assert len({call[0] for call in calls}) > 3
    assert threading.main_thread() not in threads


def test_exception_in_the_callback_cancels(rtx: TensorRt, capfd: pytest.CaptureFixture[str]) -> None:
    calls = []

    def progress(phase: str, done: int, total: int) -> None:
        calls.append(phase)
        if len(calls) == 3:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        build_plan(small_unet(), rtx, PlanOptions(SHAPE), progress=progress)
    assert len(calls) == 3
    assert "Exception caught" not in capfd.readouterr().err  # the bindings' words for one that got into C++


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another matter there")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_the_build_first(rtx: TensorRt, times: int) -> None:
    calls = []

    def progress(phase: str, done: int, total: int) -> None:
        calls.append(phase)
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.3)  # meanwhile the main thread sees it, and waits for this thread

    with pytest.raises(KeyboardInterrupt):
        build_plan(small_unet(), rtx, PlanOptions(SHAPE), progress=progress)
    assert len(calls) == 1


def test_can_build_after_a_cancelled_one(rtx: TensorRt) -> None:
    def progress(*_: object) -> None:
        raise StopIteration

    with pytest.raises(StopIteration):
        build_plan(small_unet(), rtx, PlanOptions(SHAPE), progress=progress)
    assert build_plan(small_unet(), rtx, PlanOptions(SHAPE)).data


def test_too_little_workspace(rtx: TensorRt) -> None:
    with pytest.raises(ModelError, match="allow more workspace"):
        build_plan(small_unet(), rtx, PlanOptions(SHAPE, workspace_bytes=1))


def test_workspace_that_is_enough(rtx: TensorRt) -> None:
    assert build_plan(small_unet(), rtx, PlanOptions(SHAPE, workspace_bytes=1 << 28)).data


def test_no_timing_cache_on_rtx(rtx: TensorRt, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="TensorRT-RTX has no timing cache"):
        build_plan(small_unet(), rtx, PlanOptions(SHAPE, timing_cache=tmp_path / "timings"))
    assert not (tmp_path / "timings").exists()


@pytest.mark.parametrize(
    "data",
    [b"", bytes(range(256)), np.random.default_rng(1).bytes(1000), small_unet()[:700]],
    ids=["empty", "counting", "random", "cut"],
)
def test_damaged_onnx(rtx: TensorRt, data: bytes) -> None:
    with pytest.raises(ModelError, match="ONNX"):
        build_plan(data, rtx, PlanOptions(SHAPE))


def test_unknown_operator_is_named(rtx: TensorRt) -> None:
    nodes = [helper.make_node("Wobble", ["input"], ["matte"], name="odd one", domain="com.example")]
    with pytest.raises(ModelError, match=r"node odd one \(Wobble\): .*Plugin not found"):
        build_plan(_model(nodes, FIXED, FIXED, (), "com.example"), rtx, PlanOptions(SHAPE))


def test_model_of_two_inputs(rtx: TensorRt) -> None:
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["matte"])],
        "two",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, FIXED) for name in "ab"],
        [helper.make_tensor_value_info("matte", TensorProto.FLOAT, FIXED)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with pytest.raises(ModelError, match=r"inputs \(1, 3, 48, 64\), \(1, 3, 48, 64\) .*expected one"):
        build_plan(model.SerializeToString(), rtx, PlanOptions(SHAPE))


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        (FIXED, InputShape(height=(512, 512, 512), width=(64, 64, 64)), "height 512 .* fixed to 48"),
        (FIXED, InputShape(height=(48, 48, 48), width=(32, 64, 64)), "width 32 to 64 .* fixed to 64"),
        (("batch", 3, 48, 64), InputShape((1, 1, 4), (48, 48, 48), (64, 64, 96)), "width 64 to 96 .* fixed to 64"),
        ((2, *FIXED[1:]), SHAPE, "batch 1 .* fixed to 2"),
    ],
)
def test_shape_that_the_model_does_not_have(
    rtx: TensorRt, model: tuple[Any, ...], shape: InputShape, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        build_plan(small_unet(model), rtx, PlanOptions(shape))


def test_four_channels(rtx: TensorRt) -> None:
    with pytest.raises(InputError, match=r"channels 3 .* fixed to 4"):
        build_plan(small_unet((1, 4, 48, 64), channels=4), rtx, PlanOptions(SHAPE))


@pytest.mark.parametrize("change", [{"workspace_bytes": 0}, {"workspace_bytes": -1}])
def test_options_that_are_none(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(change))):
        PlanOptions(**{"shape": SHAPE, **change})


# What full TensorRT 10 and 11 are asked for.


def test_calls_for_full_tensorrt(full: TensorRt) -> None:
    options = PlanOptions(RANGE, gpu=H200, workspace_bytes=1 << 30)
    plan = build_plan(small_unet(OPEN, np.float16), full, options)
    assert plan.data == fake_tensorrt.PLAN
    assert (plan.runtime, plan.runtime_version) == ("tensorrt", full.version)
    assert (plan.targets, plan.gpu) == ((), H200)
    [(network, config)] = full.module.built
    assert network.flags == 1 << fake_tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert config.flags == set()  # no FP16, though TensorRT 10 has it; and no TF32
    assert config.pools == {fake_tensorrt.MemoryPoolType.WORKSPACE: 1 << 30}
    [profile] = config.profiles
    assert profile.shapes == {"input": ((1, 3, 32, 32), (1, 3, 64, 48), (3, 3, 128, 96))}
    assert config.cache is None


def test_fp32_is_not_rounded_to_tf32(full: TensorRt) -> None:
    build_plan(small_unet(), full, PlanOptions(SHAPE))
    [(_, config)] = full.module.built
    assert config.flags == set()
    assert (config.profiles, config.pools) == ([], {})


def test_network_flag_that_is_gone(full: TensorRt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full.module, "NetworkDefinitionCreationFlag", object)
    build_plan(small_unet(), full, PlanOptions(SHAPE))
    assert full.module.built[0][0].flags == 0


def test_timing_cache_is_filled_and_used_again(full: TensorRt, tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "timings"
    options = PlanOptions(SHAPE, timing_cache=file)
    for written in (b"+timings", b"+timings+timings"):
        build_plan(small_unet(), full, options)
        assert file.read_bytes() == written
    assert [each.name for each in file.parent.iterdir()] == ["timings"]


@pytest.mark.parametrize("content", [b"damaged", b"other GPU"])
def test_timing_cache_that_does_not_fit(
    full: TensorRt, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "timings"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING, "rmbg_trt.export"):
        build_plan(small_unet(), full, PlanOptions(SHAPE, timing_cache=file))
    assert file.read_bytes() == b"+timings"
    assert str(file) in caplog.text


def test_timing_cache_is_a_folder(full: TensorRt, tmp_path: Path) -> None:
    with pytest.raises(Error, match="could not be written: it is a folder"):
        build_plan(small_unet(), full, PlanOptions(SHAPE, timing_cache=tmp_path))
    assert full.module.built == []


def test_targets_are_for_rtx(full: TensorRt) -> None:
    with pytest.raises(InputError, match=r"a GPU of this machine \(device\)"):
        build_plan(small_unet(), full, PlanOptions(SHAPE, ("sm89",)))
    assert full.module.built == []


def test_no_driver(full: TensorRt) -> None:
    full.module.driver_error = "CUDA initialization failure with error: 35"
    with pytest.raises(UnavailableError, match=r"cannot start \(CUDA initialization failure with error: 35\)"):
        build_plan(small_unet(), full, PlanOptions(SHAPE))


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("OutOfMemory (no further information)", "free memory on the GPU"),
        ("Could not find any implementation for node conv. Try increasing the workspace size", "allow more workspace"),
        ("Error Code 1: Cuda Runtime (unspecified launch failure)", "check the NVIDIA driver"),
    ],
)
def test_refusal_quotes_errors_with_a_hint(full: TensorRt, said: str, hint: str) -> None:
    severity = fake_tensorrt.Severity
    full.module.says = [(severity.WARNING, "a warning"), (severity.ERROR, said)]
    with pytest.raises(ModelError) as raised:
        build_plan(small_unet(), full, PlanOptions(SHAPE))
    assert said in str(raised.value)
    assert hint in str(raised.value)
    assert "a warning" not in str(raised.value)


def test_errors_of_an_earlier_build_are_not_quoted(full: TensorRt) -> None:
    full.logger.log(fake_tensorrt.Severity.ERROR, "long ago")
    full.module.says = [(fake_tensorrt.Severity.ERROR, "now")]
    with pytest.raises(ModelError, match=r": now$"):
        build_plan(small_unet(), full, PlanOptions(SHAPE))


def test_progress_of_nested_phases(full: TensorRt) -> None:
    calls: list[tuple[str, int, int]] = []
    build_plan(small_unet(), full, PlanOptions(SHAPE), progress=lambda *call: calls.append(call))
    outer, inner = (name for name, _, _ in fake_tensorrt.PHASES)
    thirds = [0, 166, 333, 500, 666, 833, 1000]  # two steps of three each
    assert calls == [
        (outer, 0, TOTAL),
        *((inner, done, TOTAL) for done in thirds[:4]),
        (outer, 500, TOTAL),
        *((inner, done, TOTAL) for done in thirds[3:]),
        (outer, 1000, TOTAL),
        ("Done", 1000, TOTAL),
    ]


def test_progress_of_phases_side_by_side() -> None:
    done: list[int] = []
    watch = BuildWatch(lambda _, now, total: done.append(now))
    watch.phase_start("build", None, 2)
    watch.phase_start("left", "build", 2)
    watch.phase_start("right", "build", 4)
    assert watch.step_complete("left", 0)
    assert watch.step_complete("right", 0)
    watch.phase_finish("left")
    assert watch.step_complete("right", 3)
    watch.phase_finish("build")
    assert watch.step_complete("right", 3)  # its parent is gone
    watch.phase_finish("right")
    assert watch.step_complete("never started", 0)
    assert done == sorted(done)
    assert done[:5] == [0, 0, 0, 250, 250]
    watch.cancel()
    assert not watch.step_complete("build", 1)


def test_progress_from_many_threads() -> None:
    done: list[int] = []
    watch = BuildWatch(lambda _, now, total: done.append(now))
    watch.phase_start("build", None, 1)

    def work(name: str) -> None:
        for _ in range(20):
            watch.phase_start(name, "build", 50)
            for step in range(50):
                assert watch.step_complete(name, step)
            watch.phase_finish(name)

    with ThreadPoolExecutor(8) as pool:
        for part in [pool.submit(work, f"part {index}") for index in range(8)]:
            part.result()
    assert done == sorted(done)
    assert done[-1] == TOTAL
