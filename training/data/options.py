# SPDX-License-Identifier: Apache-2.0
"""What a prepared set is made from, and how."""

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
    """A dataset to read."""

    category: str  # first part of the names its images get: letters, digits, "-" and "_"
    folders: tuple[Path, ...]  # where it is
    read: Callable[[], Listing]  # lists it: one of the readers in `sources`

    def __post_init__(self) -> None:
        """Raises `InputError` for a category that cannot be part of a file name."""
        if not re.fullmatch(r"[\w-]+", self.category):
            raise InputError(f"the category is {self.category!r}; expected letters, digits, - and _")


@dataclass(frozen=True)
class Options:
    """How a set is made."""

    size: int | None = None  # shrink images whose shorter side is longer than this, in pixels; None keeps all sizes
    val: float = 0.05  # share of the images drawn for validation, if a dataset has no validation set
    test: float = 0.05  # the same for the test set
    seed: int = 0  # of that draw
    link: bool = True  # make symbolic links to files that need no change, rather than copies
    duplicates: Literal["keep", "drop"] = "keep"  # near-duplicates in one split; two splits never share any
    hash_distance: int = 6  # largest number of differing hash bits, of 64, between near-duplicates
    min_side: int = 32  # smallest allowed side of an image, in pixels
    keep_empty: bool = False  # keep pairs whose mask is all background or all foreground
    workers: int | None = None  # threads; None: one per CPU core
    overwrite: bool = False  # replace an existing prepared set
    dry_run: bool = False  # write nothing

    def __post_init__(self) -> None:
        """Raises `InputError` for invalid values."""
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise InputError(f"val and test are {self.val} and {self.test}; expected shares with a sum below 1")
        if not 0 <= self.hash_distance <= 32:
            raise InputError(f"the hash distance is {self.hash_distance}; expected 0 to 32 bits of 64")
        for name in ("size", "min_side", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected at least 1")
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; expected 0 or more")
