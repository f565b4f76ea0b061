# SPDX-License-Identifier: Apache-2.0
"""How the doctor asks the system: the text of a file, and what a tool prints. Nothing here raises."""

from __future__ import annotations

import subprocess
from pathlib import Path


def read_text(path: str) -> str:
    """The text of a file; nothing where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def run_tool(command: list[str]) -> tuple[int, str]:
    """Run a tool that reports something; (exit code, what it printed), or (-1, why it did not run)."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, done.stdout or done.stderr
