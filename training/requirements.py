# SPDX-License-Identifier: Apache-2.0
"""Checks that the packages of the extra ``[train]`` are installed."""

from __future__ import annotations

import importlib.util

from ..errors import UnavailableError
from ..install import install_command

TRAINING = ("torch", "lightning", "kornia", "torchmetrics", "matplotlib", "tensorboard", "PyYAML", "safetensors")
_MODULES = {"PyYAML": "yaml", "ImageHash": "imagehash", "pysodmetrics": "py_sod_metrics"}


def require(*packages: str) -> None:
    """Raises `UnavailableError`, with the command to install them, if some of the packages are not installed."""
    missing = [name for name in packages if importlib.util.find_spec(_MODULES.get(name, name)) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UnavailableError(f"{' and '.join(missing)} {verb} not installed: {install_command('train')}")
