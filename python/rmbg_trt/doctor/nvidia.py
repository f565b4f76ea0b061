# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's driver, GPUs and toolkit, as their own tools report them; no CUDA library is loaded."""

from __future__ import annotations

import csv
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from .outside import read_text, run_tool

_OLDEST_DRIVER = {12: 525, 13: 580}  # major version of CUDA -> first major version of the driver that runs it


@dataclass(frozen=True)
class Gpu:
    """One GPU, as the driver's own tool reports it."""

    name: str
    memory_mib: int | None
    compute_capability: str | None


@dataclass(frozen=True)
class Nvidia:
    """Driver, GPUs and toolkit. `problem` is what the driver's tool said when it failed."""

    driver: str | None
    gpus: tuple[Gpu, ...]
    problem: str | None
    nvcc: str | None
    nvcc_version: str | None


def examine_nvidia() -> Nvidia:
    """Ask the driver and the toolkit, where they are."""
    driver = parse_driver_file(read_text("/proc/driver/nvidia/version"))
    gpus: tuple[Gpu, ...] = ()
    problem: str | None = None
    smi = shutil.which("nvidia-smi")
    if smi:
        for fields in ("name,memory.total,driver_version,compute_cap", "name,memory.total,driver_version"):
            code, text = run_tool([smi, f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
            if code == 0:
                break  # older drivers do not know compute_cap
        if code == 0:
            seen, gpus = parse_nvidia_smi(text)
            driver = seen or driver
        else:
            problem = " ".join(text.split())[:200] or f"nvidia-smi ended with code {code}"
    nvcc = find_nvcc()
    return Nvidia(driver, gpus, problem, nvcc, parse_nvcc(run_tool([nvcc, "--version"])[1]) if nvcc else None)


def parse_nvidia_smi(text: str) -> tuple[str | None, tuple[Gpu, ...]]:
    """Take (driver, GPUs) out of the CSV lines "name, memory in MiB, driver[, compute capability]"."""
    driver: str | None = None
    gpus: list[Gpu] = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) < 3:
            continue
        driver = driver or row[2].strip()
        capability = row[3].strip() if len(row) > 3 else ""
        gpus.append(
            Gpu(
                name=row[0].strip(),
                memory_mib=int(row[1]) if row[1].strip().isdigit() else None,  # "[N/A]" on unified memory
                compute_capability=capability if re.fullmatch(r"\d+\.\d+", capability) else None,
            )
        )
    return driver, tuple(gpus)


def parse_driver_file(text: str) -> str | None:
    """Take the driver's version out of the text of ``/proc/driver/nvidia/version``."""
    found = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)*)\s", text, re.MULTILINE)
    return found[1] if found else None


def parse_nvcc(text: str) -> str | None:
    """Take the toolkit's version out of what ``nvcc --version`` prints."""
    found = re.search(r"release \d+\.\d+, V(\d+(?:\.\d+)+)", text)
    return found[1] if found else None


def find_nvcc() -> str | None:
    """The CUDA compiler: on PATH, else in ``$CUDA_HOME``, ``$CUDA_PATH`` or ``/usr/local/cuda``."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    found = (shutil.which("nvcc", path=str(Path(home) / "bin")) for home in homes if home)
    return shutil.which("nvcc") or next((path for path in found if path), None)


def driver_needed(cuda_version: str | None) -> int | None:
    """The first major driver version that runs this CUDA version, or None where that is not known."""
    return _OLDEST_DRIVER.get(leading_number(cuda_version)) if cuda_version else None


def leading_number(version: str) -> int:
    """The major number of a version; 0 if there is none."""
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0
