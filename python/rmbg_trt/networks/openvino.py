# SPDX-License-Identifier: Apache-2.0
"""Networks on the CPU through OpenVINO, which reads ONNX files itself.

Only the model's first output is computed. Input and output are the pipeline's memory, without a copy. The slots share
one compiled model, and each has its own infer request.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..errors import InputError, ModelError
from ..runtimes.devices import require_bf16
from ..runtimes.openvino import compile_model, import_openvino, is_quantised, read_model, shared_core
from ..runtimes.request import Opened, RefusedError, Request
from . import int8_cache


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
        return model, "; ".join(filter(None, ["int8 because the file is", int8_cache.describe_file(path)]))
    try:
        file, made = int8_cache.quantised(path, request.size, request.calibration)
    except ModelError as error:
        raise RefusedError(str(error)) from error
    origin = "made now and kept" if made else "from the cache"
    return read_model(core, file, None), f"int8 because it was asked for, {origin}; {int8_cache.describe(file)}"


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
        request.start_async()
        request.wait()

    return _core.python_network(
        _core.TensorSpec("input", (1, 3, height, width)),
        _core.TensorSpec("output", (1, 1, out_height, out_width)),
        bind,
        enqueue,
    )
