# SPDX-License-Identifier: Apache-2.0
"""Checks on photographs that a network of unknown origin fits our recipe: it gives probabilities, and finds subjects.

Networks from elsewhere may give logits, or expect pixels in 0..255. Neither makes a runtime fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..recipe import MEAN, STD, describe
from ..runtimes.onnx_checks import check_weights
from ..runtimes.onnx_file import read_onnx_file
from .images import NamedImage, input_tensor, load_images
from .predict import Floats, Predict

TOLERANCE = 0.1
"""How far probabilities may leave 0..1: some networks without a final sigmoid do a little."""

_CHANNELS = (1, 3, 1, 1)


def check_model(path: Path, predict: Predict, size: tuple[int, int]) -> str:
    """Checks the weights of an ONNX or OpenVINO file, and its network on the photographs of the package.

    Args:
        path: The file.
        predict: Its network.
        size: (height, width) of the network's input.

    Returns:
        Why its mattes are probably wrong, or an empty string.

    Raises:
        ModelError: Weights or outputs are NaN or Inf, or outputs are no probabilities.
    """
    if path.suffix.lower() == ".onnx":
        check_weights(path, read_onnx_file(path))
    return check_probabilities(path, predict, load_images(None), size)


def check_probabilities(name: object, predict: Predict, images: Sequence[NamedImage], size: tuple[int, int]) -> str:
    """Runs a network on photographs.

    Args:
        name: Of the network, for messages.
        predict: The network.
        images: At least one photograph with a subject.
        size: (height, width) of the network's input.

    Returns:
        Why its mattes are probably wrong, or an empty string.

    Raises:
        ModelError: The outputs are not finite, or no probabilities.
    """
    inputs = [input_tensor([image], *size) for image in images]
    outputs = [np.asarray(predict(x), np.float32) for x in inputs]
    for image, output in zip(images, outputs, strict=True):
        if not np.isfinite(output).all():
            raise ModelError(f"{name}: gives NaN or Inf on the photograph {image.name}; {_fed(size)}")
    low, high = min(float(output.min()) for output in outputs), max(float(output.max()) for output in outputs)
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        what = "values up to 255" if low >= -TOLERANCE and 128 < high <= 256 else "logits"
        cure = "divide them by 255" if what != "logits" else "end the network with a sigmoid"
        raise ModelError(
            f"{name}: its output is {low:.4g} to {high:.4g}: {what}, not probabilities (0 to 1); {cure} before the "
            f"export to ONNX. {_fed(size)}"
        )
    empty = sum(map(_is_empty, outputs))
    if 2 * empty < len(images) or not empty:
        return ""
    if empty == len(images) and all(np.ptp(output) < 1e-3 for output in outputs):
        return f"{name}: its output is the same everywhere ({low:.4g} to {high:.4g}); {_fed(size)}"
    mean, std = (np.array(values, np.float32).reshape(_CHANNELS) for values in (MEAN, STD))
    as_bytes = [np.asarray(predict((x * std + mean) * np.float32(255)), np.float32) for x in inputs]
    hint = ""
    if sum(map(_is_empty, as_bytes)) < empty:
        hint = (
            "With pixels in 0..255 it does find one, so it probably expects these: scale its input inside the ONNX "
            "model. "
        )
    return f"{name}: finds no subject in {empty} of {len(images)} photographs of one. {hint}{_fed(size)}"


def _is_empty(output: Floats) -> bool:
    return float(output.max()) < 0.5 or not np.isfinite(output).all()


def _fed(size: tuple[int, int]) -> str:
    return f"It was given {describe(size)}"
