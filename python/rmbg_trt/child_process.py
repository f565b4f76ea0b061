# SPDX-License-Identifier: Apache-2.0
"""Helpers for child processes that run a file of the package."""

from __future__ import annotations

import sys
from pathlib import Path


def import_path() -> list[str]:
    """This process's ``sys.path`` for a child, with the relative entry made absolute."""
    return [entry or str(Path.cwd()) for entry in sys.path if isinstance(entry, str)]


def last_line(output: str) -> str:
    """The last line of a child's output, which has the error's message; "nothing" if there is no output."""
    return (output.strip().splitlines() or ["nothing"])[-1]
