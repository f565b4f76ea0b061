# SPDX-License-Identifier: Apache-2.0
"""What to do about the facts."""

from __future__ import annotations

from .cache import Cache
from .core import Core
from .nvidia import Nvidia, driver_needed, leading_number
from .packages import Package


def advise(nvidia: Nvidia, core: Core, packages: tuple[Package, ...], cache: Cache) -> tuple[str, ...]:
    """Say what to do for this machine to be used as well as it can be. Advises nothing that would change nothing."""
    advice: list[str] = []
    gpu_packages = [p for p in packages if p.runs_networks and p.name in ("TensorRT", "TensorRT-RTX")]
    if core.version is None:
        advice.append(f"The compiled core does not load ({core.problem}): install rmbg-trt again.")
    if nvidia.problem:
        advice.append(f"The NVIDIA driver does not answer: {nvidia.problem}")
    needed = driver_needed(core.cuda_version)
    if nvidia.driver and needed and leading_number(nvidia.driver) < needed:
        advice.append(
            f"The NVIDIA driver {nvidia.driver} is too old for this build (CUDA {core.cuda_version}): "
            f"install {needed} or newer."
        )
    elif nvidia.gpus and core.cuda and not core.devices:
        advice.append(f"The core cannot use the GPU: {core.problem or 'it sees no device'}.")
    if nvidia.gpus and not gpu_packages:
        advice.append("There is an NVIDIA GPU, but no network of this version runs on it: the CPU does the work.")
    elif nvidia.gpus and core.version is not None and not core.cuda:
        advice.append(
            "There is an NVIDIA GPU, but this build of rmbg-trt has no CUDA code: install the CUDA toolkit (nvcc), "
            "and rmbg-trt again with CMAKE_ARGS=-DRMBG_CUDA=ON."
        )
    elif nvidia.gpus and not any(package.installed for package in gpu_packages):
        advice.append(f"To use the GPU: {gpu_packages[0].install}")
    if not cache.writable:
        advice.append(f"The cache {cache.folder} cannot be written: set RMBG_TRT_HOME to another folder.")
    return tuple(advice)
