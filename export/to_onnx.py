# SPDX-License-Identifier: Apache-2.0
"""Exports a PyTorch module as a clean ONNX graph: fused map only, folded BatchNorm, readable node names."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..training.models import fold_batch_norm
from .graph import INPUT, OUTPUT, open_axes, tidy
from .options import InputShape


class Matte(nn.Module):
    """The probability of the subject: the sigmoid of a model's first map, (N, 3, H, W) -> (N, 1, H, W)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = fold_batch_norm(model)
        setattr(self.model, "outputs", 1)  # noqa: B010  # layers that feed only the other maps are skipped
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """The probability, 0..1."""
        return torch.sigmoid(self.model(x)[0])


def to_onnx(model: nn.Module, shape: InputShape) -> Any:
    """Exports a model of ``rmbg_trt.training.models``.

    Args:
        model: The model with its weights; it is not changed.
        shape: Lengths that are ranges become open axes ("batch", "height", "width"); the others are static.

    Returns:
        ``onnx.ModelProto``, fp32, with the input "input" (N, 3, H, W) and the output "matte" (N, 1, H, W). The same
        model and shape give the same bytes.
    """
    with _quiet():
        program = torch.onnx.export(
            Matte(model),
            (torch.zeros(shape.usual),),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    assert program is not None
    graph = tidy(program.model_proto)
    return graph if shape.fixed else open_axes(graph, shape)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's warnings about optional packages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
