# SPDX-License-Identifier: Apache-2.0
"""Runs an ONNX graph node by node in PyTorch, with every value in the dtype that the graph declares.

So a half-precision graph is checked with real half-precision values on any processor. (ONNX Runtime's CPU provider
computes such graphs in float32 throughout, and PyTorch's own half convolution is up to 150 times slower than float.)
Operators that sum (convolution, matrix products, averages, interpolation, normalisation, softmax) read half values,
multiply and add in float32 and round the result to half, as tensor cores do. All others compute in half.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor

from ..errors import ModelError
from ..runtimes.onnx_file import DOMAINS, inputs_of, needed_nodes, opset_of
from . import onnx_spatial  # noqa: F401 - registers its operators
from .onnx_operators import ANY, DTYPES, OPERATORS, Node, UnsupportedOperatorError

Observe = Callable[[Node, list[Tensor | None], Tensor], None]
MIN_OPSET = 11  # before it, Resize and Clip have other inputs


class OnnxInTorch:
    """An ONNX model as a function of PyTorch tensors on the CPU.

    Args:
        model: A model with one input that is not a weight. Only the first output, and the nodes it depends on, are
            computed.

    Raises:
        UnsupportedOperatorError: A needed node has an operator, attribute or dtype that is not supported.
        ModelError: The graph does not have exactly one input, or reads a value that no node produces.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        opset = opset_of(model)
        if opset < MIN_OPSET:
            raise UnsupportedOperatorError(f"the model is of opset {opset}; expected {MIN_OPSET} or later")
        weights = {weight.name: weight for weight in graph.initializer}
        inputs = inputs_of(model)
        if len(inputs) != 1 or not graph.output:
            names = ", ".join(value.name for value in inputs) or "none"
            raise ModelError(f"the model has {len(graph.output)} outputs and these inputs: {names}; expected one input")
        self._input, self._output = inputs[0].name, graph.output[0].name
        self._dtype = _dtype(inputs[0].type.tensor_type.elem_type, self._input)
        self._nodes = [_node(proto, opset) for proto in needed_nodes(graph)]
        # The last node that reads each value.
        self._last = {name: index for index, node in enumerate(self._nodes) for name in node.inputs}
        self._weights = {name: _tensor(w) for name, w in weights.items() if name in {*self._last, self._output}}
        available = {"", self._input, *self._weights}
        for node in self._nodes:
            if not available.issuperset(node.inputs):
                raise ModelError(f"node {node.name!r} ({node.kind}) reads a value that no node produces")
            available.add(node.output)
        if self._output not in available:
            raise ModelError(f"no node produces the output {self._output!r}")

    def __call__(self, x: Tensor, observe: Observe | None = None) -> Tensor:
        """Computes the first output. Inner values are freed after their last use.

        Args:
            x: The input, such as (N, 3, H, W); it is converted to the dtype of the model's input.
            observe: Called with each node that has a floating-point output, its inputs and that output.

        Raises:
            UnsupportedOperatorError: A node has inputs that are not supported.
            ModelError: A node does not work with its inputs, for example because of the input's size.
        """
        values = {**self._weights, self._input: x.to(self._dtype)}
        with torch.inference_mode():
            for index, node in enumerate(self._nodes):
                inputs = [values[name] if name else None for name in node.inputs]
                values[node.output] = result = _run(node, inputs)
                if observe is not None and result.is_floating_point():
                    observe(node, inputs, result)
                for name in node.inputs:
                    if self._last[name] == index and name != self._output:
                        values.pop(name, None)
        return values[self._output]


def _run(node: Node, inputs: list[Tensor | None]) -> Tensor:
    try:
        return OPERATORS[node.kind].run(node, *inputs)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs if x is not None)
        reason = str(error).partition("\n")[0]
        raise ModelError(f"node {node.name!r} ({node.kind}) does not work with inputs {shapes}: {reason}") from error


def _node(proto: onnx.NodeProto, opset: int) -> Node:
    """Reads a node and checks that it is supported."""
    operator = OPERATORS.get(proto.op_type) if proto.domain in DOMAINS else None
    name = proto.name or proto.output[0]
    if operator is None:
        raise UnsupportedOperatorError(
            f"node {name!r} is a {proto.op_type} of the domain {proto.domain or 'ai.onnx'}, which PyTorch cannot run "
            f"here; expected one of {', '.join(sorted(OPERATORS))}"
        )
    attributes = {attribute.name: _attribute(attribute) for attribute in proto.attribute}
    node = Node(name, proto.op_type, tuple(proto.input), proto.output[0], attributes, opset)
    for key, value in attributes.items():
        allowed = operator.attributes.get(key, ())
        if allowed is not ANY and value not in allowed:
            raise node.refuse(f"{key}={value!r}")
    if any(proto.output[1:]):
        raise node.refuse(f"{len(proto.output)} outputs")
    return node


def _attribute(proto: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(proto)
    if isinstance(value, onnx.TensorProto):
        return _tensor(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _tensor(proto: onnx.TensorProto) -> Tensor:
    _dtype(proto.data_type, proto.name)
    return torch.from_numpy(np.array(numpy_helper.to_array(proto)))  # a writable copy


def _dtype(elem_type: int, name: str) -> torch.dtype:
    if elem_type not in DTYPES:
        kind = onnx.TensorProto.DataType.Name(elem_type)
        raise UnsupportedOperatorError(f"the tensor {name!r} is of type {kind}, which PyTorch cannot run here")
    return DTYPES[elem_type]
