# SPDX-License-Identifier: Apache-2.0
"""Devices, runtimes and kinds of model files: which there are here, and which go together.

A requested GPU is used, or an error is raised. Only "auto" may fall back to the CPU, and it reports why. GPUs are those
that the core sees, else PyTorch. CUDA has a current device in each thread, which the vendors' libraries use.
"""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _core
from ..errors import InputError, ModelError, UnavailableError

TENSORRT = ("tensorrt", "tensorrt_rtx")
TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
CPU_RUNTIMES = ("native", "openvino")
GPU_RUNTIMES = (*TENSORRT, "torch")  # fastest first
RUNTIMES = (*CPU_RUNTIMES, *GPU_RUNTIMES)
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
_MAGIC = {b"ftrt": "tensorrt", b"vtrt": "tensorrt_rtx"}
_MODEL_FILE = b"\x89RMBG\r\n\x1a"  # csrc/engine/sections.h
_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")


def check_device(device: str) -> str:
    """Checks that a device is available.

    Returns:
        For "auto", why the CPU must be used; otherwise empty.

    Raises:
        InputError: There is no such kind of device.
        UnavailableError: The requested GPU is not available; the message says what to do.
    """
    build = _core.build_info()
    if device == "cpu":
        return ""
    if device == "auto":
        if not build["cuda"]:
            return "CPU because this build has no CUDA code"
        if not _core.cuda_devices():
            return f"CPU because there is no usable GPU ({build['cuda_problem']})"
        return ""
    index = cuda_index(device)
    if not build["cuda"]:
        raise UnavailableError(
            f"device={device!r}: this build of rmbg-trt has no CUDA code. Install the CUDA toolkit (nvcc 13) and "
            "reinstall with CMAKE_ARGS=-DRMBG_CUDA=ON, or use device='cpu'"
        )
    devices = _core.cuda_devices()
    if len(devices) <= index:
        problem = build["cuda_problem"] or f"there are {len(devices)} CUDA devices"
        raise UnavailableError(
            f"device={device!r}: no such GPU ({problem}). Check the driver with nvidia-smi, see `rmbg-trt doctor`, "
            "or use device='cpu'"
        )
    return ""


def gpu_index(device: str) -> int | None:
    """The index of a device's GPU, 0 for "auto" and "cuda"; None for the CPU. Raises as check_device."""
    return None if device == "cpu" or check_device(device) else 0 if device == "auto" else cuda_index(device)


def check_options(device: str, runtime: str, precision: str) -> None:
    """Checks that device, runtime and precision are valid and compatible, whether or not they are available.

    Raises:
        InputError: A value is invalid, or they contradict each other; the message says what is possible.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    if runtime != "auto" and runtime not in RUNTIMES:
        raise InputError(f"runtime is {runtime!r}; expected auto, {', '.join(RUNTIMES[:-1])} or {RUNTIMES[-1]}")
    if device not in ("auto", "cpu"):
        cuda_index(device)
    on_cpu, on_gpu = device == "cpu" or runtime in CPU_RUNTIMES, runtime in GPU_RUNTIMES
    if device == "cpu" and on_gpu:
        raise InputError(f"runtime {runtime!r} runs on a GPU; with device='cpu' use {_words(CPU_RUNTIMES)}")
    if device not in ("auto", "cpu") and runtime in CPU_RUNTIMES:
        raise InputError(f"runtime {runtime!r} runs on the CPU; with device={device!r} use {_words(GPU_RUNTIMES)}")
    if precision == "fp16" and on_cpu:
        raise InputError("precision 'fp16' is for the GPU; on the CPU use 'fp32', 'bf16' or 'int8'")
    if precision == "int8" and (on_gpu or device not in ("auto", "cpu")):
        raise InputError("precision 'int8' is for the CPU, with OpenVINO; on a GPU use 'fp16' or 'fp32'")
    if precision == "int8" and runtime == "native":
        raise InputError("precision 'int8' is for runtime 'openvino'; our own network computes in fp32 and bf16")
    if precision == "bf16" and (on_gpu or device not in ("auto", "cpu")):
        raise InputError("precision 'bf16' is for the CPU; on a GPU use 'fp16' or 'fp32'")


def require_bf16() -> None:
    """Raises UnavailableError if the processor would only emulate bfloat16."""
    if not _core.cpu_info()["bf16"]:
        raise UnavailableError("this processor has no bfloat16 arithmetic (AVX512-BF16 or AMX); use fp32 or auto")


def file_kind(path: Path) -> str:
    """The kind of a model file.

    Returns:
        "tensorrt" or "tensorrt_rtx" for their plans, "native" (``.rmbg``), "checkpoint", "openvino" or "onnx".

    Raises:
        ModelError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    suffix = path.suffix.lower()
    if head.startswith(_MODEL_FILE) or suffix == ".rmbg":
        return "native"
    return plan_kind(head) or ("checkpoint" if suffix in _CHECKPOINTS else "openvino" if suffix == ".xml" else "onnx")


def plan_kind(head: bytes) -> str | None:
    """The runtime of a plan, from its first four bytes; None if it is not a plan.

    Source:
        The runtimes print this tag as a number, in "incompatible serialization version (… != 1953657958)": "ftrt" for
        TensorRT; 1953657974, "vtrt", for TensorRT-RTX.
    """
    return _MAGIC.get(bytes(head[:4]))


def gpu_candidates(path: Path, kind: str, runtime: str) -> tuple[str, ...]:
    """The runtimes to try for a file on a GPU, the best first; none for files that are for the CPU.

    Args:
        path: For messages.
        kind: From ``file_kind``.
        runtime: "auto" or one of ``GPU_RUNTIMES``.

    Raises:
        InputError: The requested runtime does not run such a file.
    """
    if kind in TITLES:
        if runtime not in ("auto", kind):
            raise InputError(f"{path.name} is a plan of {TITLES[kind]}; it runs with runtime={kind!r} only")
        return (kind,)
    if kind in ("openvino", "native"):
        if runtime != "auto":
            what = "an OpenVINO model" if kind == "openvino" else "a model file of our own network"
            raise InputError(f"{path.name} is {what}, which runs on the CPU; give its ONNX file")
        return ()
    return GPU_RUNTIMES if runtime == "auto" else (runtime,)


def check_cpu_kind(path: Path, kind: str, why: str) -> None:
    """Raises UnavailableError, which says what to do, if the CPU cannot run this kind of file.

    Args:
        path: The file.
        kind: From ``file_kind``.
        why: Why the CPU is used; empty if the user requested it.
    """
    if kind in TITLES:
        raise UnavailableError(
            f"{path.name} is a plan of {TITLES[kind]}, and plans run on NVIDIA GPUs only "
            f"({why or 'the CPU was asked for'}); {_onnx_instead(path)}"
        )


def _onnx_instead(plan: Path) -> str:
    """What to give in place of a plan: the ONNX file that it was built from, if it is still there."""
    onnx = plan.with_name(f"{plan.stem}.fp32.onnx")
    if onnx.is_file():
        return f"give the ONNX file beside it: {onnx}"
    return (
        f"give a catalogue name, a checkpoint, or the ONNX file that it was built from, which `rmbg-trt export` calls "
        f"{onnx.name}"
    )


def _words(names: tuple[str, ...]) -> str:
    return f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"


# ---- the GPUs of this machine


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
