# SPDX-License-Identifier: Apache-2.0
"""Runs a plan on the GPU, for its verification only: memory and stream are PyTorch's, frame by frame, no graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, NetworkError
from ..runtimes.gpu import Gpu
from ..runtimes.tensorrt import TensorRt
from ..runtimes.tensorrt_context import ContextMaker
from ..runtimes.tensorrt_plan import deserialize, io_tensors
from .verify import Predict


def no_gpu(gpu: Gpu | None) -> str | None:
    """Why plans cannot be run on a GPU, None for that there is none; or None."""
    import torch

    if gpu is None:
        return "there is no usable GPU here"
    if torch.version.cuda is None:
        return "this PyTorch has no CUDA"
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return None if gpu.index < seen else f"PyTorch sees {seen} GPUs, and not cuda:{gpu.index}, {gpu.name}"


def plan_predict(runtime: TensorRt, plan: bytes, gpu: Gpu) -> Predict:
    """A function that runs a plan.

    Args:
        runtime: Which the plan is for.
        plan: With one input (N, 3, H, W) and one output (N, 1, h, w), float32 or float16.
        gpu: Which runs it; the calling threads keep their own.

    Returns:
        (N, 3, H, W) float32 -> (N, 1, h, w) float32, both NumPy.

    Raises:
        UnavailableError: The GPU cannot be used, or has too little memory.
        ModelError: The plan does not load. The function raises it, or NetworkError, when the plan refuses the input.
    """
    import torch

    device = torch.device("cuda", gpu.index)
    with torch.cuda.device(device):
        engine = deserialize(runtime, plan)
        tensors = io_tensors(runtime, engine)
        source = next(each for each in tensors if each.is_input)
        target = next(each for each in tensors if not each.is_input)
        contexts = ContextMaker(runtime, engine, plan, gpu.name, dynamic=-1 in source.shape)
        context = contexts.make()
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def predict(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.cuda.device(device), torch.cuda.stream(stream):
            given = torch.from_numpy(x).to(device, getattr(torch, source.dtype)).contiguous()
            if not context.set_input_shape(source.name, tuple(x.shape)):
                raise ModelError(f"the plan refuses an input of {x.shape}: {contexts.said()}")
            shape = tuple(context.get_tensor_shape(target.name))
            result = torch.empty(shape, dtype=getattr(torch, target.dtype), device=device)
            memory = {source.name: given.data_ptr(), target.name: result.data_ptr()}
            took = all(context.set_tensor_address(name, address) for name, address in memory.items())
            if not (took and context.execute_async_v3(stream.cuda_stream)):
                raise NetworkError(f"the plan refused to run on an input of {x.shape}: {contexts.said()}")
            host: NDArray[np.float32] = result.float().cpu().numpy()
            return host

    return predict
