# SPDX-License-Identifier: Apache-2.0
"""Cold start and memory: from process start to the first result, in fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..child_process import import_path, last_line
from ..errors import Error
from .figures import spread

_CHILD = Path(__file__).with_name("cold_child.py")
_FRAMES = 5
_STEPS = ("python_ms", "import_ms", "engine_ms", "first_frame_ms")


def cold_start(model: str | os.PathLike[str], engine: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Starts a process that imports the package, opens an engine and runs frames.

    Args:
        model: As for ``Engine``; already fetched.
        engine: Options of ``Engine``.
        size: (height, width) of the frames.

    Returns:
        Milliseconds of the steps (``python_ms``: the process and the interpreter; ``later_frame_ms``: the fifth
        frame), their sum ``total_ms`` up to the first result, ``memory_mib`` of the process after each step and at
        the peak, ``device_memory_mib``, and ``plan`` (see `plan_of`).

    Raises:
        Error: It failed; the message is the child's.
    """
    job = {"path": import_path(), "model": os.fspath(model), "engine": dict(engine), "size": size, "frames": _FRAMES}
    begin = time.time_ns()
    command = [sys.executable, str(_CHILD), json.dumps(job)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        message = last_line(done.stderr)
        raise Error(f"a fresh process ended with code {done.returncode}: {message}") from None
    if "error" in found:
        raise Error(found["error"])
    python_ms = (found.pop("began_ns") - begin) / 1e6
    found = {"python_ms": python_ms, **found}
    found["total_ms"] = sum(found[step] for step in _STEPS)
    found = {name: round(value, 3) if name.endswith("_ms") else value for name, value in found.items()}
    return {**found, "plan": plan_of(found["reason"])}


def plan_of(reason: str) -> str:
    """Where the network came from, by ``EngineInfo.reason``: "made now", "from the cache" or "none needed"."""
    if any(words in reason for words in ("built now and kept", "to ONNX now, and kept", "made now and kept")):
        return "made now"
    return "from the cache" if "from the cache" in reason else "none needed"


def of_starts(starts: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Figures of all starts; a start that built a plan counts only if there is no other."""
    if not starts:
        return None
    usual = [each for each in starts if each["plan"] != "made now"] or list(starts)
    steps = (*_STEPS, "total_ms", "later_frame_ms")
    return {
        "plan": usual[-1]["plan"],
        **{step: spread([each[step] for each in usual]) for step in steps},
        "memory_mib": usual[-1]["memory_mib"],
        "device_memory_mib": usual[-1]["device_memory_mib"],
        "starts": list(starts),
    }
