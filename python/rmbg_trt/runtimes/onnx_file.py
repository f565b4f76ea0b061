# SPDX-License-Identifier: Apache-2.0
"""Reads ONNX files with the onnx package, and checks that a model is an image-to-matte network.

Files are not trusted: nothing in them is executed, and external weights must lie in the model's folder (the onnx
package checks the paths).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Error, InputError, ModelError, UnavailableError
from ..recipe import DEFAULT_SIDE
from ..signals import let_handlers_raise
from .onnx_checks import check_external_files, put_matte_first

DOMAINS = ("", "ai.onnx")  # names of ONNX's own operators
_LARGEST_SIDE = 1 << 20


class SizeError(InputError):
    """The layers of a model do not fit together at the requested size."""


@dataclass(frozen=True)
class OnnxNetwork:
    """An ONNX model with one image as its input.

    Attributes:
        path: The file.
        model: ``onnx.ModelProto``; its declared sizes may differ from ``size``.
        input: Name of the input.
        output: Name of the output that is used; it is the first of ``model``.
        batch: Batch size that the file declares, 1 if it is open. We run single images anyway.
        size: Network input (height, width).
        requested: Whether the user requested this size.
    """

    path: Path
    model: Any
    input: str
    output: str
    batch: int
    size: tuple[int, int]
    requested: bool

    def size_error(self, reason: str) -> Error:
        """The error for layers that do not fit together at this size."""
        return size_error(self.path, self.size, reason, requested=self.requested)

    def check_declared_output(self) -> None:
        """Checks the output that the file declares, for graphs that cannot be followed; open sides are accepted."""
        tensor = self.model.graph.output[0].type.tensor_type
        if tensor.HasField("shape"):
            sides = [max(side.dim_value, 0) for side in tensor.shape.dim]
            leading = [1, *sides[1:-2]] if len(sides) > 3 else sides[:-2]  # the batch becomes 1
            check_output(self.path, [*(side or 1 for side in leading), *sides[-2:]])


# ---- checks for every reader of model files


def check_file(path: Path) -> None:
    """Raises ModelError if there is no such file, or it is empty."""
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty")


def check_ports(path: Path, inputs: Sequence[str], outputs: int) -> None:
    """Raises ModelError unless a model has one input (given by name) and at least one output."""
    if len(inputs) != 1:
        raise ModelError(f"{path}: has {len(inputs)} inputs ({', '.join(inputs) or 'none'}); expected one image")
    if not outputs:
        raise ModelError(f"{path}: has no output")


def check_output(path: Path, shape: Sequence[int]) -> None:
    """Raises ModelError unless the shape of the first output is that of one map."""
    if len(shape) < 3 or any(side != 1 for side in shape[:-2]):
        raise ModelError(f"{path}: its first output is {list(shape)}; expected one map (1, 1, height, width)")


def size_error(path: Path, size: tuple[int, int], reason: str, *, requested: bool) -> Error:
    """The error for layers that do not fit together at an input size (height, width)."""
    text = "x".join(map(str, size))
    if requested:
        advice = "leave size out, or export the model for this size"
        return SizeError(f"size {text} does not work with {path.name} ({reason}); {advice}")
    return ModelError(f"{path}: does not work with its own input {text} ({reason})")


# ---- reading


def read_network(path: Path, size: tuple[int, int] | None) -> OnnxNetwork:
    """Reads a file to run on one image of one size.

    Args:
        path: The file.
        size: Network input (height, width); None takes the model's own, or 320 for an open side.

    Raises:
        ModelError: The file cannot be read, or its input is not one image (1, 3, H, W) float32.
    """
    model = read_onnx_file(path)
    image = only_input(path, model)
    put_matte_first(path, model)
    tensor = image.type.tensor_type
    sides = [side.dim_value if side.dim_value > 0 else None for side in tensor.shape.dim]
    if len(sides) != 4 or sides[1] not in (3, None) or any(side and side > _LARGEST_SIDE for side in sides):
        shape = f"[{', '.join(str(side or '?') for side in sides)}]"
        raise ModelError(f"{path}: its input is {shape}; expected (1, 3, height, width)")
    if type_name(tensor.elem_type) != "float32":
        raise ModelError(f"{path}: its input is {type_name(tensor.elem_type)}; expected float32")
    own = sides[2] or DEFAULT_SIDE, sides[3] or DEFAULT_SIDE
    output = model.graph.output[0].name
    return OnnxNetwork(path, model, image.name, output, sides[0] or 1, size or own, size is not None)


def read_onnx_file(path: Path) -> Any:
    """Parses a file, and external weights in its folder.

    Returns:
        ``onnx.ModelProto``. Its graph is not checked: ``onnx.checker`` would take longer than reading the file.

    Raises:
        ModelError: It cannot be read.
        UnavailableError: The onnx package is not installed.
    """
    try:
        import onnx
        from onnx import external_data_helper
    except ImportError as error:
        raise UnavailableError(f"the package onnx does not load ({error}): install rmbg-trt again") from error

    check_file(path)
    folder = path.absolute().parent
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
        check_external_files(path, folder, model)
        external_data_helper.load_external_data_for_model(model, str(folder))
    except ModelError:
        raise
    except Exception as error:  # protobuf's, onnx's and the system's own
        let_handlers_raise(error)
        lines = str(error).splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: not a readable ONNX model ({lines[0][:200]})") from error
    return model


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators in an ``onnx.ModelProto``; 1 if it does not declare it."""
    return max((entry.version for entry in model.opset_import if entry.domain in DOMAINS), default=1)


def inputs_of(model: Any) -> list[Any]:
    """The inputs of an ``onnx.ModelProto`` that are not weights; old exporters list weights, too."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def only_input(path: Path, model: Any) -> Any:
    """The one input of a model. Raises ModelError if it has none or several, or no output."""
    inputs = inputs_of(model)
    check_ports(path, [value.name for value in inputs], len(model.graph.output))
    return inputs[0]


def needed_nodes(graph: Any) -> list[Any]:
    """The nodes that the first output depends on, in topological order, which not all converters keep.

    Args:
        graph: ``onnx.GraphProto`` with an output.

    Raises:
        ModelError: The graph has a cycle.
    """
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    ordered: dict[int, Any] = {}
    path = [graph.output[0].name]  # each value depends on the next one
    while path:
        index = producers.get(path[-1])
        inputs = graph.node[index].input if index is not None else ()
        missing = next((name for name in inputs if name in producers and producers[name] not in ordered), None)
        if missing is not None and len(path) > len(graph.node):
            raise ModelError(f"the graph has a cycle through {missing!r}")
        if missing is not None:
            path.append(missing)
            continue
        path.pop()
        if index is not None:
            ordered[index] = graph.node[index]
    return list(ordered.values())


def type_name(elem_type: int) -> str:
    """The lower-case name of a ``TensorProto.DataType``, such as "uint8"."""
    from onnx import TensorProto

    names: dict[int, str] = {number: name for name, number in TensorProto.DataType.items()}
    name = names.get(elem_type, f"type {elem_type}").lower()
    return "float32" if name == "float" else name
