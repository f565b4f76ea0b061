# SPDX-License-Identifier: Apache-2.0
"""rembg as its README uses it: a session that is kept, and the mask alone.

The weights are the catalogue's, under rembg's own file name in a folder of its own: a file that is there is taken as
it is, and nothing is downloaded.
"""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

from PIL import Image


class Peer:
    def __init__(self, model: str, weights: str) -> None:
        os.environ["U2NET_HOME"] = weights  # read when rembg is imported and when a session is made
        import rembg

        self._remove = rembg.remove
        self._session = rembg.new_session(model, providers=["CPUExecutionProvider"])

    def facts(self) -> dict[str, Any]:
        versions = {name: importlib.metadata.version(name) for name in ("rembg", "onnxruntime", "pillow", "numpy")}
        return {**versions, "device": "CPUExecutionProvider", "threads": "its default: one a core"}

    def prepare(self, path: str) -> Image.Image:
        return Image.open(path).convert("RGB")

    def run(self, image: Image.Image) -> Image.Image:
        return self._remove(image, session=self._session, only_mask=True)

    def to_pil(self, mask: Image.Image) -> Image.Image:
        return mask
