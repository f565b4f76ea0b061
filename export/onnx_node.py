# SPDX-License-Identifier: Apache-2.0
"""What an operator of `onnx_in_torch` is: a function of a node and PyTorch tensors, and the table of them all.

Meaning and defaults follow the ONNX operator specification, opset 11 and later. Every operator lists its attributes
with the values that it understands, so that a graph with any others is refused before it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor

from ..errors import ModelError

DTYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.INT64: torch.int64,
    TensorProto.INT32: torch.int32,
    TensorProto.UINT8: torch.uint8,
    TensorProto.BOOL: torch.bool,
}
ANY = None


class UnsupportedOperatorError(ModelError):
    """The graph has an operator, an attribute or a dtype that cannot be run in PyTorch."""


@dataclass(frozen=True)
class Node:
    """One node; names of inputs that are left out are empty."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]
    opset: int

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(attribute, default)

    def refuse(self, what: str) -> UnsupportedOperatorError:
        """The error that this node cannot be run."""
        return UnsupportedOperatorError(f"node {self.name!r} ({self.kind}) has {what}, which PyTorch cannot run here")


Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Operator:
    """``run(node, *inputs)`` gives the output; ``attributes`` has the values allowed, ANY for all."""

    run: Function
    attributes: dict[str, Any]


OPERATORS: dict[str, Operator] = {}


def operator(*kinds: str, **attributes: Any) -> Callable[[Function], Function]:
    """Enters a function into the table, with the values that it understands of each attribute."""

    def enter(function: Function) -> Function:
        OPERATORS.update(dict.fromkeys(kinds, Operator(function, attributes)))
        return function

    return enter


def wide(x: Tensor) -> Tensor:
    """What products are summed in: float32 for half."""
    return x.float() if x.dtype == torch.float16 else x
