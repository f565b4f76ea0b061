# SPDX-License-Identifier: Apache-2.0
"""Runs a plan on the GPU, for its verification only: memory and stream are PyTorch's, frame by frame, no graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkError, UnavailableError
from ..networks.tensorrt_plan import deserialize, io_tensors
from ..networks.tensorrt_runtime import TensorRt

if TYPE_CHECKING:
    from .verify import Predict


def no_gpu() -> str | None:
    """Why plans cannot be run here, or None."""
    import torch

    if torch.cuda.is_available():
        return None
    return "this PyTorch has no CUDA" if torch.version.cuda is None else "PyTorch finds no usable GPU"


def plan_predict(runtime: TensorRt, plan: bytes) -> Predict:
    """A function that runs a plan on the current GPU.

    Args:
        runtime: Which the plan is for.
        plan: With one input (N, 3, H, W) and one output (N, 1, h, w), float32 or float16.

    Returns:
        (N, 3, H, W) float32 -> (N, 1, h, w) float32, both NumPy.

    Raises:
        UnavailableError: There is no usable GPU.
        ModelError: The plan does not load.
    """
    import torch

    reason = no_gpu()
    if reason:
        raise UnavailableError(f"a plan runs on a GPU only, and {reason}")
    engine = deserialize(runtime, plan)
    context = engine.create_execution_context()
    tensors = io_tensors(runtime, engine)
    source = next(each for each in tensors if each.is_input)
    target = next(each for each in tensors if not each.is_input)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def predict(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.cuda.stream(stream):
            given = torch.from_numpy(x).to("cuda", getattr(torch, source.dtype)).contiguous()
            context.set_input_shape(source.name, tuple(x.shape))
            shape = tuple(context.get_tensor_shape(target.name))
            result = torch.empty(shape, dtype=getattr(torch, target.dtype), device="cuda")
            context.set_tensor_address(source.name, given.data_ptr())
            context.set_tensor_address(target.name, result.data_ptr())
            if not context.execute_async_v3(stream.cuda_stream):
                raise NetworkError(f"the plan refused an input of {x.shape}: {'; '.join(runtime.errors())}")
            host: NDArray[np.float32] = result.float().cpu().numpy()
            return host

    return predict
