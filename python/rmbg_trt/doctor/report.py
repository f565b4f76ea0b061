# SPDX-License-Identifier: Apache-2.0
"""The doctor's report: all facts about this machine, and advice that follows from them."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass

from .facts import (
    Cache,
    Core,
    Nvidia,
    Package,
    Processor,
    examine_cache,
    examine_core,
    examine_nvidia,
    examine_packages,
    examine_processor,
)

_OLDEST_DRIVER = {12: 525, 13: 580}  # major version of CUDA -> first major version of the driver that runs it


@dataclass(frozen=True)
class Report:
    """All facts, and the advice."""

    system: str
    python: str
    processor: Processor
    nvidia: Nvidia
    core: Core
    packages: tuple[Package, ...]
    cache: Cache
    advice: tuple[str, ...]


def examine() -> Report:
    """Collect all facts about this machine. Never raises because something is missing."""
    nvidia, core, packages, cache = examine_nvidia(), examine_core(), examine_packages(), examine_cache()
    return Report(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        processor=examine_processor(),
        nvidia=nvidia,
        core=core,
        packages=packages,
        cache=cache,
        advice=advise(nvidia, core, packages, cache),
    )


def advise(nvidia: Nvidia, core: Core, packages: tuple[Package, ...], cache: Cache) -> tuple[str, ...]:
    """Say what to change so that this machine is used as well as it can be; nothing if there is nothing to gain."""
    advice: list[str] = []
    gpu_packages = [package for package in packages if package.name in ("TensorRT", "TensorRT-RTX")]
    if core.version is None:
        advice.append(f"The compiled core does not load ({core.problem}): install rmbg-trt again.")
    if nvidia.problem:
        advice.append(f"The NVIDIA driver does not answer: {nvidia.problem}")
    needed = driver_needed(core.cuda_version)
    if nvidia.driver and needed and _major(nvidia.driver) < needed:
        advice.append(
            f"The NVIDIA driver {nvidia.driver} is too old for this build (CUDA {core.cuda_version}): "
            f"install {needed} or newer."
        )
    elif nvidia.gpus and core.cuda and not core.devices:
        advice.append(f"The core cannot use the GPU: {core.problem or 'it sees no device'}.")
    if nvidia.gpus and core.version is not None and not core.cuda:
        advice.append(
            "There is an NVIDIA GPU, but this build of rmbg-trt has no CUDA code: install the CUDA toolkit (nvcc), "
            "and rmbg-trt again with CMAKE_ARGS=-DRMBG_CUDA=ON."
        )
    elif nvidia.gpus and not any(package.installed for package in gpu_packages):
        advice.append(f"To use the GPU: {gpu_packages[0].install}")
    if not cache.writable:
        advice.append(f"The cache {cache.folder} cannot be written: set RMBG_TRT_HOME to another folder.")
    return tuple(advice)


def driver_needed(cuda_version: str | None) -> int | None:
    """The first major driver version that runs this CUDA version, or None where that is not known."""
    return _OLDEST_DRIVER.get(_major(cuda_version)) if cuda_version else None


def _major(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0
