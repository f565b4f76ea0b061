# SPDX-License-Identifier: Apache-2.0
"""Ourselves, in a process of our own like everybody else. `precision` is that of `rmbg_trt.Engine`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, __version__

import rmbg_trt


class Peer:
    def __init__(self, model: str, weights: str, precision: str, device: str) -> None:
        self._engine = rmbg_trt.Engine(Path(weights, f"{model}.onnx"), precision=precision, device=device)

    def facts(self) -> dict[str, Any]:
        info = self._engine.info
        names = ("device", "runtime", "runtime_version", "precision", "reason")
        return {
            "rmbg-trt": rmbg_trt.__version__,
            "pillow": __version__,
            **{name: getattr(info, name) for name in names},
            "threads": "its default: one a core",
        }

    def prepare(self, path: str) -> Image.Image:
        return Image.open(path).convert("RGB")

    def run(self, image: Image.Image) -> Image.Image:
        return self._engine.run(image)

    def to_pil(self, mask: Image.Image) -> Image.Image:
        return mask
