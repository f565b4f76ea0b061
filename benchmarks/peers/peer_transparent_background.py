# SPDX-License-Identifier: Apache-2.0
"""transparent-background: its own code and network (InSPyReNet, not U²-Net), with random weights.

Its weights can only be had from a site that benchmarks do not go to. Weights do not change the time of its
convolutions, so its time is measured with random ones, and the masks mean nothing. `mode` is "base" (its default,
1024 x 1024) or "fast" (384 x 384).
"""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def random_checkpoint(mode: str, weights: str) -> Path:
    """A checkpoint of its network that `Remover(ckpt=...)` takes; made once."""
    import torch
    import transparent_background
    from transparent_background.InSPyReNet import InSPyReNet_SwinB
    from transparent_background.utils import load_config

    path = Path(weights, f"inspyrenet_random_{mode}.pth")
    if not path.is_file():
        settings = load_config(Path(transparent_background.__file__).with_name("config.yaml"))[mode]
        torch.manual_seed(0)
        network = InSPyReNet_SwinB(depth=64, pretrained=False, threshold=None, **settings)
        part = path.with_suffix(".part")
        torch.save(network.state_dict(), part)
        part.replace(path)
    return path


class Peer:
    def __init__(self, model: str, weights: str, mode: str) -> None:
        del model  # it has but its own
        os.environ["TRANSPARENT_BACKGROUND_FILE_PATH"] = weights  # where it puts its settings; else the home folder
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # albumentations would ask the network whether it is new
        from transparent_background import Remover

        self._remover = Remover(mode=mode, ckpt=str(random_checkpoint(mode, weights)))

    def facts(self) -> dict[str, Any]:
        import torch

        names = ("transparent-background", "torch", "timm", "kornia", "pillow", "numpy")
        return {
            **{name: importlib.metadata.version(name) for name in names},
            "device": self._remover.device,
            "threads": torch.get_num_threads(),
            "weights": "random: the time is its own, the masks mean nothing",
        }

    def prepare(self, path: str) -> Image.Image:
        return Image.open(path).convert("RGB")

    def run(self, image: Image.Image) -> Image.Image:
        return self._remover.process(image, type="map")

    def to_pil(self, mask: Image.Image) -> Image.Image:
        return Image.fromarray(np.asarray(mask)[:, :, 0])
