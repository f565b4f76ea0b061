# SPDX-License-Identifier: Apache-2.0
"""Our own network for the CPU (csrc/network/cpu)."""

from __future__ import annotations

from pathlib import Path

from . import Opened, Request, UnsupportedNetworkError


def open(path: Path, request: Request) -> Opened:
    """Not there yet."""
    raise UnsupportedNetworkError("not built yet")
