# SPDX-License-Identifier: Apache-2.0
"""Networks as plain functions of arrays, so that any two can be compared: under ONNX Runtime, and in PyTorch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, UnavailableError

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Predict = Callable[[Floats], Floats]
"""(N, 3, H, W), normalised -> (N, 1, h, w), probabilities."""


def onnx_runtime(model: bytes, threads: int = 2) -> Predict:
    """The first output of an fp32 ONNX model under ONNX Runtime on the CPU.

    Args:
        model: The file's bytes.
        threads: How many threads a layer uses.

    Raises:
        UnavailableError: ONNX Runtime is not installed.
        ModelError: It refuses the model; the function raises it when it refuses the input.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError(f'verifying needs onnxruntime ({error}): pip install "rmbg-trt[export]"') from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, which have no common base
        raise ModelError(f"ONNX Runtime refuses the model: {_first_line(error)}") from error
    given, made = session.get_inputs()[0].name, session.get_outputs()[0].name

    def predict(x: Floats) -> Floats:
        try:
            result: Floats = session.run([made], {given: x})[0]
        except Exception as error:
            raise ModelError(f"ONNX Runtime could not run the model on {x.shape}: {_first_line(error)}") from error
        return result

    return predict


def torch_predict(model: torch.nn.Module) -> Predict:
    """A module of `rmbg_trt.training.models`, which gives a tuple of logits: the sigmoid of the first.

    Args:
        model: On the CPU; it is put into evaluation mode.
    """
    import torch

    model.eval()

    def predict(x: Floats) -> Floats:
        with torch.inference_mode():
            result: Floats = model(torch.from_numpy(x))[0].sigmoid().numpy()
        return result

    return predict


def remembered(predict: Predict) -> Predict:
    """The same network, which answers a second time at once: one reference serves several comparisons."""
    known: dict[bytes, Floats] = {}

    def run(x: Floats) -> Floats:
        key = hashlib.sha256(repr(x.shape).encode() + x.tobytes()).digest()
        if key not in known:
            known[key] = predict(x)
        return known[key]

    return run


def in_batches(predict: Predict, batch: int) -> Predict:
    """A network that takes only whole batches, as one that takes any number.

    The last batch is filled up with other pictures (mirrored ones of twice the contrast, and their negatives), so that
    a network which mixes the pictures of a batch is found out.
    """

    def run(x: Floats) -> Floats:
        parts = []
        for start in range(0, len(x), batch):
            part = x[start : start + batch]
            others = [part[:1, :, :, ::-1] * np.float32((2, -2)[n % 2]) for n in range(batch - len(part))]
            filled = np.concatenate([part, *others])
            parts.append(predict(filled)[: len(part)])
        return np.concatenate(parts)

    return run


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
