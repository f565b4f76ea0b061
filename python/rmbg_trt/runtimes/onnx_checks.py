# SPDX-License-Identifier: Apache-2.0
"""Checks of foreign ONNX models: weights in files that are missing, weights that are NaN, which output is the matte."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError

log = logging.getLogger("rmbg_trt")

# How an output is computed, by ONNX's and OpenVINO's names of operators.
PASSING = frozenset(
    ("Cast", "Convert", "Identity", "Interpolate", "Reshape", "Resize", "Slice", "Squeeze", "Transpose", "Unsqueeze")
)
_PROBABILITIES = frozenset(("Clamp", "Clip", "HardSigmoid", "Sigmoid", "SoftMax", "Softmax"))
_LOGITS = frozenset(
    ("Add", "BatchNormalization", "Conv", "ConvTranspose", "Convolution", "ConvolutionBackpropData", "MatMul")
)


def matte_index(kinds: Sequence[str]) -> int:
    """Which output of a network is its matte: the first, unless that gives logits and a later one probabilities.

    Args:
        kinds: For each output, the operator that computes it, those in ``PASSING`` skipped.
    """
    if kinds and kinds[0] in _LOGITS:
        return next((index for index, kind in enumerate(kinds) if kind in _PROBABILITIES), 0)
    return 0


def put_matte_first(path: Path, model: Any) -> None:
    """Moves the output of an ``onnx.ModelProto`` that is the matte to the front; see ``matte_index``."""
    if len(model.graph.output) < 2:
        return
    producers = {name: node for node in model.graph.node for name in node.output}

    def kind(name: str) -> str:
        for _ in producers:  # a damaged graph may have a cycle
            node = producers.get(name)
            if node is None or node.op_type not in PASSING or not node.input:
                break
            name = node.input[0]
        return producers[name].op_type if name in producers else ""

    index = matte_index([kind(value.name) for value in model.graph.output])
    if index:
        outputs = list(model.graph.output)
        first = outputs[0].name
        outputs.insert(0, outputs.pop(index))
        log.info("%s: the output %r is used; %r, the first, gives logits", path.name, outputs[0].name, first)
        del model.graph.output[:]
        model.graph.output.extend(outputs)


def check_external_files(path: Path, folder: Path, model: Any) -> None:
    """Raises ModelError if a file with weights is missing."""
    from onnx import TensorProto

    names = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location" and ".." not in Path(entry.value).parts
    }
    missing = sorted(name for name in names if not os.path.lexists(folder / name))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{path}: not a readable ONNX model: its weights are in another file, {missing[0]!r}{more}, which is not "
            f"in {folder}; copy it there, under this name"
        )


def check_weights(name: object, model: Any) -> None:
    """Raises ModelError if weights of an ``onnx.ModelProto`` are NaN or Inf: layers hide them, but mattes are wrong."""
    from onnx import numpy_helper

    bad = [tensor.name for tensor in model.graph.initializer if not _finite(numpy_helper.to_array(tensor))]
    if bad:
        raise ModelError(broken_weights(name, bad))


def broken_weights(name: object, bad: Sequence[str]) -> str:
    """The message for weights with NaN or Inf."""
    return (
        f"{name}: {len(bad)} of its weights hold NaN or Inf, {bad[0]!r} first; the training that made it had diverged. "
        "Take an earlier checkpoint"
    )


def _finite(values: Any) -> bool:
    return not np.issubdtype(values.dtype, np.floating) or bool(np.isfinite(values).all())
