# SPDX-License-Identifier: Apache-2.0
"""What a prepared set is made of, and how."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import InputError
from .sources import Listing


@dataclass(frozen=True)
class Source:
    """A dataset to read.

    Attributes:
        category: The first part of the names that its pictures get: letters, digits, "-" and "_".
        folders: Where it lies.
        read: Lists it, as the readers of `sources` do.
    """

    category: str
    folders: tuple[Path, ...]
    read: Callable[[], Listing]

    def __post_init__(self) -> None:
        """Refuses a category that cannot be part of a file's name, as `InputError`."""
        if not re.fullmatch(r"[\w-]+", self.category):
            raise InputError(f"the category is {self.category!r}; expected letters, digits, - and _")


@dataclass(frozen=True)
class Options:
    """How a set is made.

    Attributes:
        size: Pictures whose shorter side is longer than this (in pixels) are made smaller; None keeps all as they are.
        val: Share of the pictures that are drawn for validation, where a dataset has no validation set.
        test: The same for the test.
        seed: Of that draw.
        link: Symbolic links where nothing has to be changed, else copies.
        duplicates: "keep" near-duplicates within a split, or "drop" all but the largest. Never are there any in two.
        hash_distance: The most bits of 64 in which the hashes of near-duplicates differ.
        min_side: The shortest side a picture may have, in pixels.
        keep_empty: Keep pairs whose mask is all background or all foreground.
        workers: Threads; None: one per processor.
        overwrite: Replace a set that is there.
        dry_run: Write nothing.
    """

    size: int | None = None
    val: float = 0.05
    test: float = 0.05
    seed: int = 0
    link: bool = True
    duplicates: Literal["keep", "drop"] = "keep"
    hash_distance: int = 6
    min_side: int = 32
    keep_empty: bool = False
    workers: int | None = None
    overwrite: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuses what cannot be meant, as `InputError`."""
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise InputError(f"val and test are {self.val} and {self.test}; expected shares that leave some to train")
        if not 0 <= self.hash_distance <= 32:
            raise InputError(f"the hash distance is {self.hash_distance}; expected 0 to 32 bits of 64")
        for name in ("size", "min_side", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected at least 1")
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; expected 0 or more")
