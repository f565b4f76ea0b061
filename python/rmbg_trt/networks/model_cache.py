# SPDX-License-Identifier: Apache-2.0
"""Models that are made once and then taken from the user's cache: ONNX files of checkpoints, and TensorRT plans.

The CPU's runtimes read a checkpoint as an ONNX file (fp32). TensorRT runs an ONNX file, a checkpoint or a catalogue
model as a plan.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .. import __version__, _core
from ..cache import build_folder, entry_path, prune, remove_files, touch, warn_damaged
from ..errors import ModelError, UnavailableError
from ..export import Options, export
from ..export.convert import convert_checkpoint
from ..files import atomic_file, file_sha256
from ..models import content_sha256
from ..recipe import sidecar_path
from ..runtimes.devices import gpu_properties
from ..runtimes.request import Opened, RefusedError, Request, build_progress
from ..runtimes.tensorrt import TensorRt, known_targets, load
from . import tensorrt

log = logging.getLogger("rmbg_trt")

Result = TypeVar("Result")

KEPT_FILES = 8  # ONNX files
KEPT_PLANS = 16
_converting, _building = threading.Lock(), threading.Lock()  # if two engines need the same model, only one makes it

Attempt = tuple["Opened | None", list[str]]
"""The opened model, and why the runtimes before it cannot run it."""


def _open_kept(make: Callable[[], tuple[Path, bool]], open_file: Callable[[Path, bool], Result]) -> Result:
    """Opens a cache entry. One from an earlier start that turns out to be damaged is removed and made again, once.

    Args:
        make: Makes the entry if there is none. Returns its file, and whether it was made now.
        open_file: Opens what ``make`` returned.
    """
    file, made = make()
    try:
        return open_file(file, made)
    except RefusedError:  # the file itself is fine
        raise
    except ModelError as error:
        if made:
            raise
        warn_damaged(file, error)
        remove_files(file, sidecar_path(file))
    return open_file(*make())


# ---- checkpoints as ONNX files


def open_converted(path: Path, size: tuple[int, int] | None, open_onnx: Callable[[Path], Attempt]) -> Attempt:
    """Opens the ONNX file of a checkpoint, converting the checkpoint first if the cache does not have it.

    Args:
        path: The checkpoint.
        size: Network input (height, width); None takes the checkpoint's own.
        open_onnx: Opens an ONNX file.

    Raises:
        UnavailableError: A package needed for the conversion is not installed.
        ModelError: The checkpoint is damaged, or it expects another normalization.
        Error: The cache cannot be written.
    """

    def open_file(file: Path, made: bool) -> Attempt:
        try:
            opened, passed_over = open_onnx(file)
        except RefusedError as error:
            raise RefusedError(str(error).replace(file.name, path.name)) from error
        if opened is not None:
            how = "converted to ONNX now, and kept" if made else "converted to ONNX before (from the cache)"
            opened = dataclasses.replace(opened, reason=f"{opened.reason}; the checkpoint was {how}")
        return opened, passed_over

    return _open_kept(lambda: convert(path, size), open_file)


def convert(path: Path, size: tuple[int, int] | None = None) -> tuple[Path, bool]:
    """The ONNX file of a checkpoint in the cache, fp32, for one image of one size; and whether it was made now.

    Errors are those of ``open_converted``.
    """
    content = file_sha256(path)
    file = entry_path("onnx", path.stem, {"content": content, "size": size, "package": __version__}, ".onnx")
    with _converting:
        made = not file.is_file()
        if made:
            _make(path, content, size, file)
    touch(file)
    return file, made


def _make(path: Path, content: str, size: tuple[int, int] | None, file: Path) -> None:
    log.info("converting the checkpoint %s to ONNX for the CPU, once; it is kept as %s", path.name, file)
    with build_progress(f"ONNX file of {path.name}") as progress:
        progress("for the CPU", 0, 0)
        data = convert_checkpoint(path, size, content)
    with atomic_file(file) as stream:
        stream.write(data)
    prune(file.parent, file.suffix, KEPT_FILES)


# ---- TensorRT plans


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

    def make() -> tuple[Path, bool]:
        with _building:
            missing = not (plan.is_file() and sidecar_path(plan).is_file())
            if missing:
                _build(path, plan, vendor, options, gpu)
        return plan, missing

    def open_file(plan: Path, built: bool) -> Opened:
        try:
            opened = tensorrt.open(plan, request, runtime)
        except ModelError as error:
            if not built:
                raise
            remove_files(plan, sidecar_path(plan))
            text = f"the plan that {vendor.title} built does not run on {gpu['name']}: {error}"
            raise UnavailableError(text) from error
        touch(plan)
        why = "built now and kept" if built else "from the cache"
        return dataclasses.replace(opened, reason=f"{opened.reason}; the plan is {why}")

    return _open_kept(make, open_file)


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
    logging.getLogger("rmbg_trt.tensorrt").info(
        "building a plan of %s for %s with %s; it is kept in %s", path.name, gpu["name"], runtime.title, plan
    )
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
