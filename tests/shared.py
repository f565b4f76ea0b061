# SPDX-License-Identifier: Apache-2.0
"""What one process of a test run makes for all of them: files in a folder that lasts as long as the run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: without a lock, so run the tests in one process there
    fcntl = None  # type: ignore[assignment]

VARIABLE = "RMBG_TESTS_SHARED"
"""Names the folder, also to processes that tests start."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file against other processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def once(name: str, make: Callable[[Path], object]) -> Path:
    """The file of this name in the shared folder: ``make(path)`` writes it, in the process that comes first."""
    path = Path(os.environ[VARIABLE]) / name
    with locked(path.with_name(f"{name}.lock")):
        if not path.exists():
            unfinished = path.with_name(f"unfinished-{name}")
            make(unfinished)
            unfinished.rename(path)
    return path
