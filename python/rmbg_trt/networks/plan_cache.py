# SPDX-License-Identifier: Apache-2.0
"""TensorRT plans of ONNX files, checkpoints and catalogue models: built once, then taken from the user's cache."""

from __future__ import annotations

import dataclasses
import logging
import threading
from pathlib import Path
from typing import Any

from .. import __version__, _core
from ..cache import build_folder, entry_path, remove_files, touch, warn_damaged
from ..errors import ModelError, UnavailableError
from ..export import Options, export
from ..models import content_sha256
from ..runtimes.gpu import gpu_properties
from ..runtimes.request import Opened, Request, build_progress
from ..runtimes.tensorrt import TensorRt, known_targets, load
from ..sidecar import sidecar_path
from . import tensorrt as tensorrt_network

log = logging.getLogger("rmbg_trt.tensorrt")

KEPT_PLANS = 16
_building = threading.Lock()  # if two engines need the same plan, only one builds it


def open_built(path: Path, runtime: str, request: Request) -> Opened:
    """Opens the plan of a model, building it first if the cache does not have it.

    Args:
        path: An ONNX file or a checkpoint.
        runtime: "tensorrt" or "tensorrt_rtx".
        request: With the GPU.

    Raises:
        UnavailableError: The runtime or a package for building is not installed, or its plans do not run on this GPU.
        ModelError: The model is damaged, or its plan failed verification. Then nothing is kept.
        InputError: The size does not fit the model.
        Error: The cache cannot be written.
    """
    vendor = load(runtime)
    gpu = gpu_properties(request.device_index or 0)
    options = _options(vendor, request, gpu)
    plan = plan_path(path, vendor, options, gpu)
    for last in (False, True):
        with _building:
            built = not (plan.is_file() and sidecar_path(plan).is_file())
            if built:
                _build(path, plan, vendor, options, gpu)
        try:
            return _opened(plan, request, runtime, built=built)
        except ModelError as error:
            remove_files(plan, sidecar_path(plan))
            if built or last:
                text = f"the plan that {vendor.title} built does not run on {gpu['name']}: {error}"
                raise UnavailableError(text) from error
            warn_damaged(plan, error)
    raise AssertionError("the second attempt returns or raises")


def plan_path(path: Path, runtime: TensorRt, options: Options, gpu: dict[str, Any]) -> Path:
    """The path of a model's plan in the cache.

    Args:
        path: The model.
        runtime: The runtime that builds and runs the plan.
        options: Precision, size and targets.
        gpu: The core's description of the GPU.
    """
    parts = {
        "content": content_sha256(path),
        "options": dataclasses.asdict(dataclasses.replace(options, device="auto")),  # GPUs of one kind share plans
        "runtime": [runtime.name, runtime.version],
        "gpu": [gpu["name"], *gpu["compute_capability"]],
        "driver": _driver_version(),
        "package": __version__,
    }
    return entry_path("plans", f"{path.stem[:40]}-{options.precision}-{runtime.name}", parts, ".plan")


def _opened(plan: Path, request: Request, runtime: str, *, built: bool) -> Opened:
    opened = tensorrt_network.open(plan, request, runtime)
    touch(plan)
    why = "built now and kept" if built else "from the cache"
    return dataclasses.replace(opened, reason=f"{opened.reason}; the plan is {why}")


def _options(runtime: TensorRt, request: Request, gpu: dict[str, Any]) -> Options:
    """Build options: one image of one size, on the GPU that will run the plan."""
    height, width = request.size or (0, 0)
    return Options(
        precision="fp32" if request.precision == "fp32" else "fp16",
        size=((height,) * 3, (width,) * 3) if request.size else None,
        runtime=runtime.name,
        targets=_targets(runtime, gpu),
        device=f"cuda:{gpu['index']}",
    )


def _targets(runtime: TensorRt, gpu: dict[str, Any]) -> tuple[str, ...]:
    """The GPU as a target of TensorRT-RTX; empty for TensorRT, and for GPUs that need a portable plan.

    Raises:
        UnavailableError: TensorRT-RTX does not support this GPU.
    """
    known = known_targets(runtime)
    major, minor = gpu["compute_capability"]
    own = f"sm{major}{minor}"
    if not known or own in known:
        return (own,) if known else ()
    if all(target[2:-1] != str(major) for target in known):
        raise UnavailableError(f"{runtime.title} is for {', '.join(known)}, and {gpu['name']} is {own}; take TensorRT")
    return ()


def _build(path: Path, plan: Path, runtime: TensorRt, options: Options, gpu: dict[str, Any]) -> None:
    """Exports to a temporary folder and moves the results into place, the sidecar first."""
    log.info("building a plan of %s for %s with %s; it is kept in %s", path.name, gpu["name"], runtime.title, plan)
    with build_folder(plan, KEPT_PLANS) as folder:
        built = folder / plan.name
        with build_progress(f"plan of {path.stem}") as progress:
            report = export(str(path), built, options, progress=progress)
        if not report.written:
            failures = "; ".join(report.checks.failures())
            advice = "; use precision='fp32'" if options.precision == "fp16" else ""
            raise ModelError(f"the {options.precision} plan of {path.name} failed verification: {failures}{advice}")
        sidecar_path(built).replace(sidecar_path(plan))
        built.replace(plan)


def _driver_version() -> str:
    """The version of the NVIDIA driver, from the core or the system; empty if unknown."""
    version = _core.build_info().get("driver_version")
    if version:
        return str(version)
    try:
        return Path("/proc/driver/nvidia/version").read_text(errors="replace").partition("\n")[0]
    except OSError:
        return ""
