# SPDX-License-Identifier: Apache-2.0
"""Pairs as network input: read, resized and normalised as the engine does it, augmented for training.

What happens to an image depends only on (seed, epoch, position): not on the number of processes or workers, or on what
came before. So a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ...image import Array, read_image
from ..config import AugmentConfig
from ..models.checkpoint import ModelConfig
from .augment import augment_of, replace_background
from .masks import read_mask, resize_mask
from .pairs import Pair


class Draw(NamedTuple):
    """One image in one epoch."""

    epoch: int
    position: int  # in the list of pairs


class Sample(NamedTuple):
    """One pair, or a batch of pairs, ready for the network."""

    image: Tensor  # (3, H, W) or (N, 3, H, W), normalised
    mask: Tensor  # (1, H, W) or (N, 1, H, W) in 0..1
    position: Tensor  # () or (N,), of each pair in the list of pairs


class PairDataset(Dataset[Sample]):
    """Pairs of a prepared set.

    Args:
        pairs: The pairs.
        model: Gives the input size and the normalisation.
        augment: Augmentation for training, or None for validation.
        seed: Of the augmentation.
    """

    def __init__(self, pairs: Sequence[Pair], model: ModelConfig, augment: AugmentConfig | None, seed: int) -> None:
        self.pairs = list(pairs)
        self.model = model
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, draw: Draw | int) -> Sample:
        """A pair; a position alone means epoch 0. Raises InputError when a file cannot be read."""
        epoch, position = (0, draw) if isinstance(draw, int) else draw
        image, mask = self._read(position)
        if self.augment is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_mix(self.seed, epoch, position))
                if float(torch.rand(())) < self.augment.background:
                    other = int(torch.randint(len(self.pairs), ()))
                    image = replace_background(image, mask, *self._read(other))
                image, mask = augment_of(self.augment, self.model.input_size)(image, mask)
        return Sample(normalize(image, self.model), mask, torch.tensor(position))

    def _read(self, position: int) -> tuple[Tensor, Tensor]:
        """(3, H, W) RGB and (1, H, W), both in 0..1, of the model's size."""
        pair, size = self.pairs[position], self.model.input_size
        image, mask = read_resized(pair.image, size), resize_mask(read_mask(pair.mask), size)
        return torch.tensor(image).permute(2, 0, 1) / 255, torch.tensor(mask)[None] / 255


def read_resized(path: Path, size: tuple[int, int]) -> Array:
    """Reads an image without its alpha and resizes it with Lanczos to (height, width, 3) RGB uint8, as the engine does.

    Raises:
        InputError: It cannot be read.
    """
    pixels = read_image(path).pixels[..., :3]
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize(size[::-1], Image.Resampling.LANCZOS)
    return np.array(image)


def normalize(image: Tensor, model: ModelConfig) -> Tensor:
    """Divides by the image's maximum, subtracts the mean, divides by the standard deviation.

    Args:
        image: (3, H, W) or (N, 3, H, W) in 0..1.
        model: Gives the mean and the standard deviation.
    """
    largest = image.amax(dim=(-3, -2, -1), keepdim=True).clamp(min=1e-6)
    mean, std = _mean_and_std(model)
    return (image / largest - mean) / std


def denormalize(image: Tensor, model: ModelConfig) -> Tensor:
    """Undoes `normalize`, up to the image's maximum: in 0..1, for display."""
    mean, std = _mean_and_std(model)
    return (image * std + mean).clamp(0, 1)


def _mean_and_std(model: ModelConfig) -> tuple[Tensor, Tensor]:
    return torch.tensor(model.mean).view(3, 1, 1), torch.tensor(model.std).view(3, 1, 1)


def leave_signals_alone(_: int) -> None:
    """Sets up a worker's signals: a signal reaches every process of a terminal or job, but the main process handles it.

    Ctrl-C is ignored. SIGTERM exits normally: PyTorch also ends workers with it, and stops the whole run in the middle
    of a step if a worker dies from a signal.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def _mix(*numbers: int) -> int:
    """A 63-bit seed from several numbers."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
