# SPDX-License-Identifier: Apache-2.0
"""Pairs as a network takes them: read, resized and normalised as the engine does it, augmented for training.

What happens to a picture hangs only on (seed, epoch, place): not on the number of processes, of workers, or on what
came before. So a resumed run sees what an unbroken one would have seen.
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
from ..models.config import ModelConfig
from .augment import augment_of, replace_background
from .masks import read_mask, resize_mask
from .pairs import Pair


class Draw(NamedTuple):
    """One picture, by its place in the list of pairs, in one epoch."""

    epoch: int
    place: int


class Sample(NamedTuple):
    """One or several pairs, ready for the network.

    Attributes:
        image: (3, H, W) or (N, 3, H, W), normalised.
        mask: (1, H, W) or (N, 1, H, W) in 0..1.
        place: Of each in the list of pairs.
    """

    image: Tensor
    mask: Tensor
    place: Tensor


class PairDataset(Dataset[Sample]):
    """Pairs of a prepared set.

    Args:
        pairs: The pairs.
        model: Its input size and normalisation.
        augment: What is done for training, or None for validation.
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
        """A pair; a place alone counts as epoch 0. Raises InputError when a file cannot be read."""
        epoch, place = (0, draw) if isinstance(draw, int) else draw
        image, mask = self._read(place)
        if self.augment is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_mix(self.seed, epoch, place))
                if float(torch.rand(())) < self.augment.background:
                    other = int(torch.randint(len(self.pairs), ()))
                    image = replace_background(image, mask, *self._read(other))
                image, mask = augment_of(self.augment, self.model.input_size)(image, mask)
        return Sample(normalize(image, self.model), mask, torch.tensor(place))

    def _read(self, place: int) -> tuple[Tensor, Tensor]:
        """(3, H, W) RGB and (1, H, W), both in 0..1, of the model's size."""
        pair, size = self.pairs[place], self.model.input_size
        picture, mask = read_resized(pair.image, size), resize_mask(read_mask(pair.mask), size)
        return torch.tensor(picture).permute(2, 0, 1) / 255, torch.tensor(mask)[None] / 255


def read_resized(path: Path, size: tuple[int, int]) -> Array:
    """Reads a picture and resizes it with Lanczos, as the engine does.

    Args:
        path: The file. A fourth channel, alpha, is left out.
        size: (height, width).

    Returns:
        (height, width, 3) RGB uint8.

    Raises:
        InputError: It cannot be read.
    """
    pixels = read_image(path).pixels[..., :3]
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize(size[::-1], Image.Resampling.LANCZOS)
    return np.array(image)


def normalize(image: Tensor, model: ModelConfig) -> Tensor:
    """Divides by the picture's maximum, subtracts the mean, divides by the standard deviation.

    Args:
        image: (3, H, W) or (N, 3, H, W) in 0..1.
        model: Its mean and std.
    """
    largest = image.amax(dim=(-3, -2, -1), keepdim=True).clamp(min=1e-6)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (model.mean, model.std))
    return (image / largest - mean) / std


def denormalize(image: Tensor, model: ModelConfig) -> Tensor:
    """What `normalize` was given, up to the picture's maximum: in 0..1, for looking at."""
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (model.mean, model.std))
    return (image * std + mean).clamp(0, 1)


def leave_signals_alone(_: int) -> None:
    """For workers: what ends a run reaches every process of a terminal or a job, and is for the first one to act on.

    Ctrl-C is ignored. SIGTERM must end a worker, as that is how it is ended otherwise, too; but in order, since PyTorch
    stops the whole run, in the middle of its step, when a worker dies of a signal.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def _mix(*numbers: int) -> int:
    """A 63-bit seed from several numbers."""
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
