# SPDX-License-Identifier: Apache-2.0
"""Batches in an order that hangs only on (seed, epoch), dealt to any number of processes, resumable at any batch.

The n-th step of all processes together sees the same pictures as one process with their whole batch would.
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
    """Shuffled batches of one process, epoch after epoch.

    It has the ``state_dict`` interface that Lightning looks for, and knows how long the training waited for it.

    Args:
        dataset: The pairs.
        batch: Pictures a batch, on this process.
        seed: Of the order.
        processors: This process among all, its workers, and whether batches go to a GPU.

    Raises:
        InputError: There are fewer pictures than all processes take in one step.
    """

    def __init__(self, dataset: PairDataset, batch: int, seed: int, processors: Processors) -> None:
        self.rank, self.world, workers = processors.rank, processors.world, processors.workers
        if len(dataset) < batch * self.world:
            raise InputError(
                f"{len(dataset)} training pictures are fewer than one step takes ({self.world} x {batch}); "
                "take a smaller batch, or more pictures"
            )
        self.count, self.batch, self.seed = len(dataset), batch, seed
        self.names = [pair.name for pair in dataset.pairs]
        self.epoch, self.done = 0, 0
        self.waited_s = 0.0
        self._batches: DataLoader[Sample] = DataLoader(
            dataset,
            batch_sampler=_Dealer(self),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=processors.on_gpu,
            prefetch_factor=4 if workers else None,
            worker_init_fn=leave_signals_alone,
        )

    def __len__(self) -> int:
        """Batches of an epoch; the pictures that do not fill a batch are left out, others in each epoch."""
        return self.count // (self.batch * self.world)

    def __iter__(self) -> Iterator[Sample]:
        """The batches of this epoch that were not taken yet."""
        self._turn_page()
        started = time.perf_counter()
        for sample in self._batches:
            self.waited_s += time.perf_counter() - started
            self.done += 1
            yield sample
            started = time.perf_counter()

    def draws(self) -> Iterator[list[Draw]]:
        """What this process takes in each step that is left of this epoch."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.count, generator=generator).tolist()
        for step in range(self.done, len(self)):
            first = (step * self.world + self.rank) * self.batch
            yield [Draw(self.epoch, place) for place in order[first : first + self.batch]]

    def state_dict(self) -> dict[str, int]:
        """Where it stands: batches that were handed out, not those that were read ahead."""
        return {"epoch": self.epoch, "done": self.done, "step": self.batch * self.world}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on from there, before a batch is asked for. Raises InputError for another number of processes."""
        if state["step"] != self.batch * self.world:
            raise InputError(
                f"the run took {state['step']} pictures a step on all processes, and would now take "
                f"{self.batch * self.world}; resume it with {state['step'] // self.batch} process(es)"
            )
        self.epoch, self.done = state["epoch"], state["done"]

    def _turn_page(self) -> None:
        if self.done >= len(self):
            self.epoch, self.done = self.epoch + 1, 0


class _Dealer:
    """The loader's order as PyTorch wants it."""

    def __init__(self, loader: TrainLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[list[Draw]]:
        return self.loader.draws()

    def __len__(self) -> int:
        return len(self.loader)
