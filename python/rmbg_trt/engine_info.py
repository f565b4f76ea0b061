# SPDX-License-Identifier: Apache-2.0
"""The description of an engine: device, runtime, precision, and why."""

from __future__ import annotations

from dataclasses import dataclass


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
