# SPDX-License-Identifier: Apache-2.0
"""The devices of a run: a single one, or one for each process of torchrun; precision and workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InputError, UnavailableError
from .config import TrainConfig

_LIGHTNING = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True)
class Processors:
    """What a run computes on."""

    accelerator: str  # "cpu" or "cuda"
    precision: str  # "fp32", "bf16" or "fp16"
    rank: int  # of this process
    world: int  # number of processes
    here: int  # number of processes on this machine
    workers: int  # number of loader processes for each

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.accelerator == "cuda"

    @property
    def name(self) -> str:
        """A readable name."""
        name = torch.cuda.get_device_name() if self.on_gpu else "CPU"
        return name if self.world == 1 else f"{self.world} x {name}"

    def for_lightning(self) -> dict[str, Any]:
        """Arguments of ``lightning.Trainer``."""
        options: dict[str, Any] = {"accelerator": self.accelerator, "devices": self.here}
        options["precision"] = _LIGHTNING[self.precision]
        return options if self.world == 1 else {**options, "num_nodes": self.world // self.here, "strategy": "ddp"}


def find_processors(config: TrainConfig) -> Processors:
    """Chooses the devices that the configuration names from those that exist.

    Raises:
        UnavailableError: The device is "cuda", and there is no GPU.
        InputError: The precision is for a GPU only.
    """
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise UnavailableError("device is 'cuda', but PyTorch sees no GPU; use 'cpu', or install PyTorch for CUDA")
    accelerator = "cuda" if config.device != "cpu" and has_gpu else "cpu"
    precision = config.precision
    if precision == "auto":
        precision = "fp32" if accelerator == "cpu" else "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if precision == "fp16" and accelerator == "cpu":
        raise InputError("precision fp16 is for a GPU; use fp32 or bf16 on the CPU")
    rank, world, here = 0, 1, 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        rank, world, here = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = config.workers if config.workers >= 0 else max(1, min(16, cores // here - 1))
    return Processors(accelerator, precision, rank, world, here, workers)
