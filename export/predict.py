# SPDX-License-Identifier: Apache-2.0
"""Networks as plain functions of arrays, to compare any two of them: ONNX Runtime, PyTorch, or a plan on the GPU."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, NetworkError, UnavailableError
from ..install import install_command
from ..runtimes.devices import Gpu
from ..runtimes.tensorrt import TensorRt
from ..runtimes.tensorrt_plan import ContextMaker, deserialize, io_tensors

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Predict = Callable[[Floats], Floats]
"""(N, 3, H, W), normalised -> (N, 1, h, w), probabilities."""


def onnx_runtime(model: bytes, threads: int = 2) -> Predict:
    """The first output of an fp32 ONNX model under ONNX Runtime on the CPU.

    Args:
        model: The file's bytes.
        threads: Threads per layer.

    Raises:
        UnavailableError: ONNX Runtime is not installed.
        ModelError: ONNX Runtime refuses the model. The function raises it when it refuses the input.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError(f"verifying needs onnxruntime ({error}): {install_command('export')}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, which have no common base
        raise ModelError(f"ONNX Runtime refuses the model: {_first_line(error)}") from error
    input_name, output_name = session.get_inputs()[0].name, session.get_outputs()[0].name

    def predict(x: Floats) -> Floats:
        try:
            result: Floats = session.run([output_name], {input_name: x})[0]
        except Exception as error:
            raise ModelError(f"ONNX Runtime could not run the model on {x.shape}: {_first_line(error)}") from error
        return result[:, None] if result.ndim == 3 else result

    return predict


def torch_predict(model: torch.nn.Module) -> Predict:
    """The sigmoid of the first map of a module of `rmbg_trt.training.models`.

    Args:
        model: A module on the CPU; it is put into evaluation mode.
    """
    import torch

    model.eval()

    def predict(x: Floats) -> Floats:
        with torch.inference_mode():
            result: Floats = model(torch.from_numpy(x))[0].sigmoid().numpy()
        return result

    return predict


def why_no_gpu(gpu: Gpu | None) -> str | None:
    """Why a plan cannot be run on this GPU (None: there is no GPU), or None if it can."""
    import torch

    if gpu is None:
        return "there is no usable GPU here"
    if torch.version.cuda is None:
        return "this PyTorch has no CUDA"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return None if gpu.index < count else f"PyTorch sees {count} GPUs, and not cuda:{gpu.index}, {gpu.name}"


def plan_predict(runtime: TensorRt, plan: bytes, gpu: Gpu) -> Predict:
    """A plan on the GPU, for verification only: PyTorch's memory and stream, one frame at a time, no CUDA graph.

    Args:
        runtime: The runtime that the plan was built for.
        plan: A plan with one input (N, 3, H, W) and one output (N, 1, h, w), float32 or float16.
        gpu: The GPU to run it on. The calling thread keeps its current GPU.

    Raises:
        UnavailableError: The GPU cannot be used, or has too little memory.
        ModelError: The plan does not load. The function raises it, or NetworkError, when the plan refuses the input.
    """
    import torch

    device = torch.device("cuda", gpu.index)
    with torch.cuda.device(device):
        engine = deserialize(runtime, plan)
        tensors = io_tensors(runtime, engine)
        source = next(tensor for tensor in tensors if tensor.is_input)
        target = next(tensor for tensor in tensors if not tensor.is_input)
        contexts = ContextMaker(runtime, engine, plan, gpu.name, dynamic=-1 in source.shape)
        context = contexts.make()
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def predict(x: Floats) -> Floats:
        with torch.cuda.device(device), torch.cuda.stream(stream):
            on_gpu = torch.from_numpy(x).to(device, getattr(torch, source.dtype)).contiguous()
            if not context.set_input_shape(source.name, tuple(x.shape)):
                raise ModelError(f"the plan refuses an input of {x.shape}: {contexts.said()}")
            shape = tuple(context.get_tensor_shape(target.name))
            result = torch.empty(shape, dtype=getattr(torch, target.dtype), device=device)
            memory = {source.name: on_gpu.data_ptr(), target.name: result.data_ptr()}
            bound = all(context.set_tensor_address(name, address) for name, address in memory.items())
            if not (bound and context.execute_async_v3(stream.cuda_stream)):
                raise NetworkError(f"the plan refused to run on an input of {x.shape}: {contexts.said()}")
            host: Floats = result.float().cpu().numpy()
            return host

    return predict


def remembered(predict: Predict) -> Predict:
    """The same network with its results cached: one reference serves several comparisons."""
    known: dict[bytes, Floats] = {}

    def run(x: Floats) -> Floats:
        key = hashlib.sha256(repr(x.shape).encode() + x.tobytes()).digest()
        if key not in known:
            known[key] = predict(x)
        return known[key]

    return run


def in_batches(predict: Predict, batch: int) -> Predict:
    """A network of a fixed batch as one that takes any number of images.

    The last batch is filled up with other images (mirrored, at twice the contrast, and their negatives), so that the
    comparison notices a network that mixes the images of a batch.
    """

    def run(x: Floats) -> Floats:
        parts = []
        for start in range(0, len(x), batch):
            part = x[start : start + batch]
            others = [part[:1, :, :, ::-1] * np.float32((2, -2)[n % 2]) for n in range(batch - len(part))]
            parts.append(predict(np.concatenate([part, *others]))[: len(part)])
        return np.concatenate(parts)

    return run


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
