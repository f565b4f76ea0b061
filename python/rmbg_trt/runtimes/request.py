# SPDX-License-Identifier: Apache-2.0
"""What an engine requests from a runtime, what it gets and reports of it, and the progress meanwhile.

Two errors say that a runtime cannot serve a request. Progress is a line in the log for each stage, and a bar on a
terminal.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import _core
from ..errors import ModelError

log = logging.getLogger("rmbg_trt.tensorrt")

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; ``total`` is 0 while unknown."""


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


@dataclass(frozen=True)
class EngineInfo:
    """What an engine runs on, and why.

    Attributes:
        model: The name or path that was passed to the engine.
        model_path: The model file.
        device: "cpu" or "cuda:N".
        device_name: The processor or GPU.
        runtime: "native", "openvino", "tensorrt", "tensorrt_rtx" or "torch".
        runtime_version: Version of the runtime.
        precision: Arithmetic of the convolutions.
        input_size: Network input (height, width).
        slots: Frames that can be in flight.
        reason: Why this device, runtime and precision.
        mode: "cpu"; on a GPU "graph" (from the second frame of a kind on, a frame runs as three CUDA graphs), or
            "eager" and why.
        device_memory_bytes: GPU memory of this process's engines, without the memory that runtimes allocate.
    """

    model: str
    model_path: str
    device: str
    device_name: str
    runtime: str
    runtime_version: str
    precision: str
    input_size: tuple[int, int]
    slots: int
    reason: str
    mode: str = "cpu"
    device_memory_bytes: int = 0

    def __str__(self) -> str:
        height, width = self.input_size
        return (
            f"{self.model} {height}x{width} on {self.device} ({self.device_name}), {self.runtime} "
            f"{self.runtime_version}, {self.precision}, {self.slots} slots: {self.reason}"
        )


class RefusedError(ModelError):
    """The model is fine, but not in the requested precision."""


class UnsupportedNetworkError(Exception):
    """This runtime cannot run the model, but another may. The message says why."""


@contextmanager
def build_progress(what: str, *, making: str = "making the", note: str = " (once)") -> Iterator[Progress]:
    """Shows the progress of one build on standard error.

    Args:
        what: What is built, such as "plan of u2netp".
        making: The verb before it, in the log.
        note: The note after it, on the bar.

    Yields:
        The function to call, from any thread.
    """
    seen: set[str] = set()

    def log_stage(stage: str, done: int, total: int) -> None:
        if stage not in seen:
            seen.add(stage)
            log.info("%s %s: %s", making, what, stage)

    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield log_stage
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield log_stage
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{what}{note}", total=None)

        def show(stage: str, done: int, total: int) -> None:
            log_stage(stage, done, total)
            bar.update(task, description=f"{what}{note}: {stage}", completed=done, total=total or None)

        yield show
