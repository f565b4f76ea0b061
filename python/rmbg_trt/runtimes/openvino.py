# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: finding it, reading a model for one frame size, and compiling it for the CPU."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from .. import _core
from ..errors import InputError, ModelError, UnavailableError
from ..recipe import DEFAULT_SIDE


def import_openvino(extra: str = "openvino") -> Any:
    """The runtime, imported when a model is opened.

    Args:
        extra: The extra of ours to install where it is missing.

    Raises:
        UnavailableError: It is not installed.
    """
    if importlib.util.find_spec("openvino") is None:
        raise UnavailableError(f'OpenVINO is not installed: pip install "rmbg-trt[{extra}]"')
    import openvino

    return openvino


@functools.cache
def shared_core() -> Any:
    """The one ``openvino.Core`` of the process, which is never dropped.

    The CPU plugin of a core gives the thread that loads it a stack for signals, and gives it back when the core goes.
    Of two cores that do not go in the reverse order, the first leaves the second's thread on memory that is gone, and
    the next Ctrl-C ends Python with a segmentation fault.

    Raises:
        UnavailableError: OpenVINO is not installed.
    """
    return import_openvino().Core()


def read_model(core: Any, path: Path, size: tuple[int, int] | None) -> Any:
    """Reads a model, keeps its first output and makes its shapes static.

    Args:
        core: ``openvino.Core``.
        path: The file.
        size: Network input (height, width); None takes the model's own, or 320 for a side that is open. A model
            with a fixed size is reshaped, which works for networks that are convolutions throughout, as U²-Net.

    Returns:
        An ``openvino.Model`` of input (1, 3, H, W) and one output.
    """
    openvino = import_openvino()
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty")
    try:
        model = core.read_model(str(path))
    except Exception as error:  # OpenVINO raises RuntimeError and several of its own
        raise ModelError(f"{path}: not a readable model ({_first_line(error)})") from error
    if len(model.inputs) != 1:
        raise ModelError(f"{path}: has {len(model.inputs)} inputs ({_names(model.inputs)}); expected one picture")
    if not model.outputs:
        raise ModelError(f"{path}: has no output")
    shape = model.inputs[0].partial_shape
    if shape.rank.is_dynamic or len(shape) != 4 or not shape[1].compatible(openvino.Dimension(3)):
        raise ModelError(f"{path}: its input is {shape}; expected (1, 3, height, width)")
    if model.inputs[0].element_type != openvino.Type.f32:
        raise ModelError(f"{path}: its input is {model.inputs[0].element_type}; expected float32")
    own = [DEFAULT_SIDE if shape[axis].is_dynamic else int(shape[axis].get_length()) for axis in (2, 3)]
    height, width = size or own
    try:
        model = openvino.Model([model.outputs[0]], model.get_parameters(), path.stem)
        model.reshape([1, 3, height, width])
    except Exception as error:
        if size is not None:
            raise InputError(
                f"size {height}x{width} does not work with {path.name} ({_first_line(error)}); leave size out, or "
                "export the model for this size"
            ) from error
        raise ModelError(f"{path}: does not work with its own input {height}x{width} ({_first_line(error)})") from error
    _check_output(path, model)
    return model


def _check_output(path: Path, model: Any) -> None:
    output = model.outputs[0]
    shape = output.partial_shape
    if shape.is_dynamic:
        raise ModelError(f"{path}: its output size {shape} does not follow from the input's")
    sides = [int(side.get_length()) for side in shape]
    if len(sides) < 3 or any(side != 1 for side in sides[:-2]):
        raise ModelError(f"{path}: its first output is {sides}; expected one map (1, 1, height, width)")
    if str(output.element_type.get_type_name()) != "f32":
        raise ModelError(f"{path}: its first output is {output.element_type}; expected float32")


def compile_model(core: Any, model: Any, precision: str) -> Any:
    """Compiles for the CPU and for latency. What an int8 model leaves in floating point stays in float32."""
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": _core.cpu_info()["workers"],
    }
    return core.compile_model(model, "CPU", options)


def is_quantised(model: Any) -> bool:
    """Whether an ``openvino.Model`` computes in 8 bit."""
    return any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())


def _names(ports: Any) -> str:
    return ", ".join(port.get_any_name() for port in ports)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
