# SPDX-License-Identifier: Apache-2.0
"""The cache: where it is, how full, whether it can be written, and which models it holds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import models
from ..cache import cache_dir


@dataclass(frozen=True)
class Cache:
    """The folder of models and plans."""

    folder: str
    writable: bool
    size_bytes: int
    models: Mapping[str, bool]  # name -> cached


def examine_cache() -> Cache:
    """Look at the cache, and make nothing there."""
    folder = cache_dir()
    writable, size = False, 0
    with contextlib.suppress(OSError):
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())  # the rest would be made
        writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
        for parent, _, names in os.walk(folder):
            size += sum((Path(parent) / name).stat().st_size for name in names)
    return Cache(
        folder=str(folder),
        writable=writable,
        size_bytes=size,
        models={name: models.is_cached(name) for name in models.CATALOGUE},
    )
