# SPDX-License-Identifier: Apache-2.0
"""Our own network for the CPU (csrc/network/cpu): Winograd convolutions in float32, for models made of U²-Net's layers.

It needs no runtime: the ONNX file is read with the onnx package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from . import Opened, Request, UnsupportedNetworkError

if TYPE_CHECKING:
    from .. import _core


def open(path: Path, request: Request) -> Opened:
    """Opens an ONNX file.

    Raises:
        UnsupportedNetworkError: The model has a layer that our network does not, it is a file of OpenVINO, or bf16 or
            int8 is asked for.
        ModelError: The file cannot be read or is not an image-to-matte network.
        InputError: The size does not fit the model.
    """
    from .. import _core
    from .processor_name import processor_name

    if request.precision in ("bf16", "int8"):
        raise UnsupportedNetworkError("it computes in fp32 only")
    model = compile_model(path, request.size)
    why = " because it was asked for" if request.precision == "fp32" else ""
    return Opened(
        networks=[model.network() for _ in range(request.slots)],
        runtime="native",
        runtime_version=f"{_core.__version__} ({_core.cpu_isa()})",
        device_name=processor_name(),
        precision="fp32",
        reason=f"fp32{why}",
    )


def compile_model(path: Path, size: tuple[int, int] | None) -> _core.CpuModel:
    """Reads an ONNX file and packs its weights for this processor. The arguments and errors are those of ``open``."""
    from .. import _core
    from .onnx_file import read_network
    from .onnx_graph import import_graph

    if path.suffix.lower() == ".xml":
        raise UnsupportedNetworkError("it reads ONNX files; an .xml is OpenVINO's own")
    try:
        return _core.CpuModel(import_graph(read_network(path, size)))
    except InputError:
        raise
    except ValueError as error:  # the checks of the core, as of sizes that it cannot address
        raise UnsupportedNetworkError(str(error)) from error
