# SPDX-License-Identifier: Apache-2.0
"""Batches in an order that depends only on (seed, epoch), for any number of processes, resumable at any batch.

In step n, all processes together see the images that a single process with their combined batch size would see.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from ...errors import InputError
from ..processors import Processors
from .dataset import Draw, PairDataset, Sample, leave_signals_alone


class TrainLoader:
    """Shuffled batches for one process, epoch after epoch.

    It has the ``state_dict`` interface that Lightning expects, and measures how long the training waited for batches.

    Args:
        dataset: The pairs.
        batch: Images per batch, on this process.
        seed: Of the order.
        processors: The rank of this process, the number of workers, and whether batches go to a GPU.

    Raises:
        InputError: There are fewer images than all processes take in one step.
    """

    def __init__(self, dataset: PairDataset, batch: int, seed: int, processors: Processors) -> None:
        self.rank, self.world, workers = processors.rank, processors.world, processors.workers
        if len(dataset) < batch * self.world:
            raise InputError(
                f"{len(dataset)} training images are fewer than one step takes ({self.world} x {batch}); "
                "use a smaller batch, or more images"
            )
        self.count, self.batch, self.seed = len(dataset), batch, seed
        self.names = [pair.name for pair in dataset.pairs]
        self.epoch, self.done = 0, 0
        self.waited_s = 0.0
        self._batches: DataLoader[Sample] = DataLoader(
            dataset,
            batch_sampler=_Sampler(self),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=processors.on_gpu,
            prefetch_factor=4 if workers else None,
            worker_init_fn=leave_signals_alone,
        )

    def __len__(self) -> int:
        """Batches per epoch. Images that do not fill a batch are skipped, different ones in each epoch."""
        return self.count // (self.batch * self.world)

    def __iter__(self) -> Iterator[Sample]:
        """The remaining batches of this epoch, or those of the next one if none remain."""
        if self.done >= len(self):
            self.epoch, self.done = self.epoch + 1, 0
        started = time.perf_counter()
        for sample in self._batches:
            self.waited_s += time.perf_counter() - started
            self.done += 1
            yield sample
            started = time.perf_counter()

    def draws(self) -> Iterator[list[Draw]]:
        """The images of this process in each remaining step of this epoch."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.count, generator=generator).tolist()
        for step in range(self.done, len(self)):
            first = (step * self.world + self.rank) * self.batch
            yield [Draw(self.epoch, position) for position in order[first : first + self.batch]]

    def state_dict(self) -> dict[str, int]:
        """The position in the epoch: it counts batches that were handed out, not those that were prefetched."""
        return {"epoch": self.epoch, "done": self.done, "step": self.batch * self.world}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues from a position; call it before iterating. Raises InputError for another number of processes."""
        if state["step"] != self.batch * self.world:
            raise InputError(
                f"the run used {state['step']} images per step on all processes, and would now use "
                f"{self.batch * self.world}; resume it with {state['step'] // self.batch} process(es)"
            )
        self.epoch, self.done = state["epoch"], state["done"]


class _Sampler:
    """The loader's order, as a batch sampler of PyTorch."""

    def __init__(self, loader: TrainLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[list[Draw]]:
        return self.loader.draws()

    def __len__(self) -> int:
        return len(self.loader)
