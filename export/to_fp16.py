# SPDX-License-Identifier: Apache-2.0
"""From an fp32 ONNX graph to one that computes in half precision, as TensorRT 11 wants it (it has no FP16 flag)."""

from __future__ import annotations

import warnings
from typing import Any

LARGEST_HALF = 65504.0
_SMALLEST_HALF = 2.0**-24
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Resize")


def to_fp16(model: Any) -> Any:
    """Converts weights and arithmetic to half precision.

    Input and output stay float32, and so does what follows the last convolution: the sigmoid, which near 1 would
    lose half of its 8-bit steps' accuracy, and a stretch that a graph may hold.

    Args:
        model: ``onnx.ModelProto`` in fp32; it is not changed.

    Returns:
        The converted model, with two casts and no others for U²-Net. Inner values have no recorded shapes.

    Source:
        The conversion is ONNX Runtime's, ``onnxruntime.transformers.float16``.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    body = onnx.ModelProto()
    body.CopyFrom(model)
    after = set(tail(model.graph))
    nodes = [node for node in model.graph.node if node.name in after]
    weights = _cut(body.graph, nodes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights below the smallest half, which become that
        converted = convert_float_to_float16(
            body, keep_io_types=True, min_positive_val=_SMALLEST_HALF, max_finite_val=LARGEST_HALF
        )
    graph = converted.graph
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    del graph.output[:], graph.value_info[:]
    graph.output.extend(model.graph.output)
    sort_nodes(graph)
    onnx.checker.check_model(converted, full_check=True)
    return converted


def _cut(graph: Any, tail_nodes: list[Any]) -> list[Any]:
    """Takes the tail off a graph, whose outputs become the values that the tail reads.

    Returns:
        The constants that only the tail needs.
    """
    from onnx import TensorProto, helper

    made = {name for node in tail_nodes for name in node.output}
    wanted = {name for node in tail_nodes for name in node.input} | {each.name for each in graph.output}
    body = [node for node in graph.node if node.output[0] not in made]
    values = [name for node in body for name in node.output if name in wanted]
    inputs = {name for node in body for name in node.input}
    constants = list(graph.initializer)
    del graph.node[:], graph.output[:], graph.initializer[:]
    graph.node.extend(body)
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in values)
    graph.initializer.extend(each for each in constants if each.name in inputs)
    return [each for each in constants if each.name not in inputs]


def tail(graph: Any) -> list[str]:
    """Names of the nodes after which no weights and no resizing follow, such as the last sigmoid."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found: set[str] = set()
    for node in reversed(graph.node):
        following = [reader for name in node.output for reader in readers.get(name, [])]
        if node.op_type not in (*_WEIGHTED, "Concat") and all(reader.name in found for reader in following):
            found.add(node.name)
    return [node.name for node in graph.node if node.name in found]


def sort_nodes(graph: Any) -> None:
    """Puts each node after those it reads, as ONNX demands, and else changes the order of none."""
    known = {"", *(each.name for each in (*graph.input, *graph.initializer))}
    waiting, ordered = list(graph.node), []
    while waiting:
        ready = next(node for node in waiting if known.issuperset(node.input))
        waiting.remove(ready)
        ordered.append(ready)
        known.update(ready.output)
    del graph.node[:]
    graph.node.extend(ordered)
