# SPDX-License-Identifier: Apache-2.0
"""The options of an export, and the input shapes that a model is exported for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..runtimes.devices import cuda_index

PRECISIONS = ("fp16", "fp32")
CHANNELS = 3
MIN_SIDE, MAX_SIDE = 32, 4096
MAX_BATCH = 256

Range = tuple[int, int, int]
"""Smallest, usual (what the plan is tuned for) and largest; all equal for a fixed length."""


@dataclass(frozen=True)
class InputShape:
    """The shape (N, 3, H, W) of a network's input: one, or a range of batches and sizes.

    Raises:
        ValueError: A length is out of bounds, or a range is not in order.
    """

    batch: Range = (1, 1, 1)  # N, 1 to 256
    height: Range = (320, 320, 320)  # in pixels, 32 to 4096
    width: Range = (320, 320, 320)

    def __post_init__(self) -> None:
        bounds = {"batch": (1, MAX_BATCH), "height": (MIN_SIDE, MAX_SIDE), "width": (MIN_SIDE, MAX_SIDE)}
        for name, (lowest, highest) in bounds.items():
            low, usual, high = getattr(self, name)
            if not lowest <= low <= usual <= high <= highest:
                raise ValueError(
                    f"{name} is {low}, {usual}, {high} (smallest, usual, largest); expected whole numbers in this "
                    f"order, from {lowest} to {highest}"
                )

    @property
    def fixed(self) -> bool:
        """Whether there is only one shape."""
        return self.smallest == self.largest

    @property
    def smallest(self) -> tuple[int, int, int, int]:
        """(N, 3, H, W) of the smallest input."""
        return self._corner(0)

    @property
    def usual(self) -> tuple[int, int, int, int]:
        """(N, 3, H, W) that a plan is tuned for."""
        return self._corner(1)

    @property
    def largest(self) -> tuple[int, int, int, int]:
        """(N, 3, H, W) of the largest input."""
        return self._corner(2)

    def _corner(self, index: int) -> tuple[int, int, int, int]:
        return self.batch[index], CHANNELS, self.height[index], self.width[index]

    def __str__(self) -> str:
        smallest, usual, largest = ("x".join(map(str, self._corner(index))) for index in range(3))
        return usual if self.fixed else f"{smallest} to {largest}, usually {usual}"


@dataclass(frozen=True)
class Options:
    """Options of an export.

    Attributes:
        precision: Arithmetic of the convolutions, "fp16" or "fp32".
        batch: Smallest, usual and largest batch.
        size: Height and width, each as smallest, usual and largest; None takes the source's own size, or 320 x 320.
        onnx_only: Stop at ONNX.
        runtime: "tensorrt", "tensorrt_rtx" or "auto".
        device: The GPU that TensorRT builds the plan on and for, and that runs it for the verification: "cuda",
            "cuda:N", or "auto" for the first GPU if there is one.
        targets: Compute capabilities for TensorRT-RTX, such as "sm89".
        workspace_bytes: Limit of the builder's scratch memory, or None.
        timing_cache: File to read and write TensorRT's timings, or None.
        images: Folder or file of images to verify with; None takes the photographs of the package.
        force: Write the model even if its verification fails.
        overwrite: Replace existing files.

    Raises:
        InputError: The precision or device is unknown, or a length is out of bounds.
    """

    precision: str = "fp16"
    batch: Range = (1, 1, 1)
    size: tuple[Range, Range] | None = None
    onnx_only: bool = False
    runtime: str = "auto"
    device: str = "auto"
    targets: tuple[str, ...] = ()
    workspace_bytes: int | None = None
    timing_cache: Path | None = None
    images: Path | None = None
    force: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"precision is {self.precision!r}; expected {' or '.join(PRECISIONS)}")
        if self.device == "cpu":
            raise InputError("device is 'cpu', but plans are for GPUs; expected 'auto', 'cuda' or 'cuda:N'")
        if self.device != "auto":
            cuda_index(self.device)
        try:
            InputShape(self.batch, *(self.size or ()))
        except ValueError as error:
            raise InputError(str(error)) from error
