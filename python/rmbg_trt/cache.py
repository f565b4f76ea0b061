# SPDX-License-Identifier: Apache-2.0
"""The user's cache: files that can be made again, named after everything they depend on. The last used are kept."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import time
from pathlib import Path

BUILDING = ".building-"  # how the names of folders begin in which something is being made
_ABANDONED_SECONDS = 24 * 3600


def cache_dir() -> Path:
    """The folder of everything that can be fetched or built again: ``$RMBG_TRT_HOME``, else the user's cache."""
    home = os.environ.get("RMBG_TRT_HOME")
    if home:
        return Path(home).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("rmbg-trt", appauthor=False))


def entry_path(kind: str, stem: str, parts: object, suffix: str) -> Path:
    """Where a cache entry lies, or would. It is named after everything it depends on, so it is never out of date.

    Args:
        kind: Folder below ``cache_dir()``.
        stem: Beginning of the name, for people.
        parts: Everything the entry depends on, for JSON.
        suffix: Of the name, such as ".onnx".
    """
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]
    return cache_dir() / kind / f"{stem[:60]}-{digest}{suffix}"


def touch(path: Path) -> None:
    """Marks a file as used now; file systems do not all do that when a file is read."""
    with contextlib.suppress(OSError):  # a read-only cache
        os.utime(path)


def prune(folder: Path, suffix: str, keep: int) -> None:
    """Removes all but the files used last, and what crashed programs left. Nothing is raised.

    Args:
        folder: The folder; it need not be there.
        suffix: Of the files, or folders, to count, such as ".plan". With each goes what its name begins with
            ("x.plan.json").
        keep: How many stay.
    """
    with contextlib.suppress(OSError):
        files = sorted(folder.glob(f"*{suffix}"), key=_last_use, reverse=True)
        for old in files[keep:]:
            if old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
                continue
            for file in (old, *folder.glob(f"{glob.escape(old.name)}.*")):
                with contextlib.suppress(OSError):  # in use, or another process was faster
                    file.unlink()
        for left in folder.glob(f"{BUILDING}*"):
            if time.time() - _last_use(left) > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _last_use(path: Path) -> float:
    try:
        stat = path.stat()
    except OSError:
        return 0.0
    return max(stat.st_atime, stat.st_mtime)
