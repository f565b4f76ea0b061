# SPDX-License-Identifier: Apache-2.0
"""ONNX operators on spatial axes as functions of PyTorch tensors: convolution, pooling and resizing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from .onnx_operators import ANY, Node, operator, wide

# --- Convolution and pooling ---


@dataclass(frozen=True)
class _Window:
    """How a window moves over (N, C, *lengths): one number per spatial axis."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: list[tuple[int, int]]  # before and after

    @property
    def even(self) -> bool:
        return all(before == after for before, after in self.pads)

    def pad(self, x: Tensor, value: float) -> Tensor:
        flat = [side for pair in reversed(self.pads) for side in pair]
        return functional.pad(x, flat, value=value) if any(flat) else x


_WINDOW: dict[str, Any] = {
    **dict.fromkeys(("kernel_shape", "strides", "dilations", "pads"), ANY),
    "auto_pad": ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"),
}


def _window(node: Node, x: Tensor, kernel: list[int]) -> _Window:
    ones = [1] * len(kernel)
    strides, dilations = node.get("strides", ones), node.get("dilations", ones)
    auto = node.get("auto_pad", "NOTSET")
    if auto == "NOTSET":
        flat = node.get("pads", [0, 0] * len(kernel))
        pads = list(zip(flat[: len(kernel)], flat[len(kernel) :], strict=True))
    elif auto == "VALID":
        pads = [(0, 0) for _ in kernel]
    else:  # ceil(length / stride) outputs; an odd pixel of padding goes to the upper or lower end
        pads = []
        for length, size, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
            total = max((-(-length // stride) - 1) * stride + dilation * (size - 1) + 1 - length, 0)
            pads.append((total // 2, total - total // 2) if auto == "SAME_UPPER" else (total - total // 2, total // 2))
    return _Window(kernel, strides, dilations, pads)


@operator("Conv", group=ANY, **_WINDOW)
def _conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    window = _window(node, x, list(weight.shape[2:]))
    padding = [before for before, _ in window.pads]
    if not window.even:
        x, padding = window.pad(x, 0.0), [0] * len(padding)
    options = (window.strides, padding, window.dilations, False, [0] * len(padding), node.get("group", 1))
    return torch.convolution(wide(x), wide(weight), None if bias is None else wide(bias), *options).to(x.dtype)


@operator("MaxPool", ceil_mode=ANY, storage_order=ANY, **_WINDOW)
def _max_pool(node: Node, x: Tensor) -> Tensor:
    window = _pool_window(node, x)
    padded = window.pad(wide(x), -torch.inf)  # faster in float32, which holds every half exactly
    ceil = bool(node.get("ceil_mode", 0))
    return functional.max_pool2d(padded, window.kernel, window.strides, 0, window.dilations, ceil).to(x.dtype)


@operator("AveragePool", ceil_mode=ANY, count_include_pad=ANY, **{**_WINDOW, "dilations": ([1, 1],)})
def _average_pool(node: Node, x: Tensor) -> Tensor:
    window = _pool_window(node, x)
    if not window.even:
        raise node.refuse(f"uneven padding {window.pads}")
    padding = [before for before, _ in window.pads]
    ceil, count = bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))
    return functional.avg_pool2d(wide(x), window.kernel, window.strides, padding, ceil, count).to(x.dtype)


def _pool_window(node: Node, x: Tensor) -> _Window:
    kernel = node.get("kernel_shape")
    if len(kernel) != 2:
        raise node.refuse(f"a window of {len(kernel)} axes")
    window = _window(node, x, kernel)
    if node.get("ceil_mode", 0) and any(map(any, window.pads)):
        raise node.refuse("ceil_mode with padding")  # runtimes differ here
    return window


@operator("GlobalAveragePool")
def _global_average_pool(node: Node, x: Tensor) -> Tensor:
    return wide(x).mean(dim=list(range(2, x.ndim)), keepdim=True).to(x.dtype)


# --- Resizing ---

_MODES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
_ROUND: dict[str, Callable[[Tensor], Tensor]] = {
    "round_prefer_floor": lambda at: torch.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: torch.floor(at + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}


@operator(
    "Resize",
    mode=("nearest", "linear"),
    coordinate_transformation_mode=_MODES,
    nearest_mode=tuple(_ROUND),
    antialias=(0,),
    axes=ANY,
    cubic_coeff_a=ANY,
    exclude_outside=(0,),
    extrapolation_value=ANY,
    keep_aspect_ratio_policy=("stretch",),
)
def _resize(
    node: Node, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    mode = node.get("coordinate_transformation_mode", "half_pixel")
    changed = _changed(node, x, scales, sizes)
    if node.get("mode", "nearest") == "nearest":
        whole = _ROUND[node.get("nearest_mode", "round_prefer_floor")]
        for axis, (length, scale) in changed.items():
            last = x.shape[axis] - 1
            x = x.index_select(axis, whole(_positions(mode, last + 1, length, scale)).long().clamp(0, last))
        return x
    result = wide(x)
    if x.ndim == 4 and changed.keys() == {2, 3} and mode != "asymmetric" and all(to > 1 for to, _ in changed.values()):
        # PyTorch's own kernel is many times faster, but lacks "pytorch_half_pixel" for an output of one pixel.
        (height, y_scale), (width, x_scale) = changed[2], changed[3]
        corners = mode == "align_corners"
        result = torch.ops.aten.upsample_bilinear2d(result, [height, width], corners, y_scale, x_scale)
    else:
        for axis, (length, scale) in changed.items():
            result = _interpolate(result, axis, _positions(mode, x.shape[axis], length, scale))
    return result.to(x.dtype)


def _changed(node: Node, x: Tensor, scales: Tensor | None, sizes: Tensor | None) -> dict[int, tuple[int, float | None]]:
    """The axes to resize, each with its new length and, if the node has scales, its scale."""
    axes = [axis % x.ndim for axis in node.get("axes", range(x.ndim))]
    if sizes is not None and sizes.numel():
        lengths = [(axis, int(length)) for axis, length in zip(axes, sizes, strict=True)]
        return {axis: (length, None) for axis, length in lengths if length != x.shape[axis]}
    if scales is None or not scales.numel():
        raise node.refuse("neither scales nor sizes")
    # The product in float32, as in other runtimes: 0.7 * 10 is 7.
    factors = [(axis, float(scale)) for axis, scale in zip(axes, scales, strict=True) if scale != 1.0]
    return {axis: (int(np.float32(x.shape[axis]) * np.float32(scale)), scale) for axis, scale in factors}


def _positions(mode: str, before: int, after: int, scale: float | None) -> Tensor:
    """The positions of the ``after`` outputs of an axis among its ``before`` inputs: (after,) float64."""
    index = torch.arange(after, dtype=torch.float64)
    step = before / after if scale is None else 1.0 / scale
    if after == 1 and mode in ("pytorch_half_pixel", "align_corners"):
        return torch.zeros(1, dtype=torch.float64)
    if mode == "align_corners":
        return index * (before - 1) / (after - 1)
    return index * step if mode == "asymmetric" else (index + 0.5) * step - 0.5


def _interpolate(x: Tensor, axis: int, at: Tensor) -> Tensor:
    """Interpolates linearly along one axis; positions outside are clamped."""
    last = x.shape[axis] - 1
    at = at.clamp(0, last)
    low = at.long()
    weight = (at - low).to(x.dtype).reshape([-1] + [1] * (x.ndim - 1 - axis))
    return torch.lerp(x.index_select(axis, low), x.index_select(axis, (low + 1).clamp(max=last)), weight)
