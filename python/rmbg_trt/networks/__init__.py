# SPDX-License-Identifier: Apache-2.0
"""The networks an engine can run, and the choice among them.

Each adapter module has ``open(path, request) -> Opened`` and imports its runtime inside.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, UnavailableError

if TYPE_CHECKING:
    from .. import _core

log = logging.getLogger("rmbg_trt")

RUNTIMES = ("native", "openvino")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        precision: One of ``PRECISIONS``.
        size: Network input (height, width), or None for the model's own.
        slots: Instances of the network to make.
    """

    precision: str
    size: tuple[int, int] | None
    slots: int


@dataclass(frozen=True)
class Opened:
    """Network instances, one a slot, and what they are.

    Attributes:
        networks: One for each slot.
        runtime: Name of the runtime, one of ``RUNTIMES``.
        runtime_version: Its version.
        device_name: The processor it runs on.
        precision: Arithmetic of the convolutions: "fp32" or "bf16".
        reason: Why this precision.
    """

    networks: list[_core.Network]
    runtime: str
    runtime_version: str
    device_name: str
    precision: str
    reason: str


class UnsupportedNetworkError(Exception):
    """This adapter cannot run that model; another may. The message says why."""


def open_network(path: Path, *, device: str, runtime: str, precision: str, request: Request) -> tuple[Opened, str]:
    """Opens a model on the device and runtime asked for, or on the best one there is.

    Args:
        path: Model file.
        device: "auto", "cpu", "cuda" or "cuda:N".
        runtime: "auto" or one of ``RUNTIMES``.
        precision: One of ``PRECISIONS``.
        request: The rest.

    Returns:
        The opened networks and the whole reason of the choice, a sentence.

    Raises:
        InputError: An option has no such value.
        UnavailableError: The device or runtime is not here.
        ModelError: The model cannot be read or is not an image-to-matte network.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    if runtime != "auto" and runtime not in RUNTIMES:
        raise InputError(f"runtime is {runtime!r}; expected auto, {' or '.join(RUNTIMES)}")
    why_device = check_device(device)
    _check_kind(path)
    names = [runtime] if runtime != "auto" else _by_preference(precision)
    passed_over: list[str] = []
    for name in names:
        adapter = importlib.import_module(f".{name}_network", __name__)
        try:
            opened: Opened = adapter.open(path, request)
        except (UnsupportedNetworkError, UnavailableError) as error:
            if runtime != "auto":
                raise UnavailableError(f"runtime {name!r} cannot run {path.name}: {error}") from error
            passed_over.append(f"{name}: {error}")
            log.info("%s is passed over: %s", name, error)
            continue
        reasons = [why_device, opened.reason, *(f"not {text}" for text in passed_over)]
        return opened, "; ".join(filter(None, reasons))
    raise UnavailableError(f"nothing here can run {path.name}: " + "; ".join(passed_over))


def check_device(device: str) -> str:
    """Checks that a device can be had.

    Returns:
        Why it is the CPU, when the choice was left to us.

    Raises:
        InputError: There is no such kind of device.
        UnavailableError: A GPU is asked for and cannot be had; the message says what to do.
    """
    from .. import _core

    build = _core.build_info()
    if device == "cpu":
        return ""
    if device == "auto":
        if not build["cuda"]:
            return "CPU because this build has no CUDA code"
        if not _core.cuda_devices():
            return f"CPU because there is no usable GPU ({build['cuda_problem']})"
        return "CPU because no network runs on the GPU in this version yet"
    kind, _, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if kind != "cuda" or (index and not index.isdigit()):
        raise InputError(f"device is {device!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if not build["cuda"]:
        raise UnavailableError(
            f"device={device!r}: this build of rmbg-trt has no CUDA code. Install the CUDA toolkit (nvcc 13) and "
            "reinstall with CMAKE_ARGS=-DRMBG_CUDA=ON, or use device='cpu'"
        )
    devices = _core.cuda_devices()
    if len(devices) <= int(index or 0):
        problem = build["cuda_problem"] or f"there are {len(devices)} CUDA devices"
        raise UnavailableError(
            f"device={device!r}: no such GPU ({problem}). Check the driver with nvidia-smi, see `rmbg-trt doctor`, "
            "or use device='cpu'"
        )
    raise UnavailableError(f"device={device!r}: no network runs on the GPU in this version yet; use device='cpu'")


def _check_kind(path: Path) -> None:
    """Says what to do with a file that is a model, but not one that a network of this version reads."""
    from .tensorrt_plan import plan_kind
    from .tensorrt_runtime import TITLES

    with path.open("rb") as file:
        kind = plan_kind(file.read(64))
    if kind is not None:
        raise UnavailableError(
            f"{path.name} is a plan of {TITLES[kind]}, and no network runs plans in this version yet; give the ONNX "
            f"file that `rmbg-trt export` wrote beside it ({path.stem}.fp32.onnx)"
        )
    if path.suffix.lower() in (".pth", ".pt", ".ckpt", ".safetensors"):
        raise UnavailableError(
            f"{path.name} is a checkpoint; make an ONNX file of it first: "
            f"rmbg-trt export {path.name} -o {path.stem}.onnx --onnx-only --precision fp32"
        )


def _by_preference(precision: str) -> list[str]:
    """Runtimes for the CPU, fastest first.

    OpenVINO multiplies in bfloat16 where the processor can; elsewhere our own Winograd network is ahead.
    """
    from .. import _core

    wants_bf16 = precision == "bf16" or (precision == "auto" and _core.cpu_info()["bf16"])
    return ["openvino", "native"] if wants_bf16 else ["native", "openvino"]
