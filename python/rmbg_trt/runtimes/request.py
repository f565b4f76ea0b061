# SPDX-License-Identifier: Apache-2.0
"""What an engine requests from a runtime, what it gets, and the two errors of a runtime that cannot serve it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import _core
from ..errors import ModelError


@dataclass(frozen=True)
class Request:
    """The options with which a runtime opens a model.

    Attributes:
        precision: One of ``PRECISIONS``.
        size: Network input (height, width), or None for the model's own.
        slots: Number of network instances.
        device_index: The GPU, or None for the CPU. ``open_network`` sets it.
        compile: Let PyTorch compile its network first; other runtimes ignore it.
        calibration: Folder of photographs to calibrate an int8 model with, or None for the package's own.
    """

    precision: str
    size: tuple[int, int] | None
    slots: int
    device_index: int | None = None
    compile: bool = False
    calibration: Path | None = None


@dataclass(frozen=True)
class Opened:
    """The opened network instances.

    Attributes:
        networks: One for each slot.
        runtime: One of ``RUNTIMES``.
        runtime_version: Version of the runtime.
        device_name: The processor or GPU.
        precision: Arithmetic of the convolutions: "fp32", "bf16", "fp16" or "int8"; "unknown" for a plan without a
            sidecar.
        reason: Why this precision, and other notes.
        device: "cpu" or "cuda:N".
        device_index: The GPU, or None.
    """

    networks: list[_core.Network]
    runtime: str
    runtime_version: str
    device_name: str
    precision: str
    reason: str
    device: str = "cpu"
    device_index: int | None = None


class RefusedError(ModelError):
    """The model is fine, but not in the requested precision."""


class UnsupportedNetworkError(Exception):
    """This runtime cannot run the model, but another may. The message says why."""
