# SPDX-License-Identifier: Apache-2.0
"""Builds a strongly typed plan from ONNX bytes, with full TensorRT or TensorRT-RTX.

The build runs in its own thread, so that Ctrl-C works. Progress and cancelling go through TensorRT's progress monitor.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, ModelError
from ..files import atomic_file, check_writable
from ..runtimes.devices import Gpu, make_current
from ..runtimes.tensorrt import TensorRt, parse_target
from .build_watch import BuildWatch, Progress, run_in_thread
from .options import InputShape

log = logging.getLogger("rmbg_trt.export")

_HINTS = (
    (r"workspace", "allow more workspace"),
    (r"out ?of ?memory", "free memory on the GPU, or export for a smaller size or batch"),
    (r"cuda ?(error|runtime|driver)", "check the NVIDIA driver with nvidia-smi"),
)


@dataclass(frozen=True)
class PlanOptions:
    """Options of a build.

    Attributes:
        shape: The input shapes; a range needs an ONNX model with open axes.
        targets: For TensorRT-RTX: compute capabilities ("sm86", "8.9"); the plan then runs on those GPUs only. Empty is
            the vendor's default: a portable plan for every RTX GPU from Ampere on (8.x, 12.x), but not for Turing
            (7.5). Must be empty for full TensorRT, whose plans run on the kind of GPU that they are built on.
        gpu: The GPU that full TensorRT builds on; None for CUDA's first. TensorRT-RTX builds without one.
        workspace_bytes: Scratch memory that a layer may use, or None for no limit.
        timing_cache: For full TensorRT: file with the timings of earlier builds, for one GPU and version. It is read
            if it exists and written after the build, and makes the next build faster.

    Raises:
        InputError: The workspace is not positive.
    """

    shape: InputShape
    targets: tuple[str, ...] = ()
    gpu: Gpu | None = None
    workspace_bytes: int | None = None
    timing_cache: Path | None = None

    def __post_init__(self) -> None:
        if self.workspace_bytes is not None and self.workspace_bytes <= 0:
            raise InputError(f"workspace_bytes is {self.workspace_bytes}; expected a positive number, or None")


@dataclass(frozen=True)
class BuiltPlan:
    """A plan and how it was built."""

    data: bytes
    runtime: str  # "tensorrt" or "tensorrt_rtx"
    runtime_version: str
    targets: tuple[str, ...]  # compute capabilities that it is limited to, such as "sm86"; empty for the default
    gpu: Gpu | None  # built on and for this GPU, if known; None for TensorRT-RTX
    layers: int  # before the builder fused them
    seconds: float  # time of the build


def build_plan(
    onnx_model: bytes, runtime: TensorRt, options: PlanOptions, *, progress: Progress | None = None
) -> BuiltPlan:
    """Builds a plan on a GPU (full TensorRT) or on the CPU (TensorRT-RTX). The calling thread keeps its current GPU.

    Args:
        onnx_model: A serialised ONNX model with one input (N, 3, H, W).
        runtime: From ``tensorrt_runtime.load``.
        options: Options of the build.
        progress: Called from the builder's threads, one call at a time. An exception in it cancels the build and is
            raised here.

    Raises:
        InputError: The shape does not fit the model, or an option does not fit the runtime.
        ModelError: The parser or the builder refuses the model; the message has their reasons.
        UnavailableError: The runtime cannot start, for example full TensorRT without a GPU.
        CudaError: The GPU cannot be used.
        KeyboardInterrupt: Ctrl-C, after the build has ended.
    """
    targets = check_options(runtime, options)
    watch = BuildWatch(progress)
    start = time.perf_counter()
    data, layers = run_in_thread(lambda: _build(onnx_model, runtime, options, targets, watch), watch)
    seconds = round(time.perf_counter() - start, 3)
    gpu = options.gpu if runtime.name == "tensorrt" else None
    return BuiltPlan(data, runtime.name, runtime.version, targets, gpu, layers, seconds)


def check_options(runtime: TensorRt, options: PlanOptions) -> tuple[str, ...]:
    """Checks before any work that the options fit the runtime.

    Returns:
        The targets in the form "sm86", without duplicates.

    Raises:
        InputError: They do not fit.
        Error: The timing cache cannot be written.
    """
    if options.timing_cache is not None:
        if runtime.name == "tensorrt_rtx":  # it still has the calls, but they do nothing
            raise InputError("TensorRT-RTX has no timing cache: it times nothing when it builds; leave it out")
        check_writable(options.timing_cache)
    return tuple(dict.fromkeys(parse_target(runtime, text) for text in options.targets))


def _build(
    onnx_model: bytes, runtime: TensorRt, options: PlanOptions, targets: tuple[str, ...], watch: BuildWatch
) -> tuple[bytes, int]:
    """Keeps all of TensorRT's objects in one thread, because CUDA's current device belongs to a thread."""
    runtime.clear()
    if options.gpu is not None and runtime.name == "tensorrt":
        make_current(options.gpu.index)  # the builder times its kernels there
    builder = runtime.create("Builder")
    flag = getattr(runtime.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    _parse(onnx_model, runtime, network)
    config = builder.create_builder_config()
    _configure(runtime, config, options, targets)
    _set_profile(runtime, builder, config, network, options.shape)
    monitor = _make_monitor(runtime, watch)
    config.progress_monitor = monitor
    if options.timing_cache is not None:
        _read_timing_cache(config, options.timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ModelError(_refusal(runtime, options.shape))
    data = bytes(plan)
    if options.timing_cache is not None:
        with atomic_file(options.timing_cache) as file:
            file.write(bytes(config.get_timing_cache().serialize()))
    watch.finish()
    return data, int(network.num_layers)


def _parse(onnx_model: bytes, runtime: TensorRt, network: Any) -> None:
    parser = runtime.module.OnnxParser(network, runtime.logger)
    if not parser.parse(onnx_model):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        reasons = "; ".join(
            (f"node {error.node_name() or '?'} ({error.node_operator()}): " if error.node_operator() else "")
            + error.desc()
            for error in errors
        )
        raise ModelError(f"{runtime.title} cannot read the ONNX model: {reasons or '; '.join(runtime.errors())}")
    # The parser takes many damaged files for models without nodes.
    if network.num_inputs != 1 or not network.num_outputs or len(network.get_input(0).shape) != 4:
        shapes = ", ".join(str(tuple(network.get_input(i).shape)) for i in range(network.num_inputs)) or "none"
        raise ModelError(
            f"the ONNX model has inputs {shapes} and {network.num_outputs} outputs; expected one input "
            "(N, 3, H, W) and a matte. Is the ONNX file complete?"
        )


def _configure(runtime: TensorRt, config: Any, options: PlanOptions, targets: tuple[str, ...]) -> None:
    trt = runtime.module
    if hasattr(trt.BuilderFlag, "TF32"):  # it would round the layers that must stay float32 to 10 bits
        config.clear_flag(trt.BuilderFlag.TF32)
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # the engine captures the network in its own CUDA graph
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if options.workspace_bytes is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    if targets:
        config.num_compute_capabilities = len(targets)
        capabilities = [getattr(trt.ComputeCapability, target.upper()) for target in targets]
        accepted = [config.set_compute_capability(value, index) for index, value in enumerate(capabilities)]
        if not all(accepted):
            raise InputError(f"{runtime.title} does not take the targets {', '.join(targets)}: {_reasons(runtime)}")


def _set_profile(runtime: TensorRt, builder: Any, config: Any, network: Any, shape: InputShape) -> None:
    tensor = network.get_input(0)
    axes = zip(("batch", "channels", "height", "width"), tensor.shape, shape.smallest, shape.largest, strict=True)
    for name, length, low, high in axes:
        if length not in (-1, low) or length not in (-1, high):
            wanted = str(low) if low == high else f"{low} to {high}"
            raise InputError(f"{name} {wanted} was requested, but in the ONNX model it is fixed to {length}")
    if -1 not in tuple(tensor.shape):
        return
    profile = builder.create_optimization_profile()
    profile.set_shape(tensor.name, shape.smallest, shape.usual, shape.largest)
    if config.add_optimization_profile(profile) < 0:
        raise ModelError(_refusal(runtime, shape))


def _make_monitor(runtime: TensorRt, watch: BuildWatch) -> Any:
    class Monitor(runtime.module.IProgressMonitor):  # type: ignore[name-defined,misc]
        """The watch behind TensorRT's interface."""

        def __init__(self) -> None:
            runtime.module.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            watch.phase_start(name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            return watch.step_complete(name, step)

        def phase_finish(self, name: str) -> None:
            watch.phase_finish(name)

    return Monitor()


def _read_timing_cache(config: Any, path: Path) -> None:
    """Gives the builder the timings of earlier builds, or an empty cache if they do not fit."""
    try:
        timings = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError(f"{path}: the timing cache cannot be read: {error.strerror or error}") from error
    cache = config.create_timing_cache(timings)
    if cache is None or not config.set_timing_cache(cache, False):
        log.warning("%s holds timings of another GPU or version, or is damaged: layers are timed again", path)
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _refusal(runtime: TensorRt, shape: InputShape) -> str:
    reasons = _reasons(runtime)
    hint = next((f"; {hint}" for pattern, hint in _HINTS if re.search(pattern, reasons, re.IGNORECASE)), "")
    return f"{runtime.title} could not build a plan for {shape}: {reasons}{hint}"


def _reasons(runtime: TensorRt) -> str:
    return "; ".join(runtime.errors()) or "it gave no reason"
