# SPDX-License-Identifier: Apache-2.0
"""The machine, the software versions and the commit of a measurement.

Nothing here identifies a single machine: no host name, no user, no path.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from .. import _core
from ..doctor.facts import examine_nvidia, examine_processor

_PACKAGES = ("numpy", "pillow", "openvino", "onnxruntime", "onnx", "torch", "cupy", "tensorrt", "av")
_RUNTIMES = ("tensorrt-cu13", "tensorrt-cu12", "tensorrt-rtx-cu13-bindings", "tensorrt-rtx-cu12-bindings")
_THREADS = ("RMBG_NUM_THREADS", "RMBG_ISA", "OMP_NUM_THREADS")


def machine() -> dict[str, Any]:
    """The CPU, memory, GPUs and driver, and how busy the machine is."""
    cpu, nvidia = examine_processor(), examine_nvidia()
    return {
        "cpu": cpu.model,
        "cores": cpu.cores,
        "features": list(cpu.features),
        "core_sees": dict(_core.cpu_info()),
        "memory_gib": None if cpu.memory_bytes is None else round(cpu.memory_bytes / 2**30, 1),
        "gpus": [device["name"] for device in _core.cuda_devices()],
        "driver": nvidia.driver,
        "os": platform.platform(),
        "load_average": load_average(),
        "threads_asked_for": {name: os.environ[name] for name in _THREADS if name in os.environ},
    }


def load_average() -> float | None:
    """Average number of processes that wanted a core in the last minute; None where the system does not count them."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def software(*packages: str) -> dict[str, str]:
    """Versions of this build, the installed runtimes and ``packages``."""
    build = _core.build_info()
    found = {"python": platform.python_version(), "rmbg-trt": build["version"], "compiler": build["compiler"]}
    if build["cuda"]:
        found["cuda"] = build["cuda_version"]
    for name in (*_PACKAGES, *_RUNTIMES, *packages):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any] | None:
    """The commit of the checkout of this package, or of the current folder; None without one.

    An installed package belongs to no checkout, even if its environment is inside one.
    """
    here = Path(__file__).resolve()
    tracked = _git(here.parent, "ls-files", "--error-unmatch", here.name) is not None
    folder = here.parent if tracked else Path.cwd()
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or not (Path(top) / "python" / "rmbg_trt" / "engine.py").is_file():
        return None
    changed = _git(Path(top), "status", "--porcelain")
    return {
        "hash": _git(Path(top), "rev-parse", "--short=12", "HEAD"),
        "changed": None if changed is None else bool(changed),
        "of": "the package" if tracked else "the current folder",
    }


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None  # no checkout, or no git
