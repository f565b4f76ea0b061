# SPDX-License-Identifier: Apache-2.0
"""Checkpoints on the CPU: converted to ONNX (fp32) once, then taken from the user's cache.

A file in the cache is whole or absent. Its name comes from everything that it depends on, so nothing is ever outdated;
the ones used last are kept.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..cache import entry_path, prune, touch
from ..errors import Error, ModelError
from ..export.convert import convert_checkpoint
from ..files import atomic_file, file_sha256
from ..runtimes.progress import build_progress
from ..runtimes.request import Opened, RefusedError

log = logging.getLogger("rmbg_trt")

KEPT_FILES = 8
_converting = threading.Lock()  # of two engines that want the same file, one makes it

Attempt = tuple["Opened | None", list[str]]
"""What opening gave, and why what was tried before cannot."""


def open_converted(path: Path, size: tuple[int, int] | None, open_onnx: Callable[[Path], Attempt]) -> Attempt:
    """Opens the ONNX file of a checkpoint, and makes it first where it is not in the cache.

    Args:
        path: The checkpoint.
        size: Network input (height, width); None takes the checkpoint's own.
        open_onnx: Opens an ONNX file.

    Raises:
        UnavailableError: A package that converting needs is not installed.
        ModelError: The checkpoint is damaged, or its pictures are normalised otherwise.
        Error: The cache cannot be written.
    """
    for last in (False, True):
        file, made = convert(path, size)
        try:
            opened, passed_over = open_onnx(file)
        except RefusedError as error:  # the file is as good as it was
            raise ModelError(str(error).replace(file.name, path.name)) from error
        except ModelError as error:
            if made or last:
                raise
            log.warning("the cached %s cannot be used and is made again: %s", file, error)
            _remove(file)
            continue
        if opened is not None:
            how = "converted to ONNX now, and kept" if made else "converted to ONNX before (from the cache)"
            opened = dataclasses.replace(opened, reason=f"{opened.reason}; the checkpoint was {how}")
        return opened, passed_over
    raise AssertionError("the second time returns or raises")


def convert(path: Path, size: tuple[int, int] | None = None) -> tuple[Path, bool]:
    """The ONNX file of a checkpoint, fp32, for one picture of one size.

    Args:
        path: The checkpoint.
        size: Network input (height, width); None takes the checkpoint's own.

    Returns:
        The file in the cache, and whether it was made now. Errors are those of ``open_converted``.
    """
    content = file_sha256(path)
    file = onnx_path(path, content, size)
    with _converting:
        made = not file.is_file()
        if made:
            _make(path, content, size, file)
    touch(file)
    return file, made


def onnx_path(path: Path, content: str, size: tuple[int, int] | None) -> Path:
    """Where the ONNX file of a checkpoint lies, or would.

    Args:
        path: The checkpoint.
        content: Its sha256, hexadecimal.
        size: Network input (height, width), or None.
    """
    parts = {"content": content, "size": size, "package": __version__}
    return entry_path("onnx", path.stem, parts, ".onnx")


def _make(path: Path, content: str, size: tuple[int, int] | None, file: Path) -> None:
    log.info("converting the checkpoint %s to ONNX for the CPU, once; it is kept as %s", path.name, file)
    with build_progress(f"ONNX file of {path.name}") as progress:
        progress("for the CPU", 0, 0)
        data = convert_checkpoint(path, size, content)
    with atomic_file(file) as stream:
        stream.write(data)
    prune(file.parent, file.suffix, KEPT_FILES)


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise Error(f"{file} cannot be removed: {error.strerror or error}") from error
