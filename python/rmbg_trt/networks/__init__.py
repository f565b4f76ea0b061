# SPDX-License-Identifier: Apache-2.0
"""Chooses the runtime for a model and opens the model with it.

Each adapter (`native`, `openvino`, `tensorrt`, `torch`) has ``open(path, request) -> Opened``.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError, UnavailableError
from ..runtimes.devices import (
    CPU_RUNTIMES,
    GPU_RUNTIMES,
    TENSORRT,
    check_cpu_kind,
    check_device,
    check_options,
    file_kind,
    gpu_candidates,
    gpu_index,
)
from ..runtimes.request import Opened, Request, UnsupportedNetworkError
from . import native, openvino, tensorrt, torch
from .cpu_choice import candidates, open_fastest
from .foreign import check_foreign
from .measurements import Candidate
from .model_cache import open_built, open_converted

log = logging.getLogger("rmbg_trt")


def open_network(path: Path, *, device: str, runtime: str, precision: str, request: Request) -> tuple[Opened, str]:
    """Opens a model on the requested device and runtime, or on the best ones available.

    Args:
        path: Model file.
        device: "auto", "cpu", "cuda" or "cuda:N". "auto" takes the first GPU if a runtime there runs the model.
        runtime: "auto" or one of ``RUNTIMES``.
        precision: One of ``PRECISIONS``.
        request: The other options.

    Returns:
        The opened networks, and a sentence that explains the choice.

    Raises:
        InputError: An option has an invalid value, or options contradict each other.
        UnavailableError: The device or runtime is not available.
        ModelError: The model cannot be read or is not an image-to-matte network.
    """
    check_options(device, runtime, precision)
    gpu, why = _choose_device(device, runtime, precision)
    kind = file_kind(path)
    if gpu is None:
        return _open_on_cpu(path, kind, runtime, precision, request, why)
    request = dataclasses.replace(request, device_index=gpu)
    candidates = gpu_candidates(path, kind, runtime)
    opened, passed_over = _open_first(candidates, path, kind, request)
    if opened is not None:
        why = f"cuda:{gpu} because " + ("there is a GPU" if device == "auto" else "it was asked for")
        return opened, _sentence(why, opened.reason, passed_over)
    tried = "; ".join(passed_over) or "it is a model of our own network or an OpenVINO model, which is for the CPU"
    if device != "auto" or runtime != "auto" or precision == "fp16" or kind in TENSORRT:
        raise UnavailableError(f"nothing on cuda:{gpu} can run {path.name}: {tried}")
    log.warning("%s runs on the CPU, because nothing on the GPU can run it: %s", path.name, tried)
    return _open_on_cpu(path, kind, runtime, precision, request, f"CPU because nothing on the GPU can run it ({tried})")


def _choose_device(device: str, runtime: str, precision: str) -> tuple[int | None, str]:
    """The GPU to try; or None and why the CPU is used (empty if the user chose it)."""
    why = check_device(device)
    if why or device == "cpu":
        return None, why
    if runtime in CPU_RUNTIMES:
        return None, f"CPU because runtime {runtime!r} was asked for"
    if precision in ("bf16", "int8"):
        return None, f"CPU because precision {precision!r} was asked for"
    return gpu_index(device), ""


def _open_on_cpu(path: Path, kind: str, runtime: str, precision: str, request: Request, why: str) -> tuple[Opened, str]:
    check_cpu_kind(path, kind, why)
    if runtime in GPU_RUNTIMES or precision == "fp16":
        what = f"runtime {runtime!r}" if runtime in GPU_RUNTIMES else "precision 'fp16'"
        raise UnavailableError(f"{what} needs a GPU, and there is none: {why.removeprefix('CPU because ')}")
    request = dataclasses.replace(request, device_index=None)
    if kind == "checkpoint":
        opened, passed_over = open_converted(
            path, request.size, lambda file: _open_best_on_cpu(file, "onnx", runtime, request)
        )
    else:
        opened, passed_over = _open_best_on_cpu(path, kind, runtime, request)
        if opened is not None:
            check_foreign(path, opened)
    if opened is not None:
        return opened, _sentence(why, opened.reason, passed_over)
    if runtime != "auto":
        raise UnavailableError(f"runtime {runtime!r} cannot run {path.name}: {passed_over[0].partition(': ')[2]}")
    raise UnavailableError(f"nothing here can run {path.name}: " + "; ".join(passed_over))


def _open_first(runtimes: Iterable[str], path: Path, kind: str, request: Request) -> tuple[Opened | None, list[str]]:
    """Opens a file with the first runtime that can run it; also returns why those before cannot."""
    passed_over: list[str] = []
    for name in runtimes:
        try:
            return _open(name, path, kind, request), passed_over
        except (UnsupportedNetworkError, UnavailableError) as error:
            passed_over.append(f"{name}: {error}")
            log.info("%s is passed over: %s", name, error)
    return None, passed_over


def _open(runtime: str, path: Path, kind: str, request: Request) -> Opened:
    if runtime in TENSORRT and kind != runtime:  # no plan yet
        return open_built(path, runtime, request)
    adapter = {"native": native, "openvino": openvino, "torch": torch, **dict.fromkeys(TENSORRT, tensorrt)}[runtime]
    opened: Opened = adapter.open(path, request)
    return opened


def _sentence(why: str, reason: str, passed_over: list[str]) -> str:
    return "; ".join(filter(None, [why, reason, *(f"not {text}" for text in passed_over)]))


def _open_best_on_cpu(path: Path, kind: str, runtime: str, request: Request) -> tuple[Opened | None, list[str]]:
    """As ``_open_first``, with the runtime and precision that measured best here."""
    if request.precision == "int8":  # only OpenVINO computes in 8 bits
        return _open_first(["openvino"] if runtime == "auto" else [runtime], path, kind, request)

    def open_one(candidate: Candidate) -> Opened:
        # "auto" is kept: it means int8 for a file that is int8 already, and otherwise fp32.
        kept = request.precision == "auto" and candidate.precision == "fp32"
        precision = "auto" if kept else candidate.precision
        return _open(candidate.runtime, path, kind, dataclasses.replace(request, precision=precision))

    if kind == "native":
        if runtime == "openvino":
            raise InputError(f"{path.name} is a model file of our own network; expected runtime 'auto' or 'native'")
        runtime = "native"
    wanted = candidates(runtime, request.precision)
    asked = request.precision != "auto"
    opened, passed_over = open_fastest(path, wanted, request, asked=asked, open_one=open_one)
    if opened is not None and opened.runtime == "native":  # then it does not matter why OpenVINO cannot run it
        passed_over = [reason for reason in passed_over if not reason.startswith("openvino: ")]
    return opened, passed_over
