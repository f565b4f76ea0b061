# SPDX-License-Identifier: Apache-2.0
"""Checkpoints on the CPU: converted to ONNX (fp32) once, then taken from the user's cache."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..cache import entry_path, prune, remove_files, touch, warn_damaged
from ..errors import ModelError
from ..export.convert import convert_checkpoint
from ..files import atomic_file, file_sha256
from ..runtimes.request import Opened, RefusedError, build_progress

log = logging.getLogger("rmbg_trt")

KEPT_FILES = 8
_converting = threading.Lock()  # if two engines need the same file, only one makes it

Attempt = tuple["Opened | None", list[str]]
"""The opened model, and why the runtimes before it cannot run it."""


def open_converted(path: Path, size: tuple[int, int] | None, open_onnx: Callable[[Path], Attempt]) -> Attempt:
    """Opens the ONNX file of a checkpoint, converting the checkpoint first if the cache does not have it.

    Args:
        path: The checkpoint.
        size: Network input (height, width); None takes the checkpoint's own.
        open_onnx: Opens an ONNX file.

    Raises:
        UnavailableError: A package needed for the conversion is not installed.
        ModelError: The checkpoint is damaged, or it expects another normalization.
        Error: The cache cannot be written.
    """
    for last in (False, True):
        file, made = convert(path, size)
        try:
            opened, passed_over = open_onnx(file)
        except RefusedError as error:  # the file itself is fine
            raise ModelError(str(error).replace(file.name, path.name)) from error
        except ModelError as error:
            if made or last:
                raise
            warn_damaged(file, error)
            remove_files(file)
            continue
        if opened is not None:
            how = "converted to ONNX now, and kept" if made else "converted to ONNX before (from the cache)"
            opened = dataclasses.replace(opened, reason=f"{opened.reason}; the checkpoint was {how}")
        return opened, passed_over
    raise AssertionError("the second attempt returns or raises")


def convert(path: Path, size: tuple[int, int] | None = None) -> tuple[Path, bool]:
    """The ONNX file of a checkpoint in the cache, fp32, for one image of one size; and whether it was made now.

    Errors are those of ``open_converted``.
    """
    content = file_sha256(path)
    file = entry_path("onnx", path.stem, {"content": content, "size": size, "package": __version__}, ".onnx")
    with _converting:
        made = not file.is_file()
        if made:
            _make(path, content, size, file)
    touch(file)
    return file, made


def _make(path: Path, content: str, size: tuple[int, int] | None, file: Path) -> None:
    log.info("converting the checkpoint %s to ONNX for the CPU, once; it is kept as %s", path.name, file)
    with build_progress(f"ONNX file of {path.name}") as progress:
        progress("for the CPU", 0, 0)
        data = convert_checkpoint(path, size, content)
    with atomic_file(file) as stream:
        stream.write(data)
    prune(file.parent, file.suffix, KEPT_FILES)
