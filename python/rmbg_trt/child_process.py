# SPDX-License-Identifier: Apache-2.0
"""What is common to processes of our own that run a file of the package."""

from __future__ import annotations

import sys
from pathlib import Path


def import_path() -> list[str]:
    """This process's ``sys.path`` for a child to take over, with its relative beginning made absolute."""
    return [each or str(Path.cwd()) for each in sys.path if isinstance(each, str)]


def last_line(said: str) -> str:
    """The last line that a child wrote, which has an error's message; "nothing" where it wrote none."""
    return (said.strip().splitlines() or ["nothing"])[-1]
