# SPDX-License-Identifier: Apache-2.0
"""Our own CPU network (csrc/network/cpu): reads ONNX files and compiles them for this processor."""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable
from pathlib import Path

from .. import _core
from ..errors import InputError
from .onnx_file import SizeError, read_network
from .onnx_graph import import_graph
from .request import UnsupportedNetworkError


def compile_model(
    path: Path,
    size: tuple[int, int] | None,
    compile_graph: Callable[[_core.CpuGraph], _core.CpuModel] = _core.CpuModel,
) -> _core.CpuModel:
    """Reads an ONNX file and packs its weights for this processor.

    Args:
        path: The file.
        size: Network input (height, width); None takes the model's own.
        compile_graph: Compiles the graph; by default in fp32.

    Raises:
        UnsupportedNetworkError: Our network lacks a layer of the model, or the file is OpenVINO's.
        ModelError: The file cannot be read or is not an image-to-matte network.
        InputError: The size does not fit the model.
    """
    if path.suffix.lower() == ".xml":
        raise UnsupportedNetworkError("it reads ONNX files, and .xml is OpenVINO's format")
    network = read_network(path, size)
    try:
        return compile_graph(import_graph(network))
    except SizeError:
        raise
    except InputError as error:  # the core's own checks, such as the largest dilation
        raise UnsupportedNetworkError(str(error)) from error


@functools.cache
def processor_name() -> str:
    """The processor's model name on Linux, the machine's architecture elsewhere."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name" and value.strip():
                    return value.strip()
    except OSError:
        pass
    return platform.machine()
