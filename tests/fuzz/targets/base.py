# SPDX-License-Identifier: Apache-2.0
"""What all fuzz targets of the Python side share."""

from __future__ import annotations

import functools
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rmbg_trt import Error


class Target(NamedTuple):
    """``run(data)`` handles one input; ``seeds()`` are sound ones."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


class BrokenRuleError(Exception):
    """An input was accepted, and what came out is wrong."""


@functools.cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="rmbg-fuzz-"))


def new_file(data: bytes, name: str) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


def refusable(call: Callable[[], Any]) -> Any:
    """The result, or None where the input is refused with an error of ours that says something."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except Error as error:
        if len(str(error).strip()) < 10:
            raise BrokenRuleError(f"the message says nothing: {error!r}") from error
        return None
