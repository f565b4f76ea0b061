# SPDX-License-Identifier: Apache-2.0
"""Frames that are on the GPU already stay there: PyTorch tensors and PyCUDA arrays go in and come out.

Needs an NVIDIA GPU, a build with CUDA, and: pip install ".[rtx,pycuda]" torch

python examples/gpu_arrays.py docs/images/astronaut.jpg torch alpha.png
python examples/gpu_arrays.py docs/images/astronaut.jpg pycuda alpha.png
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import rmbg_trt


def alpha_with_torch(engine: rmbg_trt.Engine, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Matte a tensor. The result is ready on PyTorch's current stream; the call itself does not wait."""
    import torch

    tensor = torch.from_numpy(frame).cuda()  # (H, W, 3) uint8
    alpha = torch.from_dlpack(engine.run(tensor))  # (H, W) uint8, the same memory as the engine's result
    foreground = tensor * (alpha[..., None] > 127)  # more work on the GPU
    print(f"{alpha.device}: {foreground.any(dim=-1).float().mean():.1%} of the pixels belong to the subject")
    return alpha.cpu().numpy()


def alpha_with_pycuda(engine: rmbg_trt.Engine, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Matte an array into an array of the caller's."""
    import pycuda.autoprimaryctx  # noqa: F401  # the context that rmbg-trt uses too; pycuda.autoinit makes another one
    from pycuda import gpuarray

    alpha = gpuarray.empty(frame.shape[:2], np.uint8)
    engine.run(gpuarray.to_gpu(frame), out=alpha)
    return alpha.get()


def main() -> None:
    """Upload a photograph, matte it on the GPU, save its alpha."""
    ways = {"torch": alpha_with_torch, "pycuda": alpha_with_pycuda}
    parser = argparse.ArgumentParser(description="Matte an array on the GPU.")
    parser.add_argument("image", help="the photograph")
    parser.add_argument("library", choices=ways, help="whose arrays to use")
    parser.add_argument("result", help="the image file for the alpha")
    parser.add_argument("--model", default="u2netp", help="u2netp, u2net, a model file or a plan")
    arguments = parser.parse_args()

    frame = np.array(Image.open(arguments.image).convert("RGB"))
    try:
        engine = rmbg_trt.Engine(arguments.model, device="cuda", color="rgb")
    except rmbg_trt.UnavailableError as error:
        sys.exit(f"this example needs a GPU: {error}")
    with engine:
        print(engine.info)
        Image.fromarray(ways[arguments.library](engine, frame)).save(arguments.result)


if __name__ == "__main__":
    main()
