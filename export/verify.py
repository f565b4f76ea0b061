# SPDX-License-Identifier: Apache-2.0
"""Compares two networks on images: figures, limits, and sentences about what failed.

The names of the figures are the keys of the sidecar's JSON.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .images import NamedImage, input_tensor
from .predict import Floats, Predict, in_batches

if TYPE_CHECKING:
    import onnx
    import torch

    from .onnx_operators import Node

LARGEST_HALF = 65504.0
_NAMES = {"max_abs": "the largest difference", "mean_alpha": "the mean difference of alpha (of 255)", "iou": "the IoU"}


@dataclass(frozen=True)
class Limits:
    """Limits of a comparison; None for a figure without one."""

    max_abs: float | None = None  # at most, difference of a probability, 0 to 1
    mean_alpha: float | None = None  # at most, mean difference of alpha, 0 to 255
    iou: float | None = None  # at least, intersection over union of alpha >= 128


FP32_LIMITS = Limits(max_abs=1e-4)
FP16_LIMITS = Limits(mean_alpha=0.5, iou=0.999)


@dataclass(frozen=True)
class Comparison:
    """Figures of a candidate against its reference. They are NaN if any value of the candidate is NaN or Inf.

    Alpha is computed from the probabilities as in the recipe: stretched per image, truncated to 8 bit.
    """

    what: str  # the two networks, for messages
    images: int  # number of images
    max_abs: float  # largest difference of a probability, over all pixels at network size
    mean_abs: float  # mean difference of a probability
    mean_alpha: float  # mean difference of alpha, 0 to 255
    iou: float  # intersection over union of alpha >= 128, both summed over all images; 1 if both are empty
    worst_image: str  # the image with the largest difference, or the first one with NaN or Inf
    not_finite: int  # number of the candidate's values that are NaN or Inf
    limits: Limits
    advice: str = ""  # what to do when the comparison fails

    def failures(self) -> list[str]:
        """What failed, a sentence each; empty if it passed."""
        hint = f"; {self.advice}" if self.advice else ""
        if self.not_finite:
            return [f"{self.what}: {self.not_finite} values are NaN or Inf, first in {self.worst_image}{hint}"]
        failed = []
        for name, limit in dataclasses.asdict(self.limits).items():
            figure = getattr(self, name)
            if limit is not None and not (figure >= limit if name == "iou" else figure <= limit):
                bound = "at least" if name == "iou" else "at most"
                text = f"{_NAMES[name]} is {figure:.6g}, expected {bound} {limit:g}"
                failed.append(f"{self.what}: {text} (worst image: {self.worst_image}){hint}")
        return failed

    def to_dict(self) -> dict[str, Any]:
        """For JSON; NaN becomes None."""
        limits = {name: limit for name, limit in dataclasses.asdict(self.limits).items() if limit is not None}
        figures = {**dataclasses.asdict(self), "limits": limits, "passed": not self.failures()}
        del figures["advice"]
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value for key, value in figures.items()
        }


@dataclass(frozen=True)
class Activations:
    """The largest values inside a half-precision network, which overflows above 65504."""

    largest: float  # largest finite magnitude of any half-precision output of a node; 0 if there is none
    layer: str  # the ONNX node with that output
    not_finite_layer: str | None = None  # the first node with NaN or Inf

    @property
    def headroom(self) -> float | None:
        """How many times larger values could become before they overflow; None if there are no values."""
        return LARGEST_HALF / self.largest if self.largest else None

    def failures(self) -> list[str]:
        """A sentence if a layer overflowed."""
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
    images: Sequence[NamedImage],
    size: tuple[int, int],
    limits: Limits,
    *,
    step: Callable[[], None] | None = None,
) -> Comparison:
    """Compares two networks, image by image.

    Args:
        what: The two networks, for messages.
        reference: The network that is right.
        candidate: The network to check.
        images: At least one.
        size: (height, width) of the network's input.
        limits: The limits of the figures.
        step: Called after each image.

    Raises:
        ModelError: The reference itself gives NaN or Inf, the outputs differ in shape, or a network fails.
    """
    totals = _Totals()
    for image in images:
        x = input_tensor([image], *size)
        expected = np.asarray(reference(x), np.float32)
        got = np.asarray(candidate(x), np.float32)
        if got.shape != expected.shape:
            raise ModelError(f"{what}: the output has shape {got.shape}; expected {expected.shape}")
        if not np.isfinite(expected).all():
            raise ModelError(f"{what}: the first of them gives NaN or Inf on {image.name}; its weights are broken")
        totals.add(image.name, expected, got)
        if step is not None:
            step()
    return totals.comparison(what, len(images), limits)


def check_half(
    model: onnx.ModelProto | bytes,
    reference: Predict,
    images: Sequence[NamedImage],
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
        images: At least one.
        size: (height, width) of the network's input.
        limits: The limits of the figures.
        what: The two networks, for messages.
        batch: The batch that the graph was exported for.
        step: Called after each image.

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
        low, high = map(float, value.aminmax()) if value.numel() else (0.0, 0.0)
        if not math.isfinite(low + high):  # NaN in one is NaN in both
            not_finite_layer = not_finite_layer or node.name
            value = value.nan_to_num(0.0, 0.0, 0.0)
            low, high = map(float, value.aminmax())
        if value.dtype == torch.float16 and max(-low, high) > largest:
            largest, layer = max(-low, high), node.name

    def candidate(x: Floats) -> Floats:
        result: Floats = network(torch.from_numpy(x), observe).float().numpy()
        return result

    comparison = compare(what, reference, in_batches(candidate, batch), images, size, limits, step=step)
    inside = Activations(largest, layer, not_finite_layer)
    if not_finite_layer is None:
        cause = f"the largest value inside is {largest:.4g}, of layer {layer!r} (half ends at {LARGEST_HALF:g})"
    else:
        cause = f"layer {not_finite_layer!r} is the first to give NaN or Inf"
    return dataclasses.replace(comparison, advice=f"{cause}; export with --precision fp32"), inside


@dataclass
class _Totals:
    """Sums over the images."""

    pixels: int = 0
    abs_sum: float = 0.0
    alpha_sum: int = 0
    intersection: int = 0
    union: int = 0
    not_finite: int = 0
    first_not_finite: str = ""
    largest: dict[str, float] = field(default_factory=dict)  # difference of each image

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

    def comparison(self, what: str, images: int, limits: Limits) -> Comparison:
        if self.not_finite:
            nan = math.nan
            return Comparison(what, images, nan, nan, nan, nan, self.first_not_finite, self.not_finite, limits)
        worst = max(self.largest, key=lambda name: self.largest[name])
        mean_abs, mean_alpha = self.abs_sum / self.pixels, self.alpha_sum / self.pixels
        iou = self.intersection / self.union if self.union else 1.0
        return Comparison(what, images, self.largest[worst], mean_abs, mean_alpha, iou, worst, 0, limits)


def recipe_alpha(probability: Floats) -> NDArray[np.uint8]:
    """The recipe's alpha: (p - min) / (max - min), zeros for a constant, times 255, truncated to 8 bit."""
    low, high = probability.min(), probability.max()
    if low == high:
        return np.zeros(probability.shape, np.uint8)
    alpha: NDArray[np.uint8] = ((probability - low) / (high - low) * np.float32(255)).astype(np.uint8)
    return alpha
