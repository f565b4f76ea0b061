# SPDX-License-Identifier: Apache-2.0
"""Networks on the CPU through OpenVINO, which reads ONNX files itself; int8 models are made once and kept in the cache.

Only the model's first output is computed. Input and output are the pipeline's memory, without a copy. The slots share
one compiled model, and each has its own infer request.

A cache entry is a folder. For a model that loses too much in int8 it holds only the sidecar, so the refusal is cached,
too.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__, _core
from ..cache import build_folder, entry_path, touch, warn_damaged
from ..errors import Error, InputError, ModelError
from ..export import to_int8
from ..export.calibration import Samples, find_samples
from ..export.int8_checks import check_of
from ..export.int8_job import make_int8, sidecar_of, write_int8
from ..files import check_writable, model_sha256
from ..models import content_sha256
from ..recipe import Sidecar, read_sidecar, write_sidecar
from ..runtimes.devices import require_bf16
from ..runtimes.openvino import compile_model, import_openvino, is_quantised, read_model, shared_core
from ..runtimes.request import Opened, RefusedError, Request, build_progress

log = logging.getLogger("rmbg_trt")

KEPT_MODELS = 8
_FILE = "model.xml"
_making = threading.Lock()  # if two engines need the same model, only one makes it


def open(path: Path, request: Request) -> Opened:
    """Opens an ONNX file (or OpenVINO's own .xml). For int8 the model is quantised first, unless it is already.

    Raises:
        UnavailableError: OpenVINO (for int8 also NNCF) is not installed, or the processor lacks the requested bf16.
        ModelError: The file cannot be read or is not an image-to-matte network, or int8 would lose too much.
        InputError: The size does not fit the model.
    """
    openvino = import_openvino("int8" if request.precision == "int8" else "openvino")
    core = shared_core()
    model = read_model(core, path, request.size)
    if request.precision == "int8" or is_quantised(model):
        model, reason = _int8_model(core, model, path, request)
        precision = "int8"
    else:
        precision, reason = choose_precision(request.precision)
    compiled = compile_model(core, model, precision)
    return Opened(
        networks=[_instance(compiled) for _ in range(request.slots)],
        runtime="openvino",
        runtime_version=str(openvino.__version__).split("-")[0],
        device_name=str(core.get_property("CPU", "FULL_DEVICE_NAME")),
        precision=precision,
        reason=reason,
    )


def _int8_model(core: Any, model: Any, path: Path, request: Request) -> tuple[Any, str]:
    """The int8 version of a model (the model itself if it is int8), and how it was made and verified."""
    if is_quantised(model):
        if request.precision not in ("auto", "int8"):
            raise InputError(f"{path.name} computes in int8; precision is {request.precision!r}, expected 'auto'")
        if request.calibration is not None:
            raise InputError(f"{path.name} is int8 already; leave calibration out")
        return model, "; ".join(filter(None, ["int8 because the file is", _describe_file(path)]))
    try:
        file, made = quantised(path, request.size, request.calibration)
    except ModelError as error:
        raise RefusedError(str(error)) from error
    origin = "made now and kept" if made else "from the cache"
    return read_model(core, file, None), f"int8 because it was asked for, {origin}; {_describe(file)}"


def choose_precision(requested: str) -> tuple[str, str]:
    """The arithmetic to use, and why. "auto" is fp32, because OpenVINO's bf16 changes U²-Net's mattes visibly.

    Raises:
        UnavailableError: bf16 is requested, and the processor would only emulate it.
    """
    if requested == "bf16":
        require_bf16()
    return ("fp32", "fp32") if requested == "auto" else (requested, f"{requested} because it was asked for")


def _instance(compiled: Any) -> _core.Network:
    """Wraps one infer request in the core's network interface."""
    openvino = import_openvino()

    request = compiled.create_infer_request()
    height, width = list(compiled.inputs[0].shape)[-2:]
    out_shape = list(compiled.outputs[0].shape)
    out_height, out_width = out_shape[-2:]

    def bind(source: NDArray[np.float32], target: NDArray[np.float32]) -> None:
        request.set_input_tensor(openvino.Tensor(source, shared_memory=True))
        request.set_output_tensor(openvino.Tensor(target.reshape(out_shape), shared_memory=True))

    def enqueue(stream: int) -> None:
        try:
            request.start_async()
        finally:  # if a signal handler raises in between, the next frame must still find the request idle
            request.wait()

    return _core.python_network(
        _core.TensorSpec("input", (1, 3, height, width)),
        _core.TensorSpec("output", (1, 1, out_height, out_width)),
        bind,
        enqueue,
    )


# ---- int8 models


def quantised(path: Path, size: tuple[int, int] | None, calibration: Path | None) -> tuple[Path, bool]:
    """The int8 version of a model, made first if the cache does not have it.

    Args:
        path: An ONNX file or OpenVINO's own .xml, in fp32.
        size: Network input (height, width); None takes the model's own.
        calibration: Folder of photographs; None uses the package's.

    Returns:
        The ``.xml`` file in the cache, with its sidecar; and whether it was made now.

    Raises:
        ModelError: int8 loses too much, or the model is damaged or cannot be quantised.
        UnavailableError: OpenVINO or NNCF is not installed.
        InputError: There is no such folder, or the size does not fit the model.
        Error: The cache cannot be written.
    """
    samples = find_samples(calibration)
    folder = _int8_folder(path, size, samples)
    sidecar, made = _read_int8(folder), False
    if sidecar is None:
        with _making:
            sidecar = _read_int8(folder)
            made = sidecar is None
            sidecar = sidecar or _make(path, size, samples, folder)
    touch(folder)
    if sidecar.forced:
        raise ModelError(
            f"{path.name} in int8 is refused: {check_of(sidecar.verification[0]).failures()[0]}. Use precision='fp32' "
            "or 'auto', or calibrate with more photographs like those the model is for "
            f"(this time: {sidecar.source['calibration']}). This refusal is cached in {folder}"
        )
    return folder / _FILE, made


def _int8_folder(path: Path, size: tuple[int, int] | None, samples: Samples) -> Path:
    """The folder of a model's int8 version in the cache."""
    import openvino

    processor = shared_core().get_property("CPU", "FULL_DEVICE_NAME")
    parts = {
        "content": content_sha256(path),
        "size": size,
        "samples": samples.sha256(),
        "processor": str(processor),  # its arithmetic was used to verify the model
        "openvino": str(openvino.__version__),
        "package": __version__,
        "recipe": [to_int8.RECIPE, to_int8.MAX_NOISE],
    }
    return entry_path("int8", path.stem, parts, ".int8")


def _read_int8(folder: Path) -> Sidecar | None:
    """The sidecar of the model in a folder; None if there is none. A damaged model is removed."""
    if not folder.is_dir():
        return None
    try:
        sidecar = read_sidecar(folder / _FILE)
        if sidecar is None:
            raise ModelError(f"{folder / _FILE} has no sidecar")
        check_of(sidecar.verification[0])
        if sidecar.forced or model_sha256(folder / _FILE) == sidecar.sha256:
            return sidecar
        raise ModelError(f"{folder / _FILE} is not what was written")
    except (ModelError, LookupError, TypeError) as error:
        warn_damaged(folder, error)
    with build_folder(folder, KEPT_MODELS) as place, contextlib.suppress(FileNotFoundError):  # another was faster
        folder.rename(place / "damaged")
    return None


def _make(path: Path, size: tuple[int, int] | None, samples: Samples, folder: Path) -> Sidecar:
    """Makes the model in a temporary folder and moves it into place; a refused model leaves only its sidecar."""
    check_writable(folder)
    log.warning("making an int8 model of %s, once, with %s; it is kept in %s", path.name, samples.what, folder)
    with build_folder(folder, KEPT_MODELS) as place:
        with build_progress(f"int8 model of {path.stem}") as progress:
            made = make_int8(path, size, samples, place, progress)
        whole = place / "whole"
        if made.check.passed:
            write_int8(made, whole / _FILE)
        else:
            whole.mkdir()
            write_sidecar(whole / _FILE, sidecar_of(made, whole / _FILE))
        _put(whole, folder)
    sidecar = _read_int8(folder)
    if sidecar is None:
        raise Error(f"the int8 model that was just written to {folder} is damaged; check the disk")
    return sidecar


def _put(whole: Path, folder: Path) -> None:
    try:
        whole.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster, and its model is as good
            raise


def _describe_file(path: Path) -> str:
    """As `_describe`, for a user's file, whose sidecar may belong to another model."""
    sidecar = read_sidecar(path)
    if sidecar is not None and sidecar.precision == "int8" and sidecar.sha256 != model_sha256(path):
        return "its sidecar belongs to another model"
    return _describe(path)


def _describe(path: Path) -> str:
    """How an int8 model was made and verified, according to its sidecar; empty if there is none."""
    sidecar = read_sidecar(path)
    if sidecar is None or sidecar.precision != "int8":
        return ""
    try:
        check: Any = check_of(sidecar.verification[0])
    except (LookupError, TypeError) as error:
        raise ModelError(f"{path}: its sidecar is damaged ({error}); remove it, or export the model again") from error
    verdict = "it FAILED its verification: " if sidecar.forced else ""
    return f"calibrated with {sidecar.source.get('calibration', 'unknown images')}; {verdict}{check}"
