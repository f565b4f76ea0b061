# SPDX-License-Identifier: Apache-2.0
"""Our own network for the CPU (csrc/network/cpu): Winograd convolutions in float32, for models made of U²-Net's layers.

OpenVINO only reads the file; nothing of it runs afterwards.
"""

from __future__ import annotations

from pathlib import Path

from . import Opened, Request, UnsupportedNetworkError
from .onnx_graph import import_graph
from .openvino_network import read_model, shared_core


def open(path: Path, request: Request) -> Opened:
    """Opens an ONNX file.

    Raises:
        UnsupportedNetworkError: The model has a layer that our network does not, or bf16 or int8 is asked for.
        UnavailableError: OpenVINO, which reads the file, is not installed.
        ModelError: The file cannot be read or is not an image-to-matte network.
        InputError: The size does not fit the model.
    """
    from .. import _core

    if request.precision in ("bf16", "int8"):
        raise UnsupportedNetworkError("it computes in fp32 only")
    core = shared_core()
    source = read_model(core, path, request.size)
    try:
        model = _core.CpuModel(import_graph(source))
    except ValueError as error:  # the checks of the graph itself
        raise UnsupportedNetworkError(str(error)) from error
    why = " because it was asked for" if request.precision == "fp32" else ""
    return Opened(
        networks=[model.network() for _ in range(request.slots)],
        runtime="native",
        runtime_version=f"{_core.__version__} ({_core.cpu_isa()})",
        device_name=str(core.get_property("CPU", "FULL_DEVICE_NAME")),
        precision="fp32",
        reason=f"fp32{why}",
    )
