# SPDX-License-Identifier: Apache-2.0
"""backgroundremover, in two ways.

`kept=False` is its public function, ``remove(array, only_mask=True)``: it reads the weights again for every image,
and gives the 320 x 320 mask as PNG. `kept=True` calls what lies under it with a network that is loaded once, and brings
the mask to the image's size as its own cutout does: the time that its own code could take.

Its weights are ``.pth`` files from a site of its own; it gets the official ones, put back into that form by `weights`.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


class Peer:
    def __init__(self, model: str, weights: str, kept: bool) -> None:
        path = Path(weights, f"{model}.pth")
        if not path.is_file():  # it would go and fetch it
            raise FileNotFoundError(
                f"{path.name} is not there; it is made once benchmarks/peers/install.sh pytorch ran"
            )
        os.environ[f"{model.upper()}_PATH"] = str(path)
        from backgroundremover import bg
        from backgroundremover.u2net import detect

        self._bg, self._detect, self._model = bg, detect, model
        self._net = bg.get_model(model) if kept else None

    def facts(self) -> dict[str, Any]:
        import torch

        names = ("backgroundremover", "torch", "scikit-image", "pillow", "numpy")
        return {
            **{name: importlib.metadata.version(name) for name in names},
            "device": str(self._bg.DEVICE),
            "threads": torch.get_num_threads(),
        }

    def prepare(self, path: str) -> np.ndarray:
        return np.array(Image.open(path).convert("RGB"))

    def run(self, image: np.ndarray) -> Any:
        if self._net is None:
            return self._bg.remove(image, model_name=self._model, only_mask=True), image.shape[1::-1]
        mask = self._detect.predict(self._net, image).convert("L")
        return mask.resize(image.shape[1::-1], Image.Resampling.LANCZOS)

    def to_pil(self, mask: Any) -> Image.Image:
        if isinstance(mask, Image.Image):
            return mask
        png, size = mask
        return Image.open(io.BytesIO(png)).resize(size, Image.Resampling.LANCZOS)
