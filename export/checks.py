# SPDX-License-Identifier: Apache-2.0
"""Which comparisons an export has to pass: source, PyTorch, ONNX fp32, ONNX fp16 and plan, each against the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, UnavailableError
from ..runtimes.gpu import Gpu
from ..runtimes.tensorrt import TensorRt
from . import graph, run_plan
from .onnx_in_torch import UnsupportedOperatorError
from .pictures import Picture
from .predict import Predict, in_batches, onnx_runtime, remembered, torch_predict
from .shape import InputShape
from .source import Source, fixed_size
from .verify import (
    FP16_LIMITS,
    FP32_LIMITS,
    Activations,
    Comparison,
    check_half,
    compare,
)

if TYPE_CHECKING:
    PlanHere = tuple[TensorRt, bytes, Gpu | None]

MAX_CHECKED_SIDE = 1024  # the largest shape of a range is checked up to this


@dataclass
class Checks:
    """The figures of a verification.

    Attributes:
        comparisons: In the order in which they were made.
        activations: The largest value inside the fp16 network, or None.
        notes: What was not checked, and why.
        unverified: Failures to check at all.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    activations: Activations | None = None
    notes: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)

    def failures(self) -> list[str]:
        """What failed, a sentence each; empty when everything passed."""
        found = [text for comparison in self.comparisons for text in comparison.failures()]
        return found + (self.activations.failures() if self.activations else []) + self.unverified

    def to_list(self) -> list[dict[str, Any]]:
        """The figures for JSON."""
        figures = [comparison.to_dict() for comparison in self.comparisons]
        if self.activations is not None:
            figures.append(self.activations.to_dict())
        return figures + [{"note": note} for note in (*self.notes, *self.unverified)]


def verify(
    source: Source,
    shape: InputShape,
    fp32: Any,
    fp16: Any,
    plan: PlanHere | None,
    photographs: list[Picture],
    progress: Callable[[int, int], None],
) -> Checks:
    """Compares what an export made with what it was made from, on real photographs.

    Args:
        source: What was exported.
        shape: For which shapes.
        fp32: The ONNX model in fp32.
        fp16: The ONNX model in fp16, or None.
        plan: Its runtime, its bytes and the GPU to run it on, or None.
        photographs: At least one.
        progress: ``progress(done, total)``, in photographs.
    """
    checks = Checks()
    jobs = list(_jobs(source, shape, fp32, fp16, plan, checks))
    total, done = len(jobs) * len(photographs), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    progress(0, total)
    for job in jobs:
        job(photographs, step)
    return checks


_Job = Callable[[list[Picture], Callable[[], None]], None]


def _jobs(source: Source, shape: InputShape, fp32: Any, fp16: Any, plan: PlanHere | None, checks: Checks) -> list[_Job]:
    def comparison(what: str, reference: Predict, candidate: Predict, size: tuple[int, int], limits: Any) -> _Job:
        def run(pictures: list[Picture], step: Callable[[], None]) -> None:
            checks.comparisons.append(compare(what, reference, candidate, pictures, size, limits, step=step))

        return run

    def half(reference: Predict, size: tuple[int, int]) -> _Job:
        def run(pictures: list[Picture], step: Callable[[], None]) -> None:
            try:
                compared, checks.activations = check_half(fp16, reference, pictures, size, batch=batch, step=step)
                checks.comparisons.append(compared)
            except UnsupportedOperatorError as error:
                checks.unverified.append(f"the fp16 model could not be checked: {error}; export with --precision fp32")

        return run

    jobs: list[_Job] = []
    batch, _, *usual_size = shape.usual
    usual = (usual_size[0], usual_size[1])
    exported = in_batches(onnx_runtime(graph.serialize(fp32)), batch)
    if source.model is None:
        reference = remembered(onnx_runtime(graph.serialize(graph.at_shape(source.onnx, (1, 3, *usual)))))
        jobs.append(comparison("source ONNX and ONNX fp32", reference, exported, usual, FP32_LIMITS))
    else:
        reference = remembered(torch_predict(source.model))
        if source.onnx is not None:
            size = fixed_size(source.onnx) or usual
            original = onnx_runtime(graph.serialize(graph.at_shape(source.onnx, (1, 3, *size))))
            jobs.append(comparison("source ONNX and PyTorch", original, reference, size, FP32_LIMITS))
        if max(shape.largest[2:]) > MAX_CHECKED_SIDE:
            checks.notes.append(f"sizes above {MAX_CHECKED_SIDE} were not compared, except the usual one")
        for size in _sizes(shape):
            what = f"PyTorch and ONNX fp32 at {size[0]}x{size[1]}"
            jobs.append(comparison(what, reference, exported, size, FP32_LIMITS))
    if fp16 is not None:
        jobs.append(half(reference, usual))
    candidate = None if plan is None else _plan_here(*plan, checks)
    if candidate is not None:
        limits = FP32_LIMITS if fp16 is None else FP16_LIMITS
        jobs.append(comparison("fp32 and the plan on the GPU", reference, in_batches(candidate, batch), usual, limits))
    return jobs


def _plan_here(runtime: TensorRt, plan: bytes, gpu: Gpu | None, checks: Checks) -> Predict | None:
    """The plan as a function, or None, with a note, where it cannot run; that of full TensorRT must where a GPU is."""
    reason = run_plan.no_gpu(gpu)
    if gpu is not None and reason is None:
        try:
            return run_plan.plan_predict(runtime, plan, gpu)
        except (ModelError, UnavailableError) as error:
            if runtime.name == "tensorrt":
                raise
            reason = str(error)  # it may be for other GPUs
    checks.notes.append(f"the plan itself was not run: {reason}")
    return None


def _sizes(shape: InputShape) -> list[tuple[int, int]]:
    """(height, width) to check: the usual size, and the ends of a range as far as they are not huge."""
    ends = [corner[2:] for corner in (shape.usual, shape.smallest, shape.largest)]
    return [size for size in dict.fromkeys(ends) if size == ends[0] or max(size) <= MAX_CHECKED_SIDE]
