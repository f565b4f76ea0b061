# SPDX-License-Identifier: Apache-2.0
"""The recipe that everybody copies: TensorRT's Python API, PyCUDA's copies, NumPy and Pillow before and after.

Written from TensorRT's documentation for 10 and 11 and never run, for want of a GPU. Half precision where the version
still has the flag (it went with TensorRT 11), else TensorRT's default with TF32; `facts` says which.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycuda.autoinit  # noqa: F401  makes the context
import pycuda.driver as cuda
import tensorrt as trt
from peer_onnxruntime import mask_of, normalised
from PIL import Image

LOGGER = trt.Logger(trt.Logger.WARNING)


def build(onnx: Path) -> tuple[Any, str]:
    """An engine of an ONNX file, and its precision."""
    builder = trt.Builder(LOGGER)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, LOGGER)
    if not parser.parse_from_file(str(onnx)):
        raise RuntimeError("; ".join(str(parser.get_error(index)) for index in range(parser.num_errors)))
    config = builder.create_builder_config()
    half = hasattr(trt.BuilderFlag, "FP16")
    if half:
        config.set_flag(trt.BuilderFlag.FP16)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError("TensorRT could not build an engine; its messages are above")
    return trt.Runtime(LOGGER).deserialize_cuda_engine(plan), "fp16" if half else "fp32, TF32 allowed"


class Peer:
    def __init__(self, model: str, weights: str) -> None:
        self._engine, self._precision = build(Path(weights, f"{model}.onnx"))
        self._context = self._engine.create_execution_context()
        self._stream = cuda.Stream()
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        self._host, self._device = {}, {}
        for name in names:
            shape = tuple(self._engine.get_tensor_shape(name))
            self._host[name] = cuda.pagelocked_empty(shape, trt.nptype(self._engine.get_tensor_dtype(name)))
            self._device[name] = cuda.mem_alloc(self._host[name].nbytes)
            self._context.set_tensor_address(name, int(self._device[name]))
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self._input, self._output = inputs[0], next(name for name in names if name not in inputs)

    def facts(self) -> dict[str, Any]:
        from importlib.metadata import version

        versions = {"tensorrt": trt.__version__, "pycuda": version("pycuda"), "numpy": np.__version__}
        return {**versions, "device": cuda.Context.get_device().name(), "precision": self._precision}

    def prepare(self, path: str) -> Image.Image:
        return Image.open(path).convert("RGB")

    def run(self, image: Image.Image) -> Image.Image:
        np.copyto(self._host[self._input], normalised(image))
        cuda.memcpy_htod_async(self._device[self._input], self._host[self._input], self._stream)
        self._context.execute_async_v3(self._stream.handle)
        cuda.memcpy_dtoh_async(self._host[self._output], self._device[self._output], self._stream)
        self._stream.synchronize()
        return mask_of(self._host[self._output][0, 0], image.size)

    def to_pil(self, mask: Image.Image) -> Image.Image:
        return mask
