# SPDX-License-Identifier: Apache-2.0
"""What an engine says about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineInfo:
    """What an engine runs on, and why.

    Attributes:
        model: The name or path the engine was made from.
        model_path: The model file.
        device: "cpu" or "cuda:N".
        device_name: The processor.
        runtime: "native", "openvino", "tensorrt", "tensorrt_rtx" or "torch".
        runtime_version: Version of the runtime.
        precision: Arithmetic of the convolutions.
        input_size: Network input (height, width).
        slots: Frames that can be in flight.
        reason: Why this device, runtime and precision.
        mode: "cpu"; on a GPU "graph" (from the second frame of a kind on, a frame is three CUDA graphs), or "eager" and
            why.
        device_memory_bytes: GPU memory held by this process's engines, without what the runtimes take themselves.
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
