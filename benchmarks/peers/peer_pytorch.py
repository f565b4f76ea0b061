# SPDX-License-Identifier: Apache-2.0
"""Plain PyTorch and OpenCV, after the recipe of the official U²-Net test script; eager, or through torch.compile.

Resize, divide by the maximum, ImageNet mean and standard deviation; all seven maps through a sigmoid, of which the
first is stretched; bilinear back to the image. The architecture and the weights are rmbg_trt.training's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn

from rmbg_trt.training.models import build

SIDE = 320
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


class WithSigmoid(nn.Module):
    """The official network's forward gives probabilities, ours what lies before the sigmoid."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(torch.sigmoid(each) for each in self.network(x))


class Peer:
    def __init__(self, model: str, weights: str, compiled: bool) -> None:
        network = build(model)
        network.load_state_dict(torch.load(Path(weights, f"{model}.pth"), weights_only=True))
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = WithSigmoid(network).eval().to(self._device)
        self._compiled = compiled
        if compiled:
            self._network = torch.compile(self._network)

    def facts(self) -> dict[str, Any]:
        versions = {"torch": torch.__version__, "opencv": cv2.__version__, "numpy": np.__version__}
        threads = {"torch": torch.get_num_threads(), "opencv": cv2.getNumThreads()}
        return {**versions, "device": str(self._device), "threads": threads, "compiled": self._compiled}

    def prepare(self, path: str) -> np.ndarray:
        return cv2.imread(path)

    @torch.inference_mode()
    def run(self, frame: np.ndarray) -> np.ndarray:
        small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        scaled = small.astype(np.float32) / max(int(small.max()), 1)
        tensor = torch.from_numpy(((scaled - MEAN) / STD).transpose(2, 0, 1)[np.newaxis].copy())
        prediction = self._network(tensor.to(self._device))[0][0, 0]
        low, high = prediction.min(), prediction.max()
        stretched = ((prediction - low) / (high - low) * 255).cpu().numpy()
        mask = cv2.resize(stretched, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return mask.astype(np.uint8)

    def to_pil(self, mask: np.ndarray) -> Image.Image:
        return Image.fromarray(mask)
