# SPDX-License-Identifier: Apache-2.0
"""What an export is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..runtimes.gpu import cuda_index
from .shape import InputShape, Range

PRECISIONS = ("fp16", "fp32")


@dataclass(frozen=True)
class Options:
    """What is asked for.

    Attributes:
        precision: "fp16" or "fp32": arithmetic of the convolutions.
        batch: Pictures at once: smallest, usual and largest number.
        size: Height and width, each smallest, usual and largest; None takes the source's own size, or 320 x 320.
        onnx_only: Stop at ONNX.
        runtime: "tensorrt", "tensorrt_rtx" or "auto".
        device: The GPU that TensorRT builds the plan on, and for, and that runs it for its verification: "cuda",
            "cuda:N", or "auto" for the first one if there is any.
        targets: Compute capabilities for TensorRT-RTX, as "sm89".
        workspace_bytes: Scratch memory the builder may plan with, or None.
        timing_cache: File to read and write TensorRT's timings, or None.
        pictures: Folder or file to verify with; None takes the ones that come with the package.
        force: Write a model that failed its verification.
        overwrite: Replace files that are there.

    Raises:
        InputError: There is no such precision or kind of device, or a length is out of bounds.
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
    pictures: Path | None = None
    force: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"precision is {self.precision!r}; expected {' or '.join(PRECISIONS)}")
        if self.device == "cpu":
            raise InputError("device is 'cpu', and plans are for GPUs; expected 'auto', 'cuda' or 'cuda:N'")
        if self.device != "auto":
            cuda_index(self.device)
        try:
            InputShape(self.batch, *(self.size or ()))
        except ValueError as error:
            raise InputError(str(error)) from error
