# SPDX-License-Identifier: Apache-2.0
"""The networks, their checkpoints, and the import of published weights."""

from .checkpoint import Checkpoint, ModelConfig, load_checkpoint, save_checkpoint
from .onnx_weights import import_onnx
from .registry import ARCHITECTURES, build, fold_batch_norm
from .u2net import U2Net, U2NetP
from .unet import UNet

__all__ = [
    "ARCHITECTURES",
    "Checkpoint",
    "ModelConfig",
    "U2Net",
    "U2NetP",
    "UNet",
    "build",
    "fold_batch_norm",
    "import_onnx",
    "load_checkpoint",
    "save_checkpoint",
]
