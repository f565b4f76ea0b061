# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: importing it, reading a model for one input size, and compiling it for the CPU."""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path
from typing import Any

from .. import _core
from ..errors import ModelError, UnavailableError
from ..install import install_command
from ..recipe import DEFAULT_SIDE
from ..signals import let_handlers_raise
from .onnx_checks import PASSING, matte_index
from .onnx_file import check_file, check_output, check_ports, read_onnx_file, size_error


def import_openvino(extra: str = "openvino") -> Any:
    """Imports the runtime.

    Args:
        extra: The extra of this package that installs it, for the message.

    Raises:
        UnavailableError: It is not installed.
    """
    if importlib.util.find_spec("openvino") is None:
        raise UnavailableError(f"OpenVINO is not installed: {install_command(extra)}")
    import openvino

    return openvino


def shared_core() -> Any:
    """The one ``openvino.Core`` of the process, which is never destroyed.

    The CPU plugin installs a signal stack for the thread that loads it and restores the old one when its core is
    destroyed. If two cores are not destroyed in reverse order, the thread is left with a stack that was freed, and the
    next Ctrl-C crashes Python.

    Raises:
        UnavailableError: OpenVINO is not installed, or it was used before this process was forked: then its threads
            exist only in the parent, and a call here would wait for them forever.
    """
    core, process = _core_and_process()
    if process != os.getpid():
        raise UnavailableError(
            "OpenVINO was used before this process was forked and does not work on both sides of a fork; create "
            "engines only in the children, start them with multiprocessing's method 'spawn', or use runtime='native'"
        )
    return core


@functools.cache
def _core_and_process() -> tuple[Any, int]:
    return import_openvino().Core(), os.getpid()


def read_model(core: Any, path: Path, size: tuple[int, int] | None) -> Any:
    """Reads a model, keeps the output that is its matte and makes its shapes static.

    Args:
        core: ``openvino.Core``.
        path: The file.
        size: Network input (height, width); None takes the model's own, or 320 for an open side. A model with a fixed
            size is reshaped, which works for fully convolutional networks such as U²-Net.

    Returns:
        An ``openvino.Model`` with input (1, 3, H, W) and one output.
    """
    openvino = import_openvino()
    check_file(path)
    try:
        model = core.read_model(str(path))
    except Exception as error:  # OpenVINO raises RuntimeError and several of its own
        let_handlers_raise(error)
        if path.suffix.lower() == ".onnx":
            read_onnx_file(path)  # says, for example, that a file with weights is missing
        raise ModelError(f"{path}: not a readable model ({_first_line(error)})") from error
    check_ports(path, [port.get_any_name() for port in model.inputs], len(model.outputs))
    shape = model.inputs[0].partial_shape
    if shape.rank.is_dynamic or len(shape) != 4 or not shape[1].compatible(openvino.Dimension(3)):
        raise ModelError(f"{path}: its input is {shape}; expected (1, 3, height, width)")
    if model.inputs[0].element_type != openvino.Type.f32:
        raise ModelError(f"{path}: its input is {model.inputs[0].element_type}; expected float32")
    height, width = (DEFAULT_SIDE if side.is_dynamic else int(side.get_length()) for side in (shape[2], shape[3]))
    height, width = size or (height, width)
    try:
        matte = matte_index([_computed_by(output) for output in model.outputs])
        model = openvino.Model([model.outputs[matte]], model.get_parameters(), path.stem)
        model.reshape([1, 3, height, width])
    except Exception as error:
        let_handlers_raise(error)
        raise size_error(path, (height, width), _first_line(error), requested=size is not None) from error
    output = model.outputs[0]
    if output.partial_shape.is_dynamic:
        raise ModelError(f"{path}: its output size {output.partial_shape} does not follow from the input's")
    check_output(path, [int(side.get_length()) for side in output.partial_shape])
    if str(output.element_type.get_type_name()) != "f32":
        raise ModelError(f"{path}: its first output is {output.element_type}; expected float32")
    return model


def _computed_by(output: Any) -> str:
    """The operator that computes an output, those in ``PASSING`` skipped."""
    node = output.get_node()
    while node.get_type_name() in PASSING | {"Result"}:
        node = node.input_value(0).get_node()
    return str(node.get_type_name())


def compile_model(core: Any, model: Any, precision: str) -> Any:
    """Compiles for low latency on the CPU. Layers of an int8 model that are not quantized run in float32."""
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": _core.cpu_info()["workers"],
    }
    return core.compile_model(model, "CPU", options)


def is_quantised(model: Any) -> bool:
    """Whether an ``openvino.Model`` computes in int8."""
    return any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
