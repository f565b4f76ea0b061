# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime with Pillow and NumPy: the reference recipe written out, which the others' masks are measured against.

`provider` is "CPUExecutionProvider" or "CUDAExecutionProvider".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, __version__

SIDE = 320
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def normalised(image: Image.Image) -> np.ndarray:
    """The network's input, (1, 3, 320, 320) float32."""
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)).astype(np.float64)
    tensor = (small / max(small.max(), 1e-6) - MEAN) / STD
    return tensor.transpose(2, 0, 1)[np.newaxis].astype(np.float32)


def mask_of(prediction: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """A prediction (320, 320) stretched to 0..255 and brought to (width, height)."""
    low, high = prediction.min(), prediction.max()
    stretched = (prediction - low) / max(high - low, 1e-12)
    return Image.fromarray((stretched * 255).astype(np.uint8)).resize(size, Image.Resampling.LANCZOS)


class Peer:
    def __init__(self, model: str, weights: str, provider: str) -> None:
        if provider.startswith("CUDA"):
            onnxruntime.preload_dlls()  # those that came with pip
        self._session = onnxruntime.InferenceSession(str(Path(weights, f"{model}.onnx")), providers=[provider])
        if self._session.get_providers()[0] != provider:  # it would quietly take the CPU
            raise RuntimeError(f"ONNX Runtime runs with {self._session.get_providers()}, and {provider} is asked for")
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def facts(self) -> dict[str, Any]:
        versions = {"onnxruntime": onnxruntime.__version__, "pillow": __version__, "numpy": np.__version__}
        return {**versions, "device": self._session.get_providers()[0], "threads": "its default: one a core"}

    def prepare(self, path: str) -> Image.Image:
        return Image.open(path).convert("RGB")

    def run(self, image: Image.Image) -> Image.Image:
        prediction = self._session.run([self._output], {self._input: normalised(image)})[0]
        return mask_of(prediction[0, 0], image.size)

    def to_pil(self, mask: Image.Image) -> Image.Image:
        return mask
