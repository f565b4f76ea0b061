# SPDX-License-Identifier: Apache-2.0
"""Our own network for the CPU (csrc/network/cpu), for models made of U²-Net's layers.

In fp32 it runs Winograd convolutions; in bf16 it multiplies tiles, where the processor has AMX or AVX512-BF16.
It needs no runtime: the ONNX file is read with the onnx package.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from . import Opened, Request, UnsupportedNetworkError
from .device import require_bf16

if TYPE_CHECKING:
    from .. import _core


def open(path: Path, request: Request) -> Opened:
    """Opens an ONNX file. "auto" is float32.

    Raises:
        UnsupportedNetworkError: The model has a layer that our network does not, it is a file of OpenVINO, or int8 is
            asked for.
        UnavailableError: bf16 is asked of a processor that has none.
        ModelError: The file cannot be read or is not an image-to-matte network.
        InputError: The size does not fit the model.
    """
    from .. import _core
    from .processor_name import processor_name

    if request.precision == "int8":
        raise UnsupportedNetworkError("it computes in fp32 and bf16 only")
    precision = "bf16" if request.precision == "bf16" else "fp32"
    if precision == "bf16":
        require_bf16()
    model = compile_model(path, request.size, precision)
    return Opened(
        networks=[model.network() for _ in range(request.slots)],
        runtime="native",
        runtime_version=f"{_core.__version__} ({_core.cpu_isa()})",
        device_name=processor_name(),
        precision=precision,
        reason=f"{precision} because it was asked for" if request.precision == precision else precision,
    )


def compile_model(path: Path, size: tuple[int, int] | None, precision: str = "fp32") -> _core.CpuModel:
    """Reads an ONNX file and packs its weights for this processor.

    Args:
        path: The file.
        size: Network input (height, width); None takes the model's own.
        precision: "fp32", or "bf16", for which the means of the activations are measured once.

    Raises:
        UnsupportedNetworkError: The model has a layer that our network does not, or it is a file of OpenVINO.
        ModelError: The file cannot be read or is not an image-to-matte network.
        InputError: The size does not fit the model.
    """
    from .. import _core
    from .centres import compile_bf16
    from .onnx_file import SizeError, read_network
    from .onnx_graph import import_graph

    if path.suffix.lower() == ".xml":
        raise UnsupportedNetworkError("it reads ONNX files; an .xml is OpenVINO's own")
    network = read_network(path, size)
    try:
        graph = import_graph(network)
        return compile_bf16(path, graph) if precision == "bf16" else _core.CpuModel(graph)
    except SizeError:
        raise
    except InputError as error:  # the core's own checks, such as the largest dilation
        raise UnsupportedNetworkError(str(error)) from error
