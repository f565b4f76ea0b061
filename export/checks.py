# SPDX-License-Identifier: Apache-2.0
"""The comparisons that an export has to pass: source, PyTorch, ONNX fp32, ONNX fp16 and plan, each with the one before.

`verify` has the figures and limits of a single comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import ModelError, UnavailableError
from ..runtimes.devices import Gpu
from ..runtimes.tensorrt import TensorRt
from . import graph
from .images import NamedImage
from .options import InputShape
from .predict import Predict, in_batches, onnx_runtime, plan_predict, remembered, torch_predict, why_no_gpu
from .probabilities import check_probabilities
from .source import Source, fixed_size
from .verify import FP16_LIMITS, FP32_LIMITS, Activations, Comparison, Limits, check_half, compare

MAX_CHECKED_SIDE = 1024  # the ends of a range are checked up to this size

_Job = Callable[[list[NamedImage], Callable[[], None]], None]
_Plan = tuple[TensorRt, bytes, Gpu | None]


@dataclass
class Checks:
    """The results of a verification."""

    comparisons: list[Comparison] = field(default_factory=list)
    activations: Activations | None = None  # the largest value inside the fp16 network
    notes: list[str] = field(default_factory=list)  # what was not checked, and why
    unverified: list[str] = field(default_factory=list)  # why mattes may be wrong although all comparisons passed

    def failures(self) -> list[str]:
        """What failed, a sentence each; empty if everything passed."""
        failed = [text for comparison in self.comparisons for text in comparison.failures()]
        return failed + (self.activations.failures() if self.activations else []) + self.unverified

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
    plan: _Plan | None,
    images: list[NamedImage],
    progress: Callable[[int, int], None],
) -> Checks:
    """Compares the exported models with their source on real photographs.

    Args:
        source: The source of the export.
        shape: The input shapes.
        fp32: The ONNX model in fp32.
        fp16: The ONNX model in fp16, or None.
        plan: The plan's runtime, its bytes and the GPU to run it on, or None.
        images: At least one.
        progress: ``progress(done, total)``, in images.
    """
    checks = Checks()
    jobs = list(_jobs(source, shape, fp32, fp16, plan, checks))
    total, done = len(jobs) * len(images), 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    progress(0, total)
    for job in jobs:
        job(images, step)
    return checks


def _jobs(source: Source, shape: InputShape, fp32: Any, fp16: Any, plan: _Plan | None, checks: Checks) -> list[_Job]:
    def comparison(what: str, reference: Predict, candidate: Predict, size: tuple[int, int], limits: Limits) -> _Job:
        def run(images: list[NamedImage], step: Callable[[], None]) -> None:
            checks.comparisons.append(compare(what, reference, candidate, images, size, limits, step=step))

        return run

    def half(reference: Predict, size: tuple[int, int]) -> _Job:
        from .onnx_operators import UnsupportedOperatorError  # needs PyTorch

        def run(images: list[NamedImage], step: Callable[[], None]) -> None:
            try:
                compared, checks.activations = check_half(fp16, reference, images, size, batch=batch, step=step)
                checks.comparisons.append(compared)
            except UnsupportedOperatorError as error:
                checks.unverified.append(f"the fp16 model could not be checked: {error}; export with --precision fp32")

        return run

    def probabilities(predict: Predict, size: tuple[int, int]) -> _Job:
        def run(images: list[NamedImage], step: Callable[[], None]) -> None:
            try:
                failure = check_probabilities(source.path.name, predict, images, size)
            except ModelError as error:
                failure = str(error)
            checks.unverified += [failure] if failure else []
            for _ in images:
                step()

        return run

    jobs: list[_Job] = []
    batch, _, *usual_size = shape.usual
    usual = (usual_size[0], usual_size[1])
    exported = in_batches(onnx_runtime(graph.serialize(fp32)), batch)
    if source.model is None:
        reference = remembered(onnx_runtime(graph.serialize(graph.at_shape(source.onnx, (1, 3, *usual)))))
        jobs.append(probabilities(reference, usual))
        jobs.append(comparison("source ONNX and ONNX fp32", reference, exported, usual, FP32_LIMITS))
    else:
        reference = remembered(torch_predict(source.model))
        if source.onnx is not None:
            size = fixed_size(source.onnx) or usual
            original = remembered(onnx_runtime(graph.serialize(graph.at_shape(source.onnx, (1, 3, *size)))))
            jobs.append(probabilities(original, size))
            jobs.append(comparison("source ONNX and PyTorch", original, reference, size, FP32_LIMITS))
        if max(shape.largest[2:]) > MAX_CHECKED_SIDE:
            checks.notes.append(f"sizes above {MAX_CHECKED_SIDE} were not compared, except the usual one")
        for size in _sizes(shape):
            what = f"PyTorch and ONNX fp32 at {size[0]}x{size[1]}"
            jobs.append(comparison(what, reference, exported, size, FP32_LIMITS))
    if fp16 is not None:
        jobs.append(half(reference, usual))
    candidate = None if plan is None else _plan_on_gpu(*plan, checks)
    if candidate is not None:
        limits = FP32_LIMITS if fp16 is None else FP16_LIMITS
        jobs.append(comparison("fp32 and the plan on the GPU", reference, in_batches(candidate, batch), usual, limits))
    return jobs


def _plan_on_gpu(runtime: TensorRt, plan: bytes, gpu: Gpu | None, checks: Checks) -> Predict | None:
    """The plan as a function, or None with a note if it cannot run. Full TensorRT's plan must run if there is a GPU."""
    reason = why_no_gpu(gpu)
    if gpu is not None and reason is None:
        try:
            return plan_predict(runtime, plan, gpu)
        except (ModelError, UnavailableError) as error:
            if runtime.name == "tensorrt":
                raise
            reason = str(error)  # it may be for other GPUs
    checks.notes.append(f"the plan itself was not run: {reason}")
    return None


def _sizes(shape: InputShape) -> list[tuple[int, int]]:
    """(height, width) to check: the usual size, and both ends of a range unless they are too large."""
    ends = [corner[2:] for corner in (shape.usual, shape.smallest, shape.largest)]
    return [size for size in dict.fromkeys(ends) if size == ends[0] or max(size) <= MAX_CHECKED_SIDE]
