# SPDX-License-Identifier: Apache-2.0
"""Compares what an export made with what it was made from, on photographs: figures, limits, and what went wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .pictures import Picture, input_tensor
from .predict import Floats, Predict, in_batches, onnx_runtime, torch_predict

if TYPE_CHECKING:
    import onnx
    import torch

    from .onnx_node import Node

__all__ = [
    "FP16_LIMITS",
    "FP32_LIMITS",
    "Activations",
    "Comparison",
    "Limits",
    "Predict",
    "check_half",
    "compare",
    "onnx_runtime",
    "torch_predict",
]

LARGEST_HALF = 65504.0
_NAMES = {"max_abs": "the largest difference", "mean_alpha": "the mean difference of alpha (of 255)", "iou": "the IoU"}


@dataclass(frozen=True)
class Limits:
    """What a comparison has to keep; None for a figure that is free.

    Attributes:
        max_abs: The largest difference of a probability, 0 to 1.
        mean_alpha: The mean difference of alpha, 0 to 255.
        iou: The least intersection over union of alpha >= 128, 0 to 1.
    """

    max_abs: float | None = None
    mean_alpha: float | None = None
    iou: float | None = None


FP32_LIMITS = Limits(max_abs=1e-4)
FP16_LIMITS = Limits(mean_alpha=0.5, iou=0.999)


@dataclass(frozen=True)
class Comparison:
    """Figures of a candidate against its reference. They are NaN when the candidate gave NaN or Inf anywhere.

    Attributes:
        what: What was compared, for messages.
        pictures: How many photographs.
        max_abs: The largest difference of a probability, over all pixels at network size.
        mean_abs: The mean one.
        mean_alpha: The mean difference of alpha, 0 to 255, over all pixels. Alpha is what the recipe makes of the
            probabilities: stretched between the picture's extremes, truncated to 8 bit.
        iou: Intersection over union of alpha >= 128, both summed over all pictures; 1 where both are empty.
        worst_picture: The one with the largest difference, or the first one with NaN or Inf.
        not_finite: How many of the candidate's values are NaN or Inf.
        limits: What the figures have to keep.
        advice: What to do when it fails.
    """

    what: str
    pictures: int
    max_abs: float
    mean_abs: float
    mean_alpha: float
    iou: float
    worst_picture: str
    not_finite: int
    limits: Limits
    advice: str = ""

    def failures(self) -> list[str]:
        """What failed, a sentence each; empty when it passed."""
        hint = f"; {self.advice}" if self.advice else ""
        if self.not_finite:
            return [f"{self.what}: {self.not_finite} values are NaN or Inf, first in {self.worst_picture}{hint}"]
        failed = []
        for name, limit in dataclasses.asdict(self.limits).items():
            figure = getattr(self, name)
            if limit is not None and not (figure >= limit if name == "iou" else figure <= limit):
                bound = "at least" if name == "iou" else "at most"
                text = f"{_NAMES[name]} is {figure:.6g}, expected {bound} {limit:g}"
                failed.append(f"{self.what}: {text} (worst picture: {self.worst_picture}){hint}")
        return failed

    def to_dict(self) -> dict[str, Any]:
        """For JSON: None for figures that are not numbers."""
        limits = {name: limit for name, limit in dataclasses.asdict(self.limits).items() if limit is not None}
        figures = {**dataclasses.asdict(self), "limits": limits, "passed": not self.failures()}
        del figures["advice"]
        return {name: _json(value) for name, value in figures.items()}


@dataclass(frozen=True)
class Activations:
    """The largest values inside a half-precision network, which overflows above 65504.

    Attributes:
        largest: Largest finite magnitude of any half-precision output of a node; 0 if there is none.
        layer: Name of the ONNX node that gave it.
        not_finite_layer: The first node that gave NaN or Inf, or None.
    """

    largest: float
    layer: str
    not_finite_layer: str | None = None

    @property
    def headroom(self) -> float | None:
        """How many times larger values could become before they overflow; None where there are none."""
        return LARGEST_HALF / self.largest if self.largest else None

    def failures(self) -> list[str]:
        """A sentence, if something overflowed."""
        if self.not_finite_layer is None:
            return []
        return [f"layer {self.not_finite_layer!r} gives NaN or Inf in half precision; export with --precision fp32"]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"what": "values inside ONNX fp16", **dataclasses.asdict(self), "headroom": self.headroom}


def compare(
    what: str,
    reference: Predict,
    candidate: Predict,
    pictures: Sequence[Picture],
    size: tuple[int, int],
    limits: Limits,
    *,
    step: Callable[[], None] | None = None,
) -> Comparison:
    """Compares two networks, picture by picture.

    Args:
        what: What is compared, for messages.
        reference: The network that is right.
        candidate: The one to check.
        pictures: At least one.
        size: (height, width) of the network's input.
        limits: What the figures have to keep.
        step: Called after each picture.

    Raises:
        ModelError: The reference itself gives NaN or Inf, the outputs differ in shape, or a network fails.
    """
    totals = _Totals()
    for picture in pictures:
        x = input_tensor([picture], *size)
        expected = np.asarray(reference(x), np.float32)
        got = np.asarray(candidate(x), np.float32)
        if got.shape != expected.shape:
            raise ModelError(f"{what}: the output has shape {got.shape}; expected {expected.shape}")
        if not np.isfinite(expected).all():
            raise ModelError(f"{what}: the first of them gives NaN or Inf on {picture.name}; its weights are broken")
        totals.add(picture.name, expected, got)
        if step is not None:
            step()
    return totals.comparison(what, len(pictures), limits)


def check_half(
    model: onnx.ModelProto | bytes,
    reference: Predict,
    pictures: Sequence[Picture],
    size: tuple[int, int],
    limits: Limits = FP16_LIMITS,
    *,
    what: str = "fp32 and ONNX fp16",
    batch: int = 1,
    step: Callable[[], None] | None = None,
) -> tuple[Comparison, Activations]:
    """Compares a half-precision ONNX model, run with real half-precision values, with its reference.

    Args:
        model: The graph, with input and output in float32 or float16.
        reference: The network in fp32.
        pictures: At least one.
        size: (height, width) of the network's input.
        limits: What the figures have to keep.
        what: What is compared, for messages.
        batch: Pictures at once that the graph is made for.
        step: Called after each picture.

    Returns:
        The figures, and the largest values inside the network.

    Raises:
        UnsupportedOperatorError: A node cannot be run in PyTorch.
        ModelError: As in `compare`.
    """
    import onnx
    import torch

    from .onnx_in_torch import OnnxInTorch

    network = OnnxInTorch(onnx.load_from_string(model) if isinstance(model, bytes) else model)
    largest, layer, not_finite_layer = 0.0, "", None

    def observe(node: Node, inputs: Any, value: torch.Tensor) -> None:
        nonlocal largest, layer, not_finite_layer
        low, high = (float(each) for each in value.aminmax()) if value.numel() else (0.0, 0.0)
        if not math.isfinite(low + high):  # NaN in one is NaN in both
            not_finite_layer = not_finite_layer or node.name
            value = value.nan_to_num(0.0, 0.0, 0.0)
            low, high = (float(each) for each in value.aminmax())
        if value.dtype == torch.float16 and max(-low, high) > largest:
            largest, layer = max(-low, high), node.name

    def candidate(x: Floats) -> Floats:
        result: Floats = network(torch.from_numpy(x), observe).float().numpy()
        return result

    comparison = compare(what, reference, in_batches(candidate, batch), pictures, size, limits, step=step)
    inside = Activations(largest, layer, not_finite_layer)
    if not_finite_layer is None:
        cause = f"the largest value inside is {largest:.4g}, of layer {layer!r} (half ends at {LARGEST_HALF:g})"
    else:
        cause = f"layer {not_finite_layer!r} is the first to give NaN or Inf"
    return dataclasses.replace(comparison, advice=f"{cause}; export with --precision fp32"), inside


@dataclass
class _Totals:
    """What is summed over the pictures."""

    pixels: int = 0
    abs_sum: float = 0.0
    alpha_sum: int = 0
    intersection: int = 0
    union: int = 0
    not_finite: int = 0
    first_not_finite: str = ""
    largest: dict[str, float] = field(default_factory=dict)  # difference of each picture

    def add(self, name: str, expected: Floats, got: Floats) -> None:
        bad = int(np.count_nonzero(~np.isfinite(got)))
        if bad:
            self.not_finite += bad
            self.first_not_finite = self.first_not_finite or name
            return
        difference = np.abs(got.astype(np.float64) - expected)
        self.pixels += difference.size
        self.abs_sum += float(difference.sum())
        self.largest[name] = max(float(difference.max()), self.largest.get(name, 0.0))
        for one, other in zip(expected, got, strict=True):
            a, b = recipe_alpha(one), recipe_alpha(other)
            self.alpha_sum += int(np.abs(a.astype(np.int64) - b).sum())
            self.intersection += int(np.count_nonzero((a >= 128) & (b >= 128)))
            self.union += int(np.count_nonzero((a >= 128) | (b >= 128)))

    def comparison(self, what: str, pictures: int, limits: Limits) -> Comparison:
        if self.not_finite:
            nan = math.nan
            return Comparison(what, pictures, nan, nan, nan, nan, self.first_not_finite, self.not_finite, limits)
        worst = max(self.largest, key=lambda name: self.largest[name])
        mean_abs, mean_alpha = self.abs_sum / self.pixels, self.alpha_sum / self.pixels
        iou = self.intersection / self.union if self.union else 1.0
        return Comparison(what, pictures, self.largest[worst], mean_abs, mean_alpha, iou, worst, 0, limits)


def recipe_alpha(probability: Floats) -> NDArray[np.uint8]:
    """The recipe's alpha: (p - min) / (max - min), zeros for a constant, times 255, truncated."""
    low, high = probability.min(), probability.max()
    if low == high:
        return np.zeros(probability.shape, np.uint8)
    alpha: NDArray[np.uint8] = ((probability - low) / (high - low) * np.float32(255)).astype(np.uint8)
    return alpha


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
