# SPDX-License-Identifier: Apache-2.0
"""ONNX files, read with the onnx package and checked to be image-to-matte networks.

A file may come from anyone. Nothing in it is executed, and weights in files of their own must lie in the model's folder
(the onnx package checks the paths).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Error, InputError, ModelError, UnavailableError
from ..recipe import DEFAULT_SIDE

_DOMAINS = ("", "ai.onnx")
_LARGEST_SIDE = 1 << 20


class SizeError(InputError):
    """The layers of a model do not fit together at the size that was asked for."""


@dataclass(frozen=True)
class OnnxNetwork:
    """An ONNX model with one picture as its input.

    Attributes:
        path: The file.
        model: ``onnx.ModelProto``; its declared sizes may differ from ``size``.
        input: Name of the picture.
        output: Name of the first output.
        batch: Images at once that the file declares, 1 where it leaves that open. The network takes one all the same.
        size: Network input (height, width).
        asked: Whether the user asked for this size.
    """

    path: Path
    model: Any
    input: str
    output: str
    batch: int
    size: tuple[int, int]
    asked: bool

    @property
    def opset(self) -> int:
        """Version of ONNX's own operators; 1 where the file does not say."""
        return max((each.version for each in self.model.opset_import if each.domain in _DOMAINS), default=1)

    def size_error(self, reason: str) -> Error:
        """The error that the layers do not fit together at this size."""
        size = "x".join(map(str, self.size))
        if self.asked:
            advice = "leave size out, or export the model for this size"
            return SizeError(f"size {size} does not work with {self.path.name} ({reason}); {advice}")
        return ModelError(f"{self.path}: does not work with its own input {size} ({reason})")

    def check_output(self, shape: Sequence[int]) -> None:
        """Raises ModelError unless the shape of the first output, 0 for an open side, is that of one map."""
        if len(shape) < 3 or any(side > 1 for side in shape[:-2]):
            raise ModelError(f"{self.path}: its first output is {list(shape)}; expected one map (1, 1, height, width)")

    def check_declared_output(self) -> None:
        """As ``check_output``, with what the file itself says of the output. For graphs that cannot be followed."""
        tensor = self.model.graph.output[0].type.tensor_type
        if tensor.HasField("shape"):
            sides = [max(side.dim_value, 0) for side in tensor.shape.dim]
            self.check_output([1, *sides[1:]] if len(sides) > 3 else sides)  # the batch becomes 1


def read_network(path: Path, size: tuple[int, int] | None) -> OnnxNetwork:
    """Reads a file for one picture of one size.

    Args:
        path: The file.
        size: Network input (height, width); None takes the model's own, or 320 for a side that is open.

    Raises:
        ModelError: The file cannot be read, or its input is not one picture (1, 3, H, W) float32.
    """
    model = read_onnx_file(path)
    image = only_input(path, model)
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
    """Parses a file, with weights that lie in files beside it.

    Returns:
        ``onnx.ModelProto``. Its graph is not checked; ``onnx.checker`` would take longer than reading does.

    Raises:
        ModelError: It cannot be read.
        UnavailableError: The onnx package is not installed.
    """
    try:
        import onnx
        from onnx import external_data_helper
    except ImportError as error:
        raise UnavailableError(f"the package onnx does not load ({error}): install rmbg-trt again") from error

    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: the file is empty")
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
        external_data_helper.load_external_data_for_model(model, str(path.absolute().parent))
    except Exception as error:  # protobuf's, onnx's and the system's own
        lines = str(error).splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: not a readable ONNX model ({lines[0][:200]})") from error
    return model


def inputs_of(model: Any) -> list[Any]:
    """The inputs of an ``onnx.ModelProto`` that are not weights; old exporters list those, too."""
    constants = {each.name for each in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in constants]


def only_input(path: Path, model: Any) -> Any:
    """The image that a model takes. Raises ModelError where it takes more or nothing, or gives nothing."""
    inputs = inputs_of(model)
    if len(inputs) != 1:
        names = ", ".join(str(each.name) for each in inputs) or "none"
        raise ModelError(f"{path}: has {len(inputs)} inputs ({names}); expected one picture")
    if not model.graph.output:
        raise ModelError(f"{path}: has no output")
    return inputs[0]


def needed_nodes(graph: Any) -> list[Any]:
    """The nodes that the first output depends on, each after those it reads; converters do not all keep that order.

    Args:
        graph: ``onnx.GraphProto`` with an output.

    Raises:
        ModelError: The graph goes in a circle.
    """
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    ordered: dict[int, Any] = {}
    path = [graph.output[0].name]  # values that wait, each for the next one
    while path:
        index = makers.get(path[-1])
        inputs = graph.node[index].input if index is not None else ()
        waiting = next((name for name in inputs if name in makers and makers[name] not in ordered), None)
        if waiting is not None and len(path) > len(graph.node):
            raise ModelError(f"the graph goes in a circle through {waiting!r}")
        if waiting is not None:
            path.append(waiting)
            continue
        path.pop()
        if index is not None:
            ordered[index] = graph.node[index]
    return list(ordered.values())


def type_name(elem_type: int) -> str:
    """The name of ``TensorProto.DataType`` in small letters, as "uint8"."""
    from onnx import TensorProto

    names: dict[int, str] = {number: name for name, number in TensorProto.DataType.items()}
    name = names.get(elem_type, f"type {elem_type}").lower()
    return "float32" if name == "float" else name
