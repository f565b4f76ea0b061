# SPDX-License-Identifier: Apache-2.0
"""A U-Net of an eighth of the width under the name "unet": tests of training are about the run, not the network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rmbg_trt.training.models.registry import ARCHITECTURES
from rmbg_trt.training.models.unet import UNet


class SmallUNet(UNet):
    def __init__(self, outputs: int = 1) -> None:
        super().__init__(outputs, base_width=4)


@contextlib.contextmanager
def small_unet() -> Iterator[None]:
    """While it lasts, runs and checkpoints of this process with the architecture "unet" are small."""
    usual = ARCHITECTURES["unet"]
    ARCHITECTURES["unet"] = SmallUNet
    try:
        yield
    finally:
        ARCHITECTURES["unet"] = usual
