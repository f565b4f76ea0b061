# SPDX-License-Identifier: Apache-2.0
"""Cleans up ONNX graphs: one output, folded shapes, no exporter metadata, reproducible bytes."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np

from ..errors import InputError, ModelError
from ..runtimes.onnx_file import opset_of
from .options import InputShape
from .predict import onnx_runtime
from .source import image_input

INPUT, OUTPUT = "input", "matte"
_SCOPES = "pkg.torch.onnx.name_scopes"


def tidy(model: Any) -> Any:
    """Removes what an exporter leaves behind and names nodes after the modules that they come from.

    Stack traces (with paths of the machine), shapes of inner values and documentation go; the arithmetic stays.

    Args:
        model: ``onnx.ModelProto`` with one input and one output. It is changed in place.

    Returns:
        The same model, checked by ``onnx.checker``.
    """
    import onnx

    graph = model.graph
    graph.name = "rmbg-trt"
    graph.doc_string = model.doc_string = ""
    model.producer_name, model.producer_version = "rmbg-trt", ""
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:], model.functions[:]
    names = {graph.input[0].name: INPUT, graph.output[0].name: OUTPUT}
    used = {INPUT, OUTPUT}
    for tensor in graph.initializer:
        names[tensor.name] = _unique(tensor.name.removeprefix("model."), used)
    for node in graph.node:
        node.name = _unique(_scope(node, names), used)
        for index, output in enumerate(node.output):
            if output:
                names.setdefault(output, node.name if index == 0 else f"{node.name}.{index}")
        del node.metadata_props[:]
        node.doc_string = ""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, value.name)
        del value.metadata_props[:]
        value.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    return model


def serialize(model: Any) -> bytes:
    """The bytes of an ONNX model; equal models give equal bytes."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def open_axes(model: Any, shape: InputShape) -> Any:
    """Opens the axes of a static graph of ours, with at most one Shape node for each size that it resizes to.

    Our networks resize a value in order to concatenate it with another one, whose size replaces the constant size.
    (Exporting with symbolic sizes gives the same arithmetic but three times as many nodes that compute shapes.)

    Args:
        model: ``onnx.ModelProto`` of one of our architectures, static. It is changed in place.
        shape: Tells which lengths are ranges.
    """
    import onnx
    from onnx import helper

    graph = model.graph
    producers = {value: node for node in graph.node for value in node.output}
    concats = {value: node for node in graph.node if node.op_type == "Concat" for value in node.input}
    nodes: list[Any] = []
    constants, sizes = set(), set()
    for node in graph.node:
        if node.op_type == "Resize":
            target = next(v for v in concats[node.output[0]].input if producers[v].op_type != "Resize")
            size = f"{target}.size"
            if size not in sizes:
                nodes.append(helper.make_node("Shape", [target], [size], name=size, start=2, end=4))
                sizes.add(size)
            constants.add(node.input[3])
            node.input[3] = size
            node.attribute.append(helper.make_attribute("axes", [2, 3]))
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    weights = [weight for weight in graph.initializer if weight.name not in constants]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    ranges = {0: ("batch", shape.batch), 2: ("height", shape.height), 3: ("width", shape.width)}
    for tensor in (graph.input[0], graph.output[0]):
        for axis, (name, lengths) in ranges.items():
            if lengths[0] != lengths[2]:
                tensor.type.tensor_type.shape.dim[axis].dim_param = name
    onnx.checker.check_model(model, full_check=True)
    return model


def static(model: Any, shape: InputShape) -> Any:
    """A copy of a graph of another architecture for one input shape: first output only, constants and shapes folded.

    Args:
        model: ``onnx.ModelProto`` as read.
        shape: The input, fixed.

    Raises:
        InputError: The shape is a range, or the graph does not work with this size.
        ModelError: Its output is not one map.
    """
    import onnx
    from onnxscript import optimizer

    if not shape.fixed:
        raise InputError("a graph of another architecture is exported for one size; leave out --dynamic, use --size")
    result = at_shape(model, shape.usual)
    try:
        result = optimizer.optimize(onnx.shape_inference.infer_shapes(result, data_prop=True, strict_mode=True))
        result = onnx.shape_inference.infer_shapes(result, data_prop=True, strict_mode=True)
    except Exception as error:
        raise InputError(f"the model does not work with an input of {shape}: {str(error).splitlines()[0]}") from error
    dims = [side.dim_value for side in result.graph.output[0].type.tensor_type.shape.dim]
    if len(dims) < 3 or not all(dims) or any(side != 1 for side in dims[1:-2]) or dims[0] != shape.usual[0]:
        raise ModelError(f"its first output is {dims or 'of no known shape'}; expected one map (N, 1, height, width)")
    if len(dims) == 3:
        _add_channel_axis(result, opset_of(result))
    result = tidy(result)
    try:  # shape inference does not find every mistake
        onnx_runtime(serialize(result))(np.zeros(shape.usual, np.float32))
    except ModelError as error:
        raise InputError(f"the model does not work with an input of {shape}: {error}") from error
    return result


def _add_channel_axis(model: Any, opset: int) -> None:
    """Makes an output (N, H, W) one of (N, 1, H, W), as plans and the sidecar have it."""
    import onnx
    from onnx import helper

    output = model.graph.output[0]
    node = helper.make_node("Unsqueeze", [output.name], [f"{output.name}.with_channels"], name="add_channel_axis")
    if opset < 13:
        node.attribute.append(helper.make_attribute("axes", [1]))
    else:
        axes = onnx.numpy_helper.from_array(np.array([1], np.int64), "add_channel_axis.axes")
        model.graph.initializer.append(axes)
        node.input.append(axes.name)
    model.graph.node.append(node)
    output.name = node.output[0]
    output.type.tensor_type.shape.dim.insert(1, onnx.TensorShapeProto.Dimension(dim_value=1))


def at_shape(model: Any, shape: tuple[int, int, int, int]) -> Any:
    """A copy of a graph with another input shape (N, 3, H, W) and only the first output."""
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.output[1:], result.graph.value_info[:]
    image = image_input(result).name
    for weight in [value for value in result.graph.input if value.name != image]:  # old exporters list weights, too
        result.graph.input.remove(weight)
    for side, length in zip(image_input(result).type.tensor_type.shape.dim, shape, strict=True):
        side.dim_value = length
    result.graph.output[0].type.tensor_type.ClearField("shape")
    return result


def node_counts(model: Any) -> dict[str, int]:
    """The number of nodes of each operator, the most frequent first."""
    counts = Counter(node.op_type for node in model.graph.node)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _scope(node: Any, names: dict[str, str]) -> str:
    """Where a node comes from: the name of its weights, else the module that torch recorded, else its own name."""
    if len(node.input) > 1 and names.get(node.input[1], "").endswith(".weight"):
        return names[node.input[1]].removesuffix(".weight")
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            modules = [part.strip(" '\"[]") for part in entry.value.split(",")][:-1]
            module = modules[-1].removeprefix("model").removeprefix(".") if modules else ""
            kind = node.op_type.lower()
            parent, _, last = module.rpartition(".")
            return f"{parent if last.startswith(kind) else module}.{kind}".lstrip(".")  # relu_s1.relu is relu
    return str(node.name or node.op_type.lower())


def _unique(name: str, used: set[str]) -> str:
    """The name, with a number if it is taken."""
    candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    free = next(candidate for candidate in candidates if candidate not in used)
    used.add(free)
    return free
