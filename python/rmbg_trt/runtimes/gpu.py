# SPDX-License-Identifier: Apache-2.0
"""The GPUs of this machine, as the core sees them, or else as PyTorch does.

CUDA's current device belongs to a thread, and the vendors' libraries work on it.
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
        index: CUDA's number of it.
        name: As the driver gives it, such as "NVIDIA L4".
        compute_capability: Such as "8.9".
    """

    index: int
    name: str
    compute_capability: str


def usable_gpus() -> list[Gpu]:
    """All there are. PyTorch, which is imported for it, knows those for which our own build has no CUDA code."""
    devices = _core.cuda_devices()
    if devices or importlib.util.find_spec("torch") is None:
        return [_gpu(each["index"], each["name"], each["compute_capability"]) for each in devices]
    from torch import cuda

    count = cuda.device_count() if cuda.is_available() else 0
    return [_gpu(index, cuda.get_device_name(index), cuda.get_device_capability(index)) for index in range(count)]


def find_gpu(device: str) -> Gpu | None:
    """The GPU that a device means.

    Args:
        device: "cuda", "cuda:N", or "auto" for the first one if there is any.

    Raises:
        InputError: It is none of these.
        UnavailableError: A GPU is asked for, and it is not here.
    """
    gpus = usable_gpus()
    if device == "auto":
        return gpus[0] if gpus else None
    index = cuda_index(device)
    found = next((each for each in gpus if each.index == index), None)
    if found is None:
        there = ", ".join(f"cuda:{each.index} is {each.name}" for each in gpus) or "there is no usable one"
        raise UnavailableError(f"device={device!r}: no such GPU ({there}); check with nvidia-smi and `rmbg-trt doctor`")
    return found


def make_current(index: int) -> int:
    """Makes a GPU current for the calling thread. Returns the one that was.

    Raises:
        CudaError: It cannot be used.
    """
    if _core.cuda_devices():
        return _core.set_cuda_device(index)
    from torch import cuda

    before = int(cuda.current_device())
    cuda.set_device(index)
    return before


def current_gpu(index: int) -> AbstractContextManager[object]:
    """Makes a GPU current for the calling thread, and afterwards what was before.

    In a thread that never used CUDA that is nothing: no other GPU gets a context, which takes some hundred MB.
    """
    if _core.cuda_devices():
        return _core.CudaDeviceScope(index)
    from torch import cuda

    return cuda.device(index)


def _gpu(index: int, name: object, capability: tuple[int, int]) -> Gpu:
    return Gpu(index, str(name), "{}.{}".format(*capability))


def gpu_properties(index: int) -> dict[str, Any]:
    """What the core knows of a GPU: "name", "compute_capability" (major, minor) and more."""
    return _core.cuda_devices()[index]


def cuda_index(device: str) -> int:
    """The number in "cuda:N", 0 for "cuda". Raises InputError where it is neither."""
    kind, colon, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if kind != "cuda" or (colon and not (index.isascii() and index.isdigit())):
        raise InputError(f"device is {device!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
    return int(index or 0)
