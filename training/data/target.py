# SPDX-License-Identifier: Apache-2.0
"""Where a prepared set may be made, and what it may replace."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError
from .report import is_prepared


def check_target(target: Path, sources: Sequence[Path], *, overwrite: bool) -> Path:
    """Refuses a place where a set must not be made, before any work.

    Args:
        target: The set's folder; may be missing or empty.
        sources: What the set is made of.
        overwrite: Allow a set that `prepare.prepare` made before; nothing else is ever replaced.

    Returns:
        The absolute path, symbolic links followed.

    Raises:
        InputError: The place is taken, or lies in a source, or a source in it.
    """
    place = Path(os.path.realpath(target))
    for source in (Path(os.path.realpath(each)) for each in sources):
        if place.is_relative_to(source) or source.is_relative_to(place):
            raise InputError(f"{target} and the source {source} lie in each other; choose another folder for the set")
    if place.exists() and not place.is_dir():
        raise InputError(f"{target} is a file; expected a folder for the set")
    if place.is_dir() and any(place.iterdir()):
        if not is_prepared(place):
            raise InputError(f"{target} is there, and is no prepared set that may be replaced; choose another folder")
        if not overwrite:
            raise InputError(f"{target} is there; --overwrite (overwrite=True) makes it again")
    return place
