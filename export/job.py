# SPDX-License-Identifier: Apache-2.0
"""An export from the source to verified files: load, ONNX fp32, ONNX fp16, plan, verify, write.

Everything is made and checked in memory; files appear at the end, each whole, or not at all.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtimes import tensorrt as tensorrt_runtime
from ..runtimes.gpu import Gpu, find_gpu
from ..runtimes.tensorrt import TensorRt
from . import files, graph, requirements
from .centre import fit_for_half
from .files import Artefact
from .options import Options
from .pictures import load_pictures
from .shape import InputShape
from .source import Source, fixed_size, open_source
from .to_fp16 import to_fp16
from .to_tensorrt import BuiltPlan, PlanOptions, build_plan, check_options

if TYPE_CHECKING:
    from .checks import Checks

log = logging.getLogger("rmbg_trt.export")

STAGES = ("load", "ONNX fp32", "ONNX fp16", "plan", "verify", "write")
Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; ``total`` is 0 while it is not known."""


@dataclass(frozen=True)
class Report:
    """What an export did.

    Attributes:
        source: What was exported.
        shape: The input shapes.
        fp32_layers: The layers of an fp16 model that stay in float32, because half precision would spoil them.
        artefacts: The models, in the order in which they were made; the last is what was asked for.
        checks: The verification.
        written: Whether the files were written: they are not when a check failed and ``force`` was not given.
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
        out: The plan (or ONNX file) to write. The ONNX models on the way lie beside it, as "NAME.fp32.onnx" and
            "NAME.fp16.onnx", and each file gets a sidecar.
        options: What is asked for.
        progress: Called as work goes on.

    Returns:
        The report; look at ``written``.

    Raises:
        InputError: An option does not fit, or a file is there already.
        ModelError: The source is damaged or no image-to-matte network, or the builder refuses it.
        UnavailableError: A package, the GPU or the weights are not here.
        Error: A file cannot be written.
    """
    options = options or Options()
    clock = _Clock(progress or (lambda stage, done, total: None))
    requirements.check()
    paths = files.paths(out, options)
    files.check(paths, source, options)
    gpu = None if options.onnx_only else find_gpu(options.device)
    runtime = None if options.onnx_only else _runtime(options, gpu)
    photographs = load_pictures(options.pictures)
    with clock.stage("load"):
        opened = open_source(source, lambda done, total: clock.tell("load", done, total))
    shape = _shape(opened, options)
    made = _make(opened, shape, options, runtime, gpu, clock)
    with clock.stage("verify"):
        from .checks import verify

        plan = None if runtime is None or made.plan is None else (runtime, made.plan.data, gpu)
        step = functools.partial(clock.tell, "verify")
        checks = verify(opened, shape, made.fp32, made.fp16, plan, photographs, step)
    artefacts = made.artefacts(paths)
    written = options.force or not checks.failures()
    if written:
        with clock.stage("write"):
            for artefact in artefacts:
                files.write(artefact, opened, files.tensors(made.fp32, shape), checks)
    return Report(opened, shape, made.fp32_layers, artefacts, checks, written, made.plan, clock.seconds)


@dataclass
class _Made:
    """The models of an export, before they are files."""

    fp32: Any
    fp16: Any = None
    fp32_layers: list[str] = field(default_factory=list)
    plan: BuiltPlan | None = None

    def artefacts(self, paths: dict[str, Path]) -> list[Artefact]:
        found = [Artefact(paths["fp32"], graph.serialize(self.fp32), "fp32", nodes=graph.node_counts(self.fp32))]
        if self.fp16 is not None:
            data, nodes = graph.serialize(self.fp16), graph.node_counts(self.fp16)
            found.append(Artefact(paths["fp16"], data, "fp16", tuple(self.fp32_layers), nodes=nodes))
        if self.plan is not None:
            last = found[-1]
            found.append(Artefact(paths["plan"], self.plan.data, last.precision, last.fp32_layers, plan=self.plan))
        return found


def _make(
    source: Source, shape: InputShape, options: Options, runtime: TensorRt | None, gpu: Gpu | None, clock: _Clock
) -> _Made:
    """ONNX fp32, ONNX fp16 and the plan, as far as they are asked for."""
    with clock.stage("ONNX fp32"):
        made = _Made(_to_onnx(source, shape))
    if options.precision == "fp16":
        with clock.stage("ONNX fp16"):
            fit, made.fp32_layers = _fit_for_half(made.fp32, shape)
            made.fp16 = to_fp16(fit, made.fp32_layers)
    if runtime is not None:
        with clock.stage("plan"):
            data = graph.serialize(made.fp32 if made.fp16 is None else made.fp16)
            tell = functools.partial(clock.tell, "plan")
            asked = _plan_options(shape, options, gpu)
            made.plan = build_plan(data, runtime, asked, progress=lambda _, done, total: tell(done, total))
    return made


def _fit_for_half(model: Any, shape: InputShape) -> tuple[Any, list[str]]:
    from .onnx_in_torch import UnsupportedOperatorError

    try:
        return fit_for_half(model, shape)
    except UnsupportedOperatorError as error:  # the verification will tell the user
        log.info("half precision is not looked into: %s", error)
        return model, []


def _runtime(options: Options, gpu: Gpu | None) -> TensorRt:
    """The runtime, after a look at whether the options are for it."""
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
        own = source.config.input_size if source.config else fixed_size(source.onnx) or (320, 320)
        height, width = ((side, side, side) for side in own)
    return InputShape(options.batch, height, width)


def _to_onnx(source: Source, shape: InputShape) -> Any:
    if source.model is None:
        return graph.static(source.onnx, shape)
    from .to_onnx import to_onnx

    return to_onnx(source.model, shape)


class _Clock:
    """Tells when a stage begins and ends, and how long it took."""

    def __init__(self, tell: Progress) -> None:
        self.tell = tell
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.tell(name, 0, 0)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)
        self.tell(name, 1, 1)
