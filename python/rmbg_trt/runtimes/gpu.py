# SPDX-License-Identifier: Apache-2.0
"""The GPUs of this machine, according to the core or else to PyTorch.

CUDA has a current device in each thread, which the vendors' libraries use.
"""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from .. import _core
from ..errors import InputError, UnavailableError


@dataclass(frozen=True)
class Gpu:
    """A GPU.

    Attributes:
        index: Its CUDA index.
        name: The driver's name, such as "NVIDIA L4".
        compute_capability: Such as "8.9".
    """

    index: int
    name: str
    compute_capability: str


def usable_gpus() -> list[Gpu]:
    """All usable GPUs. If our build sees none, for example without CUDA code, PyTorch is imported and asked."""
    devices = _core.cuda_devices()
    if devices or importlib.util.find_spec("torch") is None:
        return [_gpu(device["index"], device["name"], device["compute_capability"]) for device in devices]
    from torch import cuda

    count = cuda.device_count() if cuda.is_available() else 0
    return [_gpu(index, cuda.get_device_name(index), cuda.get_device_capability(index)) for index in range(count)]


def find_gpu(device: str) -> Gpu | None:
    """The GPU of a device name.

    Args:
        device: "cuda", "cuda:N", or "auto" for the first one if there is any.

    Raises:
        InputError: The name is none of these.
        UnavailableError: The requested GPU is not available.
    """
    gpus = usable_gpus()
    if device == "auto":
        return gpus[0] if gpus else None
    index = cuda_index(device)
    gpu = next((gpu for gpu in gpus if gpu.index == index), None)
    if gpu is None:
        known = ", ".join(f"cuda:{gpu.index} is {gpu.name}" for gpu in gpus) or "there is no usable one"
        raise UnavailableError(f"device={device!r}: no such GPU ({known}); check with nvidia-smi and `rmbg-trt doctor`")
    return gpu


def make_current(index: int) -> int:
    """Makes a GPU current for the calling thread and returns the previous one. Raises CudaError if that fails."""
    if _core.cuda_devices():
        return _core.set_cuda_device(index)
    from torch import cuda

    before = int(cuda.current_device())
    cuda.set_device(index)
    return before


def current_gpu(index: int) -> AbstractContextManager[object]:
    """Makes a GPU current for the calling thread during the block, then restores the previous one.

    For a thread that never used CUDA there is none to restore, so no other GPU gets a context of some hundred MB.
    """
    if _core.cuda_devices():
        return _core.CudaDeviceScope(index)
    from torch import cuda

    return cuda.device(index)


def _gpu(index: int, name: object, capability: tuple[int, int]) -> Gpu:
    return Gpu(index, str(name), "{}.{}".format(*capability))


def gpu_properties(index: int) -> dict[str, Any]:
    """What the core reports about a GPU: "name", "compute_capability" (major, minor) and more."""
    return _core.cuda_devices()[index]


def cuda_index(device: str) -> int:
    """The number in "cuda:N", 0 for "cuda". Raises InputError for anything else."""
    kind, colon, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if kind != "cuda" or (colon and not (index.isascii() and index.isdigit())):
        raise InputError(f"device is {device!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
    return int(index or 0)
