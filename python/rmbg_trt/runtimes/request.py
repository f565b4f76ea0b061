# SPDX-License-Identifier: Apache-2.0
"""What an engine asks of a runtime, what it gets, and the two ways in which a runtime says no."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import _core
from ..errors import ModelError


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        precision: One of ``PRECISIONS``.
        size: Network input (height, width), or None for the model's own.
        slots: Instances of the network to make.
        device_index: The GPU, or None for the CPU. ``open_network`` sets it.
        compile: Let PyTorch compile its network first; the other runtimes do not look at it.
        calibration: Folder of photographs to make an int8 model with, or None for the package's own.
    """

    precision: str
    size: tuple[int, int] | None
    slots: int
    device_index: int | None = None
    compile: bool = False
    calibration: Path | None = None


@dataclass(frozen=True)
class Opened:
    """Network instances, one a slot, and what they are.

    Attributes:
        networks: One for each slot.
        runtime: Name of the runtime, one of ``RUNTIMES``.
        runtime_version: Its version.
        device_name: The processor it runs on.
        precision: Arithmetic of the convolutions: "fp32", "bf16", "fp16" or "int8"; "unknown" for a plan without a
            sidecar.
        reason: Why this precision, and what else is worth knowing.
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
    """The model is sound, but not in the precision that is asked for."""


class UnsupportedNetworkError(Exception):
    """This adapter cannot run that model; another may. The message says why."""
