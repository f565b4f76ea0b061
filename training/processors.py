# SPDX-License-Identifier: Apache-2.0
"""Where a run computes: one processor, or those that torchrun has started processes for; precision and workers."""

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
    """What a run computes on.

    Attributes:
        accelerator: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".
        rank: Of this process.
        world: All processes.
        here: Those on this machine.
        workers: Reading processes of each.
    """

    accelerator: str
    precision: str
    rank: int
    world: int
    here: int
    workers: int

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.accelerator == "cuda"

    @property
    def name(self) -> str:
        """For people."""
        name = torch.cuda.get_device_name() if self.on_gpu else "CPU"
        return name if self.world == 1 else f"{self.world} x {name}"

    def for_lightning(self) -> dict[str, Any]:
        """Arguments of ``lightning.Trainer``."""
        options: dict[str, Any] = {"accelerator": self.accelerator, "devices": self.here}
        options["precision"] = _LIGHTNING[self.precision]
        return options if self.world == 1 else {**options, "num_nodes": self.world // self.here, "strategy": "ddp"}


def find_processors(config: TrainConfig) -> Processors:
    """What there is, as the configuration wants it.

    Raises:
        UnavailableError: A GPU is asked for, and there is none.
        InputError: The precision is for a GPU.
    """
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise UnavailableError("device is 'cuda', and PyTorch sees no GPU; take 'cpu', or install PyTorch for CUDA")
    accelerator = "cuda" if config.device != "cpu" and there else "cpu"
    precision = config.precision
    if precision == "auto":
        precision = "fp32" if accelerator == "cpu" else "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if precision == "fp16" and accelerator == "cpu":
        raise InputError("precision fp16 is for a GPU; on the CPU take fp32 or bf16")
    rank, world, here = 0, 1, 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        rank, world, here = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = config.workers if config.workers >= 0 else max(1, min(16, cores // here - 1))
    return Processors(accelerator, precision, rank, world, here, workers)
