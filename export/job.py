# SPDX-License-Identifier: Apache-2.0
"""Exports a model: load, ONNX fp32, ONNX fp16, plan, verify, write.

Everything is computed and checked in memory. The files appear at the end, each complete, or not at all.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..runtimes import tensorrt as tensorrt_runtime
from ..runtimes.devices import Gpu, find_gpu
from ..runtimes.tensorrt import TensorRt
from . import files, graph
from .centre import fit_for_half
from .checks import Checks, verify
from .files import Artefact
from .images import load_images
from .options import InputShape, Options
from .source import Source, fixed_size, open_source, require_packages
from .to_fp16 import to_fp16
from .to_tensorrt import BuiltPlan, PlanOptions, build_plan, check_options

log = logging.getLogger("rmbg_trt.export")

STAGES = ("load", "ONNX fp32", "ONNX fp16", "plan", "verify", "write")
Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; ``total`` is 0 while it is unknown."""


@dataclass(frozen=True)
class Report:
    """Result of an export.

    Attributes:
        source: The source of the export.
        shape: The input shapes.
        fp32_layers: The layers of an fp16 model that stay in float32, because half precision would spoil them.
        artefacts: The models in the order of the stages; the last one is the requested file.
        checks: The verification.
        written: Whether the files were written; they are not if a check failed and ``force`` is off.
        plan: The plan, or None for ``onnx_only``.
        seconds: Time of each stage.
    """

    source: Source
    shape: InputShape
    fp32_layers: list[str]
    artefacts: list[Artefact]
    checks: Checks
    written: bool
    plan: BuiltPlan | None
    seconds: dict[str, float]


def export(source: str, out: Path, options: Options | None = None, *, progress: Progress | None = None) -> Report:
    """Exports a model.

    Args:
        source: A catalogue name, or the path of a checkpoint, a ``.pth`` or an ``.onnx`` file.
        out: The plan (or ONNX file) to write. Intermediate ONNX models are written beside it, as "NAME.fp32.onnx" and
            "NAME.fp16.onnx", and each file gets a sidecar.
        options: Options of the export.
        progress: Called as the work goes on.

    Returns:
        The report; check ``written``.

    Raises:
        InputError: An option does not fit, or a file exists already.
        ModelError: The source is damaged or not an image-to-matte network, or the builder refuses it.
        UnavailableError: A package, the GPU or the weights are missing.
        Error: A file cannot be written.
    """
    options = options or Options()
    clock = _Clock(progress or (lambda stage, done, total: None))
    require_packages()
    paths = files.paths(out, options)
    files.check(paths, source, options)
    gpu = None if options.onnx_only else find_gpu(options.device)
    runtime = None if options.onnx_only else _runtime(options, gpu)
    images = load_images(options.images)
    with clock.stage("load"):
        opened = open_source(source, lambda done, total: clock.progress("load", done, total))
    shape = _shape(opened, options)
    models = _convert(opened, shape, options, runtime, gpu, clock)
    with clock.stage("verify"):
        plan = None if runtime is None or models.plan is None else (runtime, models.plan.data, gpu)
        step = functools.partial(clock.progress, "verify")
        checks = verify(opened, shape, models.fp32, models.fp16, plan, images, step)
    artefacts = models.artefacts(paths)
    written = options.force or not checks.failures()
    if written:
        with clock.stage("write"):
            for artefact in artefacts:
                files.write(artefact, opened, files.tensors(models.fp32, shape), checks)
    return Report(opened, shape, models.fp32_layers, artefacts, checks, written, models.plan, clock.seconds)


@dataclass
class _Models:
    """The models of an export in memory."""

    fp32: Any
    fp16: Any = None
    fp32_layers: list[str] = field(default_factory=list)
    plan: BuiltPlan | None = None

    def artefacts(self, paths: dict[str, Path]) -> list[Artefact]:
        artefacts = [Artefact(paths["fp32"], graph.serialize(self.fp32), "fp32", nodes=graph.node_counts(self.fp32))]
        if self.fp16 is not None:
            data, nodes = graph.serialize(self.fp16), graph.node_counts(self.fp16)
            artefacts.append(Artefact(paths["fp16"], data, "fp16", tuple(self.fp32_layers), nodes=nodes))
        if self.plan is not None:
            last = artefacts[-1]
            artefacts.append(Artefact(paths["plan"], self.plan.data, last.precision, last.fp32_layers, plan=self.plan))
        return artefacts


def _convert(
    source: Source, shape: InputShape, options: Options, runtime: TensorRt | None, gpu: Gpu | None, clock: _Clock
) -> _Models:
    """Makes ONNX fp32 and, depending on the options, ONNX fp16 and the plan."""
    with clock.stage("ONNX fp32"):
        models = _Models(_to_onnx(source, shape))
    if options.precision == "fp16":
        with clock.stage("ONNX fp16"):
            prepared, models.fp32_layers = _fit_for_half(models.fp32, shape)
            models.fp16 = to_fp16(prepared, models.fp32_layers)
    if runtime is not None:
        with clock.stage("plan"):
            data = graph.serialize(models.fp32 if models.fp16 is None else models.fp16)
            plan_options = _plan_options(shape, options, gpu)
            models.plan = build_plan(
                data, runtime, plan_options, progress=lambda _, done, total: clock.progress("plan", done, total)
            )
    return models


def _fit_for_half(model: Any, shape: InputShape) -> tuple[Any, list[str]]:
    from .onnx_operators import UnsupportedOperatorError  # needs PyTorch

    try:
        return fit_for_half(model, shape)
    except UnsupportedOperatorError as error:  # the verification will report it
        log.info("the effect of half precision is not measured: %s", error)
        return model, []


def _runtime(options: Options, gpu: Gpu | None) -> TensorRt:
    """Loads the runtime and checks that the options fit it."""
    runtime = tensorrt_runtime.load(options.runtime, gpu)
    log.info("%s: %s", runtime.title, runtime.reason)
    check_options(runtime, _plan_options(InputShape(), options, gpu))
    return runtime


def _plan_options(shape: InputShape, options: Options, gpu: Gpu | None) -> PlanOptions:
    return PlanOptions(shape, options.targets, gpu, options.workspace_bytes, options.timing_cache)


def _shape(source: Source, options: Options) -> InputShape:
    if options.size is not None:
        height, width = options.size
    else:
        sides = source.config.input_size if source.config else fixed_size(source.onnx) or (320, 320)
        height, width = ((side, side, side) for side in sides)
    return InputShape(options.batch, height, width)


def _to_onnx(source: Source, shape: InputShape) -> Any:
    if source.model is None:
        return graph.static(source.onnx, shape)
    from .to_onnx import to_onnx  # needs PyTorch

    return to_onnx(source.model, shape)


class _Clock:
    """Reports when a stage begins and ends, and measures its time."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.progress(name, 0, 0)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)
        self.progress(name, 1, 1)
