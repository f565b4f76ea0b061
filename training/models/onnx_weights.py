# SPDX-License-Identifier: Apache-2.0
"""Imports the weights of an ONNX file of U²-Net (or U-Net) into our modules, exactly.

Exporters rename weights and fold batch normalisation into the convolutions, but keep the order of the convolutions.
So the n-th convolution of the graph is the n-th that our module runs; shapes and dilations must agree for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...errors import ModelError
from ...runtimes.onnx_file import read_onnx_file
from .registry import ARCHITECTURES, build

Floats = NDArray[np.float32]
# The operators that exporters use for our networks: the arithmetic, and the calculation of sizes.
_ARITHMETIC = {"Conv", "BatchNormalization", "Relu", "MaxPool", "Resize", "Upsample", "Concat", "Add", "Sigmoid"}
_SIZES = {"Cast", "Constant", "Div", "Floor", "Gather", "Identity", "Mul", "Reshape", "Shape", "Slice", "Squeeze"}
_OPERATORS = _ARITHMETIC | _SIZES | {"Unsqueeze"}


def read_any_onnx(path: Path) -> Any:
    """Reads any valid ONNX file as ``onnx.ModelProto``. Raises ModelError when it is damaged."""
    import onnx

    graph = read_onnx_file(path)
    try:
        onnx.checker.check_model(graph)
    except Exception as error:  # onnx raises several types
        lines = str(error).splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: not a readable ONNX model ({lines[0][:200]})") from error
    return graph


@dataclass(frozen=True)
class Convolution:
    """One convolution of an ONNX graph."""

    weight: Floats  # (out, in, kh, kw)
    bias: Floats  # (out,), zeros if it has none
    dilation: int  # of rows
    norm: Floats | None  # (4, out): scale, bias, mean and variance of the batch normalisation that follows, or None
    epsilon: float  # of that normalisation


def import_onnx(model: Any) -> tuple[nn.Module, str]:
    """Builds the module that an ONNX model was exported from, with its weights.

    Folded batch normalisations become the identity, so the module computes what the graph does and can be fine-tuned.

    Args:
        model: ``onnx.ModelProto``; any number of outputs, any input size.

    Returns:
        The module in evaluation mode, and the name of its architecture.

    Raises:
        ModelError: None of our architectures has these convolutions; the message says how they differ.
    """
    unknown = sorted({node.op_type for node in model.graph.node} - _OPERATORS)
    if unknown:
        raise ModelError(f"the ONNX graph is none of our architectures (it has {', '.join(unknown)})")
    found = convolutions(model)
    reasons = []
    for architecture in ARCHITECTURES:
        module = build(architecture).eval()
        layers = _in_order(module)
        difference = _difference(found, [conv for conv, _ in layers])
        if difference is None:
            with torch.no_grad():
                for convolution, (conv, norm) in zip(found, layers, strict=True):
                    _assign(convolution, conv, norm)
            return module, architecture
        reasons.append(f"not {architecture}: {difference}")
    raise ModelError(f"the ONNX graph is none of our architectures ({'; '.join(reasons)})")


def convolutions(model: Any) -> list[Convolution]:
    """The convolutions with constant weights, in the order of the graph."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants.update((node.output[0], a.t) for a in node.attribute if a.name == "value")

    def array(name: str) -> Floats:
        values = numpy_helper.to_array(constants[name])
        if values.dtype != np.float32:
            raise ModelError(f"the ONNX graph is none of our architectures (its weights are {values.dtype})")
        return np.array(values, dtype=np.float32)

    norms = {node.input[0]: node for node in model.graph.node if node.op_type == "BatchNormalization"}
    found = []
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in constants:
            continue
        attributes = {a.name: a for a in node.attribute}
        weight = array(node.input[1])
        has_bias = len(node.input) > 2 and node.input[2] in constants
        bias = array(node.input[2]) if has_bias else np.zeros(len(weight), np.float32)
        dilation = attributes["dilations"].ints[0] if "dilations" in attributes else 1
        norm = norms.get(node.output[0])
        known = norm is not None and all(name in constants for name in norm.input[1:5])
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5) if norm is not None else 0.0
        scale = np.stack([array(name) for name in norm.input[1:5]]) if norm is not None and known else None
        found.append(Convolution(weight, bias, dilation, scale, epsilon))
    return found


def _difference(found: list[Convolution], expected: list[nn.Conv2d]) -> str | None:
    """How the convolutions differ from the expected ones, or None."""
    if len(found) != len(expected):
        return f"{len(found)} convolutions, expected {len(expected)}"
    for index, (got, conv) in enumerate(zip(found, expected, strict=True), 1):
        if got.weight.shape != conv.weight.shape:
            return f"convolution {index} has weights {got.weight.shape}, expected {tuple(conv.weight.shape)}"
        if got.dilation != conv.dilation[0]:
            return f"convolution {index} has dilation {got.dilation}, expected {conv.dilation[0]}"
    return None


def _in_order(module: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """The convolutions in the order in which a forward pass runs them, with the normalisation after each."""
    order: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []

    def record(layer: nn.Module, *_: Any) -> None:
        if isinstance(layer, nn.Conv2d):
            order.append((layer, None))
        elif isinstance(layer, nn.BatchNorm2d):
            order[-1] = (order[-1][0], layer)

    hooks = [layer.register_forward_hook(record) for layer in module.modules()]
    with torch.no_grad():
        module(torch.zeros(1, 3, 8, 8))
    for hook in hooks:
        hook.remove()
    return order


def _assign(source: Convolution, conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> None:
    conv.weight.copy_(torch.from_numpy(source.weight))
    if norm is None:
        assert conv.bias is not None
        conv.bias.copy_(torch.from_numpy(source.bias))
        return
    if source.norm is None:  # folded: this normalisation adds the bias and scales by exactly one
        one = torch.ones_like(norm.weight)
        values = [one, torch.from_numpy(source.bias), torch.zeros_like(one), one - norm.eps]
        if conv.bias is not None:
            conv.bias.copy_(values[1])
            values[1] = torch.zeros_like(one)
    else:
        values = list(torch.from_numpy(source.norm))
        values[3] = values[3] + (source.epsilon - norm.eps)
        if conv.bias is not None:
            conv.bias.copy_(torch.from_numpy(source.bias))
    for target, value in zip((norm.weight, norm.bias, norm.running_mean, norm.running_var), values, strict=True):
        assert target is not None
        target.copy_(value)
